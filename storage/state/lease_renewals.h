// Renewals that are not folded into the rows of their leases yet.
//
// An entry that renews many leases writes one row for all of them, at the end of its family,
// where a lease's own row would be written somewhere among all leases. When more renewals wait
// than are allowed, the oldest rows are folded: what is still the newest renewal of its lease
// goes into the lease's row. Leases that are renewed again and again are thus hardly ever written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"

#include "raft/types.h"
#include "storage/engine/engine.h"
#include "storage/mutex.h"
#include "storage/state/lease_row.h"

namespace gavel::storage {

// What the family `lease_renewals` holds. Find may be called from any thread; all else is for the
// one that applies.
class LeaseRenewals {
 public:
  explicit LeaseRenewals(size_t ids_max) : ids_max_(ids_max) {}

  // Reads all rows, once. DataLoss: a row is damaged, or of an entry after `applied`.
  absl::Status Load(const Engine& engine, raft::Index applied);

  // The newest renewal of a lease that is not in its row, or that was of an earlier lease with
  // this id. Whoever reads the row as well calls this first: what is folded meanwhile is there.
  std::optional<LeaseRenewal> Find(int64_t id) const;

  // What one batch changes.
  class Draft {
   public:
    // Borrows both.
    Draft(LeaseRenewals& renewals, WriteBatch& batch) : renewals_(renewals), batch_(batch) {}

    void Add(RenewalRow row);
    // The oldest row if there are more renewals than are allowed, else null. Valid until a change.
    const RenewalRow* Excess() const;
    // Takes away what Excess returned.
    void DropOldest();
    // The engine has taken the batch.
    void Written();

   private:
    const RenewalRow& Oldest() const;

    LeaseRenewals& renewals_;
    WriteBatch& batch_;
    std::vector<RenewalRow> added_;
    size_t dropped_ = 0;  // Rows, from the oldest on; perhaps of those added.
    size_t added_ids_ = 0;
    size_t dropped_ids_ = 0;
  };

 private:
  void Append(RenewalRow row) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void DropOldest() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const size_t ids_max_;
  std::deque<RenewalRow> rows_;  // By index.
  size_t ids_ = 0;               // In all rows.

  mutable Mutex mutex_;
  absl::flat_hash_map<int64_t, LeaseRenewal> newest_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace gavel::storage
