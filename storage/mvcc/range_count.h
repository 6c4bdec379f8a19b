// Counts the keys of a span that are live at a revision, in bounded steps.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

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
  RangeCount(const ReadView& view, KeySpan span, Revision revision)
      : view_(view), revision_(revision), remaining_({std::move(span)}) {}

  enum class Progress {
    kMore,    // The budget is spent; call Step again.
    kDone,    // keys() is the count.
    kFailed,  // status().
  };
  Progress Step(ScanBudget& budget);

  int64_t keys() const { return keys_; }
  absl::Status status() const { return status_; }

 private:
  // Of the span under way: parts of it are known, then corrected by what has changed since; or it
  // is walked over.
  enum class Phase { kBegin, kKnown, kCorrect, kWalk };

  // One phase, to its end or the budget's.
  Progress Run(ScanBudget& budget);
  void Begin();
  Progress TakeKnown(ScanBudget& budget);
  Progress Correct(ScanBudget& budget);
  Progress AddKnown();
  // `look`: whether others may have counted what it will come to.
  Progress BeginWalk(bool look);
  Progress Walk(ScanBudget& budget);
  // The walk has come to `end`; the rest of the span is for another.
  Progress EndWalk(std::optional<std::string> end);
  // More changes have been read than it would have been worth.
  bool TooManyChanges() const { return rows_ > found_.keys; }
  Progress Failed(absl::Status status);

  const ReadView& view_;
  const Revision revision_;
  std::vector<KeySpan> remaining_;  // To be counted, after the one under way.
  KeySpan span_;                    // Under way, unless in kBegin.
  Phase phase_ = Phase::kBegin;
  KeyCounts::Found found_;        // kKnown.
  CountedStretch::Result known_;  // kCorrect.
  std::optional<LiveChanges> changes_;
  int64_t rows_ = 0;                   // Of changes, read for both.
  std::optional<VersionScan> scan_;    // kWalk.
  std::optional<CountedParts> parts_;  // With a permit.
  std::shared_ptr<void> permit_;
  bool look_ = false;
  int64_t walked_ = 0;
  int64_t keys_ = 0;
  absl::Status status_;
};

}  // namespace gavel::storage
