#include "server/lease/lease_table.h"

#include <algorithm>
#include <utility>

#include "raft/check.h"

namespace gavel::server {

LeaseTable::Shard& LeaseTable::ShardOf(int64_t id) {
  return const_cast<Shard&>(std::as_const(*this).ShardOf(id));
}

const LeaseTable::Shard& LeaseTable::ShardOf(int64_t id) const {
  // Clients may count their ids upwards; the upper bits of a product are of all bits.
  const uint64_t mixed = static_cast<uint64_t>(id) * 0x9e3779b97f4a7c15ULL;
  return shards_[mixed >> 56];
}

LeaseTable::Record& LeaseTable::At(int64_t id) {
  Shard& shard = ShardOf(id);
  const auto it = shard.find(id);
  GAVEL_CHECK(it != shard.end()) << "a bucket holds lease " << id << ", which is not there";
  return it->second;
}

LeaseTable::Bucket LeaseTable::BucketOf(int64_t deadline_ms) const {
  return std::min(std::max<int64_t>(0, deadline_ms) / kBucketMs, walked_ + kFarthest);
}

void LeaseTable::Place(int64_t id, Record& record) {
  record.bucket = BucketOf(record.lease.deadline_ms);
  std::vector<int64_t>& ids = buckets_[record.bucket];
  record.place = static_cast<uint32_t>(ids.size());
  ids.push_back(id);
}

void LeaseTable::Displace(const Record& record) {
  if (record.bucket == kTaken) return;
  const auto bucket = buckets_.find(record.bucket);
  std::vector<int64_t>& ids = bucket->second;
  if (record.place + 1 < ids.size()) {
    ids[record.place] = ids.back();
    At(ids.back()).place = record.place;
  }
  ids.pop_back();
  // The walk may meet once more what was moved to the front: it stays where it is.
  if (left_ && record.bucket == walked_) left_ = std::min(*left_, ids.size());
  if (ids.empty()) buckets_.erase(bucket);
}

void LeaseTable::Set(int64_t id, const KeptLease& lease) {
  const auto [it, added] = ShardOf(id).try_emplace(id);
  Record& record = it->second;
  record.lease = lease;
  if (added) {
    ++size_;
    Place(id, record);
    return;
  }
  if (record.bucket == kTaken) return;
  const Bucket wanted = BucketOf(lease.deadline_ms);
  // The walk does not come back to what it has seen.
  if (record.bucket == wanted || (record.bucket > walked_ && record.bucket < wanted)) return;
  Displace(record);
  Place(id, record);
}

void LeaseTable::Erase(int64_t id) {
  Shard& shard = ShardOf(id);
  const auto it = shard.find(id);
  if (it == shard.end()) return;
  Displace(it->second);
  shard.erase(it);
  --size_;
}

std::optional<KeptLease> LeaseTable::Find(int64_t id) const {
  const Shard& shard = ShardOf(id);
  const auto it = shard.find(id);
  if (it == shard.end()) return std::nullopt;
  return it->second.lease;
}

bool LeaseTable::Walk(int64_t clock_ms, size_t leases_max) {
  const Bucket present = clock_ms / kBucketMs;  // Not wholly past.
  while (walked_ < present) {
    const auto next = buckets_.lower_bound(walked_);
    if (next == buckets_.end() || next->first >= present) {
      walked_ = present;
      left_.reset();
      break;
    }
    if (next->first > walked_) {
      walked_ = next->first;
      left_.reset();
    }
    if (!WalkBucket(clock_ms, &leases_max)) return false;
    ++walked_;
    left_.reset();
  }
  return true;
}

bool LeaseTable::WalkBucket(int64_t clock_ms, size_t* leases_max) {
  const auto bucket = buckets_.find(walked_);
  if (bucket == buckets_.end()) return true;
  if (!left_) left_ = bucket->second.size();
  while (*left_ > 0) {
    if (*leases_max == 0) return false;
    --*leases_max;
    const int64_t id = bucket->second[--*left_];
    Record& record = At(id);
    if (record.lease.deadline_ms <= clock_ms) continue;
    const bool last = bucket->second.size() == 1;
    Displace(record);
    Place(id, record);
    if (last) break;  // The bucket is gone.
  }
  return true;
}

void LeaseTable::Rewind(int64_t clock_ms) {
  walked_ = std::min(walked_, clock_ms / kBucketMs);
  if (!buckets_.empty()) walked_ = std::min(walked_, buckets_.begin()->first);
  left_.reset();
}

bool LeaseTable::has_due() const { return !buckets_.empty() && buckets_.begin()->first < walked_; }

size_t LeaseTable::CountDue() const {
  size_t count = 0;
  int counted = 0;
  for (const auto& [bucket, ids] : buckets_) {
    if (bucket >= walked_ || counted++ == kCountedBuckets) break;
    count += ids.size();
  }
  return count;
}

std::vector<DueLease> LeaseTable::TakeDue(size_t leases_max) {
  std::vector<DueLease> due;
  while (due.size() < leases_max && has_due()) {
    std::vector<int64_t>& ids = buckets_.begin()->second;
    while (!ids.empty() && due.size() < leases_max) {
      Record& record = At(ids.back());
      record.bucket = kTaken;
      due.push_back({ids.back(), record.lease.renewed});
      ids.pop_back();
    }
    if (ids.empty()) buckets_.erase(buckets_.begin());
  }
  return due;
}

void LeaseTable::Return(int64_t id) {
  Shard& shard = ShardOf(id);
  const auto it = shard.find(id);
  if (it == shard.end() || it->second.bucket != kTaken) return;
  Place(id, it->second);
}

}  // namespace gavel::server
