// Reads leases and what hangs on them, for those who do not apply.
//
// Leases have no versions: what is read is the newest state of the engine, which may be ahead of
// the view that one holds.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "storage/engine/engine.h"
#include "storage/mvcc/read_view.h"
#include "storage/state/lease_renewals.h"
#include "storage/state/lease_row.h"

namespace gavel::storage {

// Nothing if there is no such lease. DataLoss names a damaged row.
absl::StatusOr<std::optional<LeaseRow>> ReadLease(const ReadView& view, int64_t id);
// `renewals` are those of the engine's state; null: there are none.
absl::StatusOr<std::optional<LeaseRow>> ReadLease(const Engine& engine,
                                                  const LeaseRenewals* renewals, int64_t id);

// The keys that hang on a lease, sorted, in bounded steps. Holds nothing of the engine between
// them. Use from one thread at a time.
class LeaseKeyScan {
 public:
  LeaseKeyScan(std::shared_ptr<const Engine> engine, int64_t id);

  // Adds up to `rows_max` keys; true when there are no more.
  absl::StatusOr<bool> Step(int64_t rows_max);
  std::vector<std::string> TakeKeys() { return std::move(keys_); }

 private:
  const std::shared_ptr<const Engine> engine_;
  const std::string prefix_;
  std::string position_;
  std::vector<std::string> keys_;
};

// All leases, by id, in bounded steps, like LeaseKeyScan. What changes between the steps may be
// missed or not.
class LeaseScan {
 public:
  explicit LeaseScan(std::shared_ptr<const Engine> engine) : engine_(std::move(engine)) {}

  // Adds up to `rows_max` leases, or none while renewals are read; true when there are no more.
  absl::StatusOr<bool> Step(int64_t rows_max);
  using Lease = std::pair<int64_t, LeaseRow>;
  std::vector<Lease> TakeLeases() { return std::move(leases_); }

 private:
  // Takes what it reads off `rows_max`. The rows of the leases are read after all renewals: one
  // that is folded meanwhile is found there.
  absl::Status ReadRenewals(int64_t& rows_max);

  const std::shared_ptr<const Engine> engine_;
  std::optional<std::string> renewals_end_;  // The last row of them when the scan began.
  bool renewals_read_ = false;
  absl::flat_hash_map<int64_t, LeaseRenewal> renewals_;  // Never iterated.
  std::string position_;
  std::vector<Lease> leases_;
};

}  // namespace gavel::storage
