// All leases by id and by deadline: what is known of them, and which are due.
//
// Passive. The cost of a renewal is one look-up: a lease is moved to where its deadline belongs
// only when its old place comes due, so once a TTL. About 50 bytes a lease.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "absl/container/flat_hash_map.h"

#include "raft/types.h"

namespace gavel::server {

struct KeptLease {
  int64_t deadline_ms = 0;  // Of the lease clock.
  raft::Index renewed;      // The entry that granted or last renewed it.

  friend bool operator==(const KeptLease&, const KeptLease&) = default;
};

struct DueLease {
  int64_t id = 0;
  raft::Index renewed;
};

// Every lease is in one bucket of those whose deadlines are near each other, or taken.
//
// Invariants:
//   the bucket of a lease is never later than that of its deadline;
//   what is in a bucket before walked_ was due when the walk came by, and is so still.
class LeaseTable {
 public:
  // Deadlines so near are told apart no more: an expiry is late by up to that.
  static constexpr int64_t kBucketMs = 100;
  static constexpr int kCountedBuckets = 256;

  // Adds a lease, or moves its deadline.
  void Set(int64_t id, const KeptLease& lease);
  void Erase(int64_t id);
  std::optional<KeptLease> Find(int64_t id) const;
  size_t size() const { return size_; }

  // Looks at up to `leases_max` leases whose buckets are past, and moves those that were renewed.
  // True if nothing past is left to look at. Requires: `clock_ms` does not decrease, unless Rewind
  // was called.
  bool Walk(int64_t clock_ms, size_t leases_max);
  // Forgets what is due: the clock goes on from an earlier reading. Requires: none is taken.
  void Rewind(int64_t clock_ms);
  // Some lease is due that is not taken, as far as the walk has come.
  bool has_due() const;
  // No lease that is due and not taken was due before. Requires: has_due().
  int64_t due_since_ms() const { return buckets_.begin()->first * kBucketMs; }
  // How many are due and not taken, of those due the longest: of kCountedBuckets.
  size_t CountDue() const;
  // Takes up to `leases_max` due leases, those due the longest first.
  std::vector<DueLease> TakeDue(size_t leases_max);
  // A lease that was taken and is there still is taken no more.
  void Return(int64_t id);

 private:
  using Bucket = int64_t;
  static constexpr Bucket kTaken = -1;
  // Leases that are due later are looked at in between.
  static constexpr Bucket kFarthest = 36000;

  struct Record {
    KeptLease lease;
    Bucket bucket = kTaken;
    uint32_t place = 0;  // In the bucket.
  };
  // Many small tables, so that none takes long to grow.
  static constexpr size_t kShards = 256;
  using Shard = absl::flat_hash_map<int64_t, Record>;  // Never iterated: its order is chance.

  Shard& ShardOf(int64_t id);
  const Shard& ShardOf(int64_t id) const;
  Record& At(int64_t id);
  Bucket BucketOf(int64_t deadline_ms) const;
  void Place(int64_t id, Record& record);
  void Displace(const Record& record);
  // Looks at the rest of bucket walked_; false if that is too much.
  bool WalkBucket(int64_t clock_ms, size_t* leases_max);

  std::array<Shard, kShards> shards_;
  size_t size_ = 0;
  std::map<Bucket, std::vector<int64_t>> buckets_;  // None is empty.
  Bucket walked_ = 0;                               // All before are looked at.
  std::optional<size_t> left_;                      // Of bucket walked_, from its front.
};

}  // namespace gavel::server
