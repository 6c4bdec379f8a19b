// Reads from history which keys came to exist and which ceased to.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "storage/engine/engine.h"
#include "storage/mvcc/change_scan.h"
#include "storage/mvcc/read_view.h"
#include "storage/mvcc/revision.h"
#include "storage/mvcc/scan.h"

namespace gavel::storage {

// A place in history: what the next change is, and the `superseded_total` of the change before it
// (storage/mvcc/record.h), against which a change that supersedes nothing can be told.
struct HistoryPlace {
  ChangeId next;
  int64_t superseded_total = 0;
};

// After the last change of `revision`. Nothing if no change of it is stored. Only to be trusted if
// the published compacted revision is not above `revision` after the call.
absl::StatusOr<std::optional<HistoryPlace>> PlaceAfter(const Engine& engine, Revision revision);

// Walks the changes from a place to the last of a revision. Use from one thread at a time.
class LiveChanges {
 public:
  // Reads the newest state of the view's engine. `view` must outlive it.
  LiveChanges(const ReadView& view, const HistoryPlace& place, Revision through)
      : compacted_(*view.published_compacted),
        scan_(*view.engine, place.next, through),
        place_(place),
        through_(through) {}

  enum class Result {
    kRow,     // user_key() is valid until the next call.
    kEnd,     // All have been walked.
    kBudget,  // Call again with a new budget.
    kLost,    // A compaction may have taken some: those that came before were right.
    kFailed,  // status().
  };
  Result Next(ScanBudget& budget);

  // 1: the key came to exist; -1: it ceased to; 0: it got another value.
  int difference() const { return difference_; }
  std::string_view user_key() const { return scan_.user_key(); }
  // After the last row returned.
  const HistoryPlace& place() const { return place_; }
  absl::Status status() const { return scan_.status(); }

 private:
  const std::atomic<Revision>& compacted_;
  ChangeScan scan_;
  HistoryPlace place_;
  const Revision through_;
  int difference_ = 0;
};

}  // namespace gavel::storage
