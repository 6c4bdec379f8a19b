#include "storage/mvcc/key_counts.h"

#include <algorithm>
#include <utility>

namespace gavel::storage {
namespace {

// A change costs about as much to read as a key.
bool WorthMovingOn(int64_t keys, Revision from, Revision to) { return to - from <= keys / 2; }

}  // namespace

CountedStretch::Progress CountedStretch::Read(const ReadView& view, const KeySpan& span,
                                              Revision revision, ScanBudget& budget,
                                              Result* result) {
  const MutexLock lock(mutex_);
  const Progress progress = MoveOn(view, revision, budget, &result->status);
  if (progress != Progress::kDone) return progress;
  result->inside = parts_.PartsInside(span);
  result->revision = place_.next.main - 1;
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

int64_t CountedStretch::Estimate(const KeySpan& span) const {
  const MutexLock lock(mutex_);
  return parts_.PartsInside(span).keys;
}

bool CountedStretch::LiesIn(const KeySpan& span) const {
  const MutexLock lock(mutex_);
  return span.Covers(parts_.span());
}

Revision CountedStretch::revision() const {
  const MutexLock lock(mutex_);
  return place_.next.main - 1;
}

KeyCounts::StretchPtr KeyCounts::Find(const KeySpan& span, Revision revision) {
  const MutexLock lock(mutex_);
  auto best = stretches_.end();
  int64_t most = worth_keys() - 1;
  for (auto it = stretches_.begin(); it != stretches_.end(); ++it) {
    const int64_t keys = (*it)->Estimate(span);
    const Revision from = std::min((*it)->revision(), revision);
    const Revision to = std::max((*it)->revision(), revision);
    if (keys <= most || !WorthMovingOn(keys, from, to)) continue;
    most = keys;
    best = it;
  }
  if (best == stretches_.end()) return nullptr;
  std::rotate(stretches_.begin(), best, std::next(best));
  return stretches_.front();
}

absl::Status KeyCounts::Keep(const ReadView& view, CountedParts parts, Revision revision) {
  if (parts.keys() < 2 * worth_keys()) return absl::OkStatus();
  absl::StatusOr<std::optional<HistoryPlace>> place = PlaceAfter(*view.engine, revision);
  if (!place.ok()) return place.status();
  if (!*place && revision == base_.next.main - 1) *place = base_;
  if (!*place || view.published_compacted->load() > revision) return absl::OkStatus();
  const KeySpan span = parts.span();
  auto stretch = std::make_shared<CountedStretch>(std::move(parts), **place);
  const MutexLock lock(mutex_);
  std::erase_if(stretches_, [&](const StretchPtr& kept) { return kept->LiesIn(span); });
  if (stretches_.size() == kStretchesMax) stretches_.pop_back();
  stretches_.insert(stretches_.begin(), std::move(stretch));
  return absl::OkStatus();
}

void KeyCounts::Forget(const StretchPtr& stretch) {
  const MutexLock lock(mutex_);
  std::erase(stretches_, stretch);
}

}  // namespace gavel::storage
