#include "storage/mvcc/range_count.h"

#include <utility>

namespace gavel::storage {

RangeCount::RangeCount(const ReadView& view, KeySpan span, Revision revision)
    : view_(view), span_(std::move(span)), revision_(revision) {
  if (view_.counts != nullptr) stretch_ = view_.counts->Find(span_, revision_);
  if (stretch_ == nullptr) WalkOverAll();
}

RangeCount::Progress RangeCount::Step(ScanBudget& budget) {
  Progress progress = Progress::kDone;
  while (phase_ != Phase::kDone && progress == Progress::kDone) progress = Run(budget);
  return progress;
}

RangeCount::Progress RangeCount::Run(ScanBudget& budget) {
  switch (phase_) {
    case Phase::kKnown:
      return TakeKnown(budget);
    case Phase::kCorrect:
      return Correct(budget);
    case Phase::kDone:
      return Progress::kDone;
    default:
      return Walk(budget);
  }
}

RangeCount::Progress RangeCount::TakeKnown(ScanBudget& budget) {
  switch (stretch_->Read(view_, span_, revision_, budget, &known_)) {
    case CountedStretch::Progress::kDone:
      break;
    case CountedStretch::Progress::kBudget:
      return Progress::kMore;
    case CountedStretch::Progress::kFailed:
      return Failed(known_.status);
    case CountedStretch::Progress::kLost:
      view_.counts->Forget(stretch_);
      return WalkOverAll();
  }
  if (known_.inside.keys < view_.counts->worth_keys()) return WalkOverAll();
  keys_ = known_.inside.keys;
  if (known_.revision == revision_) {
    BeginWalk(Phase::kBefore, {span_.begin, known_.inside.span.begin});
    return Progress::kDone;
  }
  const absl::StatusOr<std::optional<HistoryPlace>> place = PlaceAfter(*view_.engine, revision_);
  if (!place.ok()) return Failed(place.status());
  if (!*place) return WalkOverAll();
  changes_.emplace(view_, **place, known_.revision);
  phase_ = Phase::kCorrect;
  return Progress::kDone;
}

RangeCount::Progress RangeCount::Correct(ScanBudget& budget) {
  LiveChanges::Result result = changes_->Next(budget);
  for (; result == LiveChanges::Result::kRow; result = changes_->Next(budget)) {
    if (known_.inside.span.Contains(changes_->user_key())) keys_ -= changes_->difference();
  }
  switch (result) {
    case LiveChanges::Result::kEnd:
      BeginWalk(Phase::kBefore, {span_.begin, known_.inside.span.begin});
      return Progress::kDone;
    case LiveChanges::Result::kBudget:
      return Progress::kMore;
    case LiveChanges::Result::kFailed:
      return Failed(changes_->status());
    default:
      return WalkOverAll();
  }
}

void RangeCount::BeginWalk(Phase phase, const KeySpan& span) {
  changes_.reset();
  phase_ = phase;
  walked_ = 0;
  KeyRange range;
  range.begin = span.begin;
  range.end = span.end;
  scan_.emplace(*view_.engine, range, revision_);
}

RangeCount::Progress RangeCount::WalkOverAll() {
  stretch_ = nullptr;
  keys_ = 0;
  if (view_.counts != nullptr) parts_.emplace(span_, view_.counts->part_keys());
  BeginWalk(Phase::kAll, span_);
  return Progress::kDone;
}

RangeCount::Progress RangeCount::Walk(ScanBudget& budget) {
  VersionScan::Result result = scan_->Next(budget);
  for (; result == VersionScan::Result::kRow; result = scan_->Next(budget)) {
    ++walked_;
    if (parts_) parts_->Add(scan_->user_key());
  }
  if (result == VersionScan::Result::kBudget) return Progress::kMore;
  if (result == VersionScan::Result::kFailed) return Failed(scan_->status());
  keys_ += walked_;
  if (phase_ == Phase::kAll) return KeepAll();
  if (walked_ > view_.counts->worn_keys()) view_.counts->Forget(stretch_);
  const std::optional<std::string>& end = known_.inside.span.end;
  if (phase_ == Phase::kBefore && end && end != span_.end) {
    BeginWalk(Phase::kAfter, {*end, span_.end});
  } else {
    phase_ = Phase::kDone;
  }
  return Progress::kDone;
}

RangeCount::Progress RangeCount::KeepAll() {
  phase_ = Phase::kDone;
  if (!parts_) return Progress::kDone;
  const absl::Status kept = view_.counts->Keep(view_, *std::move(parts_), revision_);
  return kept.ok() ? Progress::kDone : Failed(kept);
}

RangeCount::Progress RangeCount::Failed(absl::Status status) {
  status_ = std::move(status);
  return Progress::kFailed;
}

}  // namespace gavel::storage
