#include "storage/mvcc/range_count.h"

#include <string>
#include <utility>

namespace gavel::storage {
namespace {

// A walk looks so often whether another one has counted what it has still to come to.
constexpr int64_t kKeysBetweenLooks = 4096;

}  // namespace

RangeCount::Progress RangeCount::Step(ScanBudget& budget) {
  Progress progress = Progress::kDone;
  while (progress == Progress::kDone && (phase_ != Phase::kBegin || !remaining_.empty())) {
    progress = Run(budget);
  }
  return progress;
}

RangeCount::Progress RangeCount::Run(ScanBudget& budget) {
  switch (phase_) {
    case Phase::kBegin:
      Begin();
      return Progress::kDone;
    case Phase::kKnown:
      return TakeKnown(budget);
    case Phase::kCorrect:
      return Correct(budget);
    case Phase::kWalk:
      break;
  }
  return Walk(budget);
}

void RangeCount::Begin() {
  span_ = std::move(remaining_.back());
  remaining_.pop_back();
  if (view_.counts != nullptr) found_ = view_.counts->Find(span_, revision_);
  phase_ = Phase::kKnown;
  rows_ = 0;
  if (found_.stretch == nullptr) BeginWalk(/*look=*/true);
}

RangeCount::Progress RangeCount::TakeKnown(ScanBudget& budget) {
  const int64_t rows_before = budget.rows;
  const CountedStretch::Progress progress =
      found_.stretch->Read(view_, span_, revision_, budget, &known_);
  rows_ += rows_before - budget.rows;
  switch (progress) {
    case CountedStretch::Progress::kDone:
      break;
    case CountedStretch::Progress::kBudget:
      return TooManyChanges() ? BeginWalk(/*look=*/false) : Progress::kMore;
    case CountedStretch::Progress::kFailed:
      return Failed(known_.status);
    case CountedStretch::Progress::kLost:
      view_.counts->Forget(found_.stretch);
      return BeginWalk(/*look=*/true);
  }
  if (known_.inside.keys < view_.counts->worth_keys()) return BeginWalk(/*look=*/true);
  if (known_.revision == revision_) return AddKnown();
  const absl::StatusOr<std::optional<HistoryPlace>> place =
      view_.counts->PlaceAfter(*view_.engine, revision_);
  if (!place.ok()) return Failed(place.status());
  if (!*place) return BeginWalk(/*look=*/false);
  changes_.emplace(view_, **place, known_.revision);
  phase_ = Phase::kCorrect;
  return Progress::kDone;
}

RangeCount::Progress RangeCount::Correct(ScanBudget& budget) {
  LiveChanges::Result result = changes_->Next(budget);
  for (; result == LiveChanges::Result::kRow; result = changes_->Next(budget)) {
    ++rows_;
    if (TooManyChanges()) return BeginWalk(/*look=*/false);
    if (!known_.inside.span.Contains(changes_->user_key())) continue;
    known_.inside.keys -= changes_->difference();
  }
  switch (result) {
    case LiveChanges::Result::kEnd:
      return AddKnown();
    case LiveChanges::Result::kBudget:
      return Progress::kMore;
    case LiveChanges::Result::kFailed:
      return Failed(changes_->status());
    default:
      return BeginWalk(/*look=*/false);
  }
}

RangeCount::Progress RangeCount::AddKnown() {
  phase_ = Phase::kBegin;
  found_ = {};
  changes_.reset();
  keys_ += known_.inside.keys;
  const KeySpan& inside = known_.inside.span;
  if (inside.end && inside.end != span_.end) remaining_.push_back({*inside.end, span_.end});
  if (inside.begin != span_.begin) remaining_.push_back({span_.begin, inside.begin});
  return Progress::kDone;
}

RangeCount::Progress RangeCount::BeginWalk(bool look) {
  phase_ = Phase::kWalk;
  found_ = {};
  changes_.reset();
  walked_ = 0;
  look_ = look && view_.counts != nullptr;
  if (view_.counts != nullptr) permit_ = view_.counts->TakePermit();
  if (permit_ != nullptr) parts_.emplace(span_.begin, view_.counts->part_keys());
  scan_.emplace(*view_.engine, span_.range(), revision_);
  return Progress::kDone;
}

RangeCount::Progress RangeCount::Walk(ScanBudget& budget) {
  VersionScan::Result result = scan_->Next(budget);
  for (; result == VersionScan::Result::kRow; result = scan_->Next(budget)) {
    ++walked_;
    if (parts_) parts_->Add(scan_->user_key());
    if (!look_ || walked_ % kKeysBetweenLooks != 0) continue;
    KeySpan rest = {std::string(scan_->user_key()) + '\0', span_.end};
    if (view_.counts->Find(rest, revision_).stretch == nullptr) continue;
    remaining_.push_back(rest);
    return EndWalk(rest.begin);
  }
  if (result == VersionScan::Result::kBudget) return Progress::kMore;
  if (result == VersionScan::Result::kFailed) return Failed(scan_->status());
  return EndWalk(span_.end);
}

RangeCount::Progress RangeCount::EndWalk(std::optional<std::string> end) {
  phase_ = Phase::kBegin;
  scan_.reset();
  keys_ += walked_;
  if (!parts_) return Progress::kDone;
  parts_->EndAt(std::move(end));
  const absl::Status kept = view_.counts->Keep(view_, *std::move(parts_), revision_);
  parts_.reset();
  permit_ = nullptr;
  return kept.ok() ? Progress::kDone : Failed(kept);
}

RangeCount::Progress RangeCount::Failed(absl::Status status) {
  status_ = std::move(status);
  return Progress::kFailed;
}

}  // namespace gavel::storage
