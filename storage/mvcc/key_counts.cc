#include "storage/mvcc/key_counts.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace gavel::storage {
CountedStretch::Progress CountedStretch::Read(const ReadView& view, const KeySpan& span,
                                              Revision at_least, ScanBudget& budget,
                                              Result* result) {
  // Others wait meanwhile.
  constexpr int64_t kRowsMax = 1024;
  ScanBudget step{std::min(budget.rows, kRowsMax), budget.bytes};
  const int64_t rows = step.rows;
  const MutexLock lock(mutex_);
  const Progress progress = MoveOn(view, at_least, step, &result->status);
  budget.rows -= rows - step.rows;
  if (progress != Progress::kDone) return progress;
  result->inside = parts_.PartsInside(span);
  result->revision = revision();
  return progress;
}

CountedStretch::Progress CountedStretch::MoveOn(const ReadView& view, Revision revision,
                                                ScanBudget& budget, absl::Status* status) {
  // Somebody may have left it within a revision.
  const Revision through = place_.next.sub > 0 ? std::max(revision, place_.next.main) : revision;
  if (place_.next.main > through) return Progress::kDone;
  LiveChanges changes(view, place_, through);
  LiveChanges::Result result = changes.Next(budget);
  for (; result == LiveChanges::Result::kRow; result = changes.Next(budget)) {
    if (changes.difference() != 0) parts_.Count(changes.user_key(), changes.difference());
  }
  place_ = changes.place();
  switch (result) {
    case LiveChanges::Result::kEnd:
      return Progress::kDone;
    case LiveChanges::Result::kBudget:
      return Progress::kBudget;
    case LiveChanges::Result::kFailed:
      *status = changes.status();
      return Progress::kFailed;
    default:
      return Progress::kLost;
  }
}

int64_t CountedStretch::Worth(const KeySpan& span, Revision asked) const {
  const MutexLock lock(mutex_);
  // A change costs about as much to read as a key.
  const Revision apart = std::abs(revision() - asked);
  const auto worth = [&](int64_t keys) { return apart <= keys / 2 ? keys : 0; };
  return worth(parts_.keys()) > 0 ? worth(parts_.PartsInside(span).keys) : 0;
}

bool CountedStretch::OutdoneBy(const KeySpan& span, Revision other) const {
  const MutexLock lock(mutex_);
  return span.Covers(parts_.span()) && revision() <= other;
}

KeyCounts::Found KeyCounts::Find(const KeySpan& span, Revision revision) {
  std::vector<StretchPtr> stretches;
  {
    const MutexLock lock(mutex_);
    stretches = stretches_;
  }
  Found best = {nullptr, worth_keys() - 1};
  for (const StretchPtr& stretch : stretches) {
    const int64_t keys = stretch->Worth(span, revision);
    if (keys > best.keys) best = {stretch, keys};
  }
  if (best.stretch == nullptr) return {};
  const MutexLock lock(mutex_);
  const auto place = std::find(stretches_.begin(), stretches_.end(), best.stretch);
  if (place != stretches_.end()) std::rotate(stretches_.begin(), place, std::next(place));
  return best;
}

absl::StatusOr<std::optional<HistoryPlace>> KeyCounts::PlaceAfter(const Engine& engine,
                                                                  Revision revision) const {
  if (revision == base_.next.main - 1) return base_;
  return storage::PlaceAfter(engine, revision);
}

std::shared_ptr<void> KeyCounts::TakePermit() {
  if (permits_->fetch_sub(1) > 0) {
    return {permits_.get(), [permits = permits_](void*) { permits->fetch_add(1); }};
  }
  permits_->fetch_add(1);
  return nullptr;
}

absl::Status KeyCounts::Keep(const ReadView& view, CountedParts parts, Revision revision) {
  if (parts.keys() < 2 * worth_keys()) return absl::OkStatus();
  const absl::StatusOr<std::optional<HistoryPlace>> place = PlaceAfter(*view.engine, revision);
  if (!place.ok()) return place.status();
  if (!*place || view.published_compacted->load() > revision) return absl::OkStatus();
  const KeySpan span = parts.span();
  auto stretch = std::make_shared<CountedStretch>(std::move(parts), **place);
  const MutexLock lock(mutex_);
  std::erase_if(stretches_,
                [&](const StretchPtr& kept) { return kept->OutdoneBy(span, revision); });
  if (stretches_.size() == kStretchesMax) stretches_.pop_back();
  stretches_.insert(stretches_.begin(), std::move(stretch));
  return absl::OkStatus();
}

void KeyCounts::Forget(const StretchPtr& stretch) {
  const MutexLock lock(mutex_);
  std::erase(stretches_, stretch);
}

}  // namespace gavel::storage
