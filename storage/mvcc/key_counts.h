// What walks over keys have counted, kept so that the next count need not walk again.
//
// Derived from the rows and never authoritative: nothing is written for it, and it costs writers
// nothing. A count is moved on to later revisions by the changes made since, when somebody asks.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "storage/mutex.h"
#include "storage/mvcc/counted_parts.h"
#include "storage/mvcc/live_changes.h"
#include "storage/mvcc/revision.h"
#include "storage/mvcc/scan.h"

namespace gavel::storage {

// Counted parts as of a revision. Thread-safe.
class CountedStretch {
 public:
  // `parts` are as of the revision that ends at `place`.
  CountedStretch(CountedParts parts, const HistoryPlace& place)
      : parts_(std::move(parts)), place_(place) {}

  enum class Progress {
    kDone,
    kBudget,  // Call again with a new budget.
    kLost,    // Changes that it would need have been deleted: it is of no more use.
    kFailed,  // `result->status` says why.
  };
  struct Result {
    CountedParts::Inside inside;
    Revision revision = 0;  // What it is as of: the one asked for, or a later one.
    absl::Status status;
  };
  // The whole parts inside `span`, as of `at_least` or later. Requires: some view had that
  // revision.
  Progress Read(const ReadView& view, const KeySpan& span, Revision at_least, ScanBudget& budget,
                Result* result);

  // How many keys of `span` Read would spare a walk, about; 0 if more would have to be read.
  int64_t Worth(const KeySpan& span, Revision asked) const;
  // Whether it is of less use than one of `span` as of the revision `other`.
  bool OutdoneBy(const KeySpan& span, Revision other) const;

 private:
  // As of the last revision that it has come to the end of.
  Revision revision() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return place_.next.main - 1; }
  Progress MoveOn(const ReadView& view, Revision revision, ScanBudget& budget, absl::Status* status)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable Mutex mutex_;
  CountedParts parts_ ABSL_GUARDED_BY(mutex_);
  // Within a revision while MoveOn has more to do.
  HistoryPlace place_ ABSL_GUARDED_BY(mutex_);
};

// The stretches of one store. Thread-safe.
class KeyCounts {
 public:
  // The store's history begins after the change that ends at `base`. `part_keys`: of a part.
  KeyCounts(const HistoryPlace& base, int64_t part_keys) : base_(base), part_keys_(part_keys) {}

  using StretchPtr = std::shared_ptr<CountedStretch>;
  struct Found {
    StretchPtr stretch;  // Null: walk.
    int64_t keys = 0;    // That it knows in the span, about.
  };
  // The stretch that knows most of `span`, if one knows enough to be worth it at `revision`.
  Found Find(const KeySpan& span, Revision revision);
  // As storage::PlaceAfter, and knows the place after the beginning of history.
  absl::StatusOr<std::optional<HistoryPlace>> PlaceAfter(const Engine& engine,
                                                         Revision revision) const;
  // Held by a walk that keeps what it counts; null while as many hold one as may.
  std::shared_ptr<void> TakePermit();
  // Keeps what a walk at `revision` has counted, unless a compaction has overtaken it. Small counts
  // are not worth it.
  absl::Status Keep(const ReadView& view, CountedParts parts, Revision revision);
  void Forget(const StretchPtr& stretch);

  int64_t part_keys() const { return part_keys_; }
  // Fewer keys than this are walked over.
  int64_t worth_keys() const { return 2 * part_keys_; }

 private:
  static constexpr size_t kStretchesMax = 16;
  static constexpr int kPermitsMax = 16;

  const HistoryPlace base_;
  const int64_t part_keys_;
  const std::shared_ptr<std::atomic<int>> permits_ =
      std::make_shared<std::atomic<int>>(kPermitsMax);
  Mutex mutex_;
  std::vector<StretchPtr> stretches_ ABSL_GUARDED_BY(mutex_);  // The last used first.
};

}  // namespace gavel::storage
