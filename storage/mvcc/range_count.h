// Counts the keys of a span that are live at a revision, in bounded steps.
#pragma once

#include <cstdint>
#include <optional>

#include "absl/status/status.h"

#include "storage/mvcc/counted_parts.h"
#include "storage/mvcc/key_counts.h"
#include "storage/mvcc/live_changes.h"
#include "storage/mvcc/read_view.h"
#include "storage/mvcc/revision.h"
#include "storage/mvcc/scan.h"

namespace gavel::storage {

// Takes what earlier walks have counted, where that is less work, and walks over the rest; keeps
// what it has counted itself. Reads the newest engine state: a compaction above the revision may
// have overtaken it, which the caller looks for after each step.
//
// Between steps it holds nothing of the engine. Use from one thread at a time.
class RangeCount {
 public:
  // `view` must outlive it. Requires: view.compacted <= revision <= view.revision.
  RangeCount(const ReadView& view, KeySpan span, Revision revision);

  enum class Progress {
    kMore,    // The budget is spent; call Step again.
    kDone,    // keys() is the count.
    kFailed,  // status().
  };
  Progress Step(ScanBudget& budget);

  int64_t keys() const { return keys_; }
  absl::Status status() const { return status_; }

 private:
  // Either a walk over everything; or what is known, corrected by what has changed since, and a
  // walk over what lies before and after it.
  enum class Phase { kKnown, kCorrect, kBefore, kAfter, kAll, kDone };

  // One phase, to its end or the budget's.
  Progress Run(ScanBudget& budget);
  Progress TakeKnown(ScanBudget& budget);
  Progress Correct(ScanBudget& budget);
  Progress Walk(ScanBudget& budget);
  Progress KeepAll();
  void BeginWalk(Phase phase, const KeySpan& span);
  // What is known is of no use.
  Progress WalkOverAll();
  Progress Failed(absl::Status status);

  const ReadView& view_;
  const KeySpan span_;
  const Revision revision_;
  Phase phase_ = Phase::kKnown;
  KeyCounts::StretchPtr stretch_;
  CountedStretch::Result known_;
  std::optional<LiveChanges> changes_;  // kCorrect.
  std::optional<VersionScan> scan_;     // kBefore, kAfter, kAll.
  int64_t walked_ = 0;                  // Keys of the walk.
  std::optional<CountedParts> parts_;   // kAll.
  int64_t keys_ = 0;
  absl::Status status_;
};

}  // namespace gavel::storage
