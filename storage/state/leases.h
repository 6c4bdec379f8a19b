// Carries out commands on leases: grants, renewals, revocations, expiries, the lease clock.
//
// Time is what the log says: the lease clock, in milliseconds, moves only with the leader's
// readings of it (Command.lease_clock and expire_leases), so every member finds the same deadlines
// and a new leader goes on where the last one stopped.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "proto/etcdserverpb/lease.pb.h"
#include "proto/internal/command.pb.h"
#include "raft/types.h"
#include "storage/engine/engine.h"
#include "storage/mvcc/lease_keys.h"
#include "storage/mvcc/overlay.h"
#include "storage/mvcc/writer.h"
#include "storage/request_error.h"
#include "storage/state/lease_cache.h"
#include "storage/state/lease_renewals.h"
#include "storage/state/lease_row.h"
#include "storage/state/meta.h"

namespace gavel::storage {

// What became of a lease.
struct LeaseChange {
  enum class Kind : uint8_t { kGranted, kRenewed, kRevoked, kExpired };
  Kind kind = Kind::kGranted;
  int64_t id = 0;
  LeaseRow row;  // As it is after the change, or was before the end.
};

// The answer to RenewLeases: the TTL of each lease, in the order of the command; 0: there is none.
struct RenewOutcome {
  std::vector<int64_t> ttl_seconds;
};

// Works on one batch. Responses may be null, as in KeyValues; statuses are terminal.
class Leases {
 public:
  // Once an expiry has deleted so many keys, it ends no more leases: they are due as before, and
  // writes between its entries wait for a bounded one. Part of the semantics of the command.
  static constexpr size_t kExpiryKeysMax = 1000;

  struct Surroundings {
    const Engine& engine;
    LeaseCache& cache;  // Of leases as they were before the batch.
    LeaseRenewals& renewals;
    Overlay& overlay;
    LeaseKeys& keys;
    Writer& writer;
    const Totals& totals;
    WriteBatch& batch;
    MetaLeases& state;
    std::vector<LeaseChange>& changes;
  };
  // Borrows everything. What is changed is in `batch`, `state` and `changes` at once.
  explicit Leases(const Surroundings& surroundings)
      : surroundings_(surroundings), renewals_(surroundings.renewals, surroundings.batch) {}

  // kLeaseNotFound unless it is 0 or exists.
  absl::StatusOr<RequestError> Check(int64_t lease);

  // kLeaseExists if the id is taken. Id and TTL are the service's choice, and taken as they are;
  // id 0 is no lease.
  absl::StatusOr<RequestError> Grant(const etcdserverpb::LeaseGrantRequest& request,
                                     raft::Index index, etcdserverpb::LeaseGrantResponse* response);
  // Deletes the keys that hang on the lease, sorted, in one revision.
  absl::StatusOr<RequestError> Revoke(const etcdserverpb::LeaseRevokeRequest& request,
                                      etcdserverpb::LeaseRevokeResponse* response);
  absl::Status Renew(const internal::RenewLeases& command, raft::Index index,
                     RenewOutcome* outcome);
  // Each lease that is still as the leader of `term` knew it, and due, ends as by a revocation.
  absl::Status Expire(const internal::ExpireLeases& command, raft::Term term);
  // A reading that is behind the clock changes nothing; one above kLeaseClockMsMax is that.
  void SetClock(int64_t now_ms);

  // The engine has taken the batch.
  void Written();

 private:
  absl::StatusOr<std::optional<LeaseRow>> Find(int64_t id);
  void Set(int64_t id, const LeaseRow& row, LeaseChange::Kind kind);
  // Notes what the batch makes of a lease.
  void Note(int64_t id, const std::optional<LeaseRow>& row);
  // Returns how many keys were deleted.
  absl::StatusOr<size_t> End(int64_t id, const LeaseRow& row, LeaseChange::Kind kind);
  // Writes the lease's own row, with all its renewals.
  void Put(int64_t id, const LeaseRow& row);
  // Folds renewals while there are too many. Entry by entry, or batch boundaries would show.
  absl::Status Fold();

  const Surroundings surroundings_;
  LeaseRenewals::Draft renewals_;
  // Leases that the batch has changed; nothing: the lease is gone. Never iterated.
  absl::flat_hash_map<int64_t, std::optional<LeaseRow>> rows_;
  std::vector<int64_t> changed_;  // The same, in the order in which they were first changed.
};

}  // namespace gavel::storage
