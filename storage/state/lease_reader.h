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

#include "absl/status/statusor.h"

#include "storage/engine/engine.h"
#include "storage/state/lease_row.h"

namespace gavel::storage {

// Nothing if there is no such lease. DataLoss names a damaged row.
absl::StatusOr<std::optional<LeaseRow>> ReadLease(const Engine& engine, int64_t id);

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

// All leases, by id, in bounded steps, like LeaseKeyScan.
class LeaseScan {
 public:
  explicit LeaseScan(std::shared_ptr<const Engine> engine) : engine_(std::move(engine)) {}

  // Adds up to `rows_max` leases; true when there are no more.
  absl::StatusOr<bool> Step(int64_t rows_max);
  using Lease = std::pair<int64_t, LeaseRow>;
  std::vector<Lease> TakeLeases() { return std::move(leases_); }

 private:
  const std::shared_ptr<const Engine> engine_;
  std::string position_;
  std::vector<Lease> leases_;
};

}  // namespace gavel::storage
