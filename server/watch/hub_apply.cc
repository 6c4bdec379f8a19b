// What apply hands over: matching, and who falls behind.
#include <algorithm>
#include <iterator>
#include <utility>

#include "raft/sim_point.h"
#include "server/watch/hub_impl.h"

namespace gavel::server {

using storage::KeyChange;
using storage::Revision;

namespace {

// Previous values that the thread of an outlet reads at most for one portion.
constexpr size_t kPreviousAtOnceMax = 64;
// Of an event besides key and value, roughly, and of a part of a batch.
constexpr uint64_t kEventOverhead = 64;
constexpr uint64_t kItemBytes = sizeof(WatchItem);

}  // namespace

void WatchHub::Impl::OnApplied(std::vector<KeyChange> changes, bool asked,
                               const storage::ReadView& view) {
  After after;
  {
    const MutexLock lock(mutex_);
    if (closed_ || view.revision <= head_) return;
    const Revision first = head_ + 1;
    if (!asked || !wants_changes()) {
      // Watchers that have come since apply asked saw the old head.
      recent_.clear();
      recent_bytes_ = 0;
      head_ = view.revision;
      EveryoneFallsBehind(first, after);
    } else {
      for (const auto& portion :
           CutIntoPortions(std::move(changes), first, view.revision, limits_.catch_up_bytes,
                           limits_.catch_up_revisions)) {
        Match(portion);
        head_ = portion->last();
        HandOut(portion, after);
        Remember(portion);
      }
    }
    for (const StatePtr& stream : std::exchange(asking_, {})) TryProgress(stream, after);
  }
  Do(std::move(after));
}

void WatchHub::Impl::OnInstalled(const storage::ReadView& view) {
  After after;
  {
    const MutexLock lock(mutex_);
    if (closed_) return;
    const Revision first = head_ + 1;
    recent_.clear();
    recent_bytes_ = 0;
    head_ = std::max(head_, view.revision);
    EveryoneFallsBehind(first, after);
  }
  Do(std::move(after));
}

void WatchHub::Impl::EveryoneFallsBehind(Revision from, After& after) {
  for (const auto& [number, stream] : streams_) {
    if (stream->all.size() > stream->lagging) FallBehind(*stream, from, after);
  }
}

void WatchHub::Impl::FallBehind(State& stream, Revision from, After& after) {
  if (!std::exchange(stream.behind, true)) {
    stream.behind_from = from - (GAVEL_PLANTED_BUG(62) ? 1 : 0);
  } else if (!stream.all_in_walk) {
    stream.behind_from = std::min(stream.behind_from, from);
  }
  StartWalk(stream.shared_from_this(), after);
}

void WatchHub::Impl::Match(const std::shared_ptr<const Portion>& portion) {
  const uint64_t number = ++last_batch_;
  builder_.Begin(number);
  touched_.clear();
  const std::vector<KeyChange>& changes = portion->changes();
  for (uint32_t i = 0; i < changes.size(); ++i) {
    const KeyChange& change = changes[i];
    const uint64_t bytes = change.key.size() + change.value.size() + kEventOverhead;
    index_.ForEachMatch(change.key, [&](WatchIndexEntry& base) {
      mutex_.AssumeHeld();
      auto& watcher = static_cast<Watcher&>(base);
      State& stream = *watcher.stream;
      if (watcher.lagging || stream.behind || change.id.main < watcher.start ||
          !watcher.Wants(change.tombstone) || stream.closed.load(std::memory_order_relaxed)) {
        return;
      }
      if (stream.batch != number) {
        stream.batch = number;
        stream.matched.clear();
        stream.matched_bytes = 0;
        stream.matched_events = 0;
        stream.matched_previous = false;
        touched_.push_back(&stream);
      }
      if (builder_.Add(watcher.marks, i, watcher.prev_kv)) stream.matched.push_back(&watcher);
      stream.matched_bytes += bytes;
      ++stream.matched_events;
      stream.matched_previous |= watcher.prev_kv;
    });
  }
}

bool WatchHub::Impl::MustFallBehind(const State& stream, bool large) const {
  if (stream.outlet->bytes > limits_.undelivered_bytes_max) return true;
  if (large && stream.matched_bytes > limits_.stream_portion_bytes_max) return true;
  return stream.matched_previous && builder_.previous_wanted() > kPreviousAtOnceMax;
}

void WatchHub::Impl::HandOut(const std::shared_ptr<const Portion>& portion, After& after) {
  if (touched_.empty()) return;
  const bool large = portion->first() < portion->last();
  auto parts = std::make_shared<BatchParts>();
  parts->batch = builder_.Finish(portion);
  std::vector<WatchItem> items;
  items.reserve(touched_.size());
  for (State* stream : touched_) {
    if (MustFallBehind(*stream, large)) {
      FallBehind(*stream, portion->first(), after);
      continue;
    }
    WatchItem item;
    item.stream = stream->shared_from_this();
    item.begin = parts->parts.size();
    for (const Watcher* watcher : stream->matched) {
      parts->parts.push_back(
          {watcher->id, watcher->marks.first_run, watcher->prev_kv, watcher->fragment});
    }
    item.end = parts->parts.size();
    item.events = stream->matched_events;
    item.revision = portion->last();
    item.cost = kItemBytes + stream->matched.size() * sizeof(WatchPart);
    if (std::exchange(stream->outlet->batch, last_batch_) != last_batch_) {
      item.cost += portion->bytes();
    }
    items.push_back(std::move(item));
  }
  for (WatchItem& item : items) {
    item.batch = parts;
    Post(std::move(item), after);
  }
}

void WatchHub::Impl::Remember(std::shared_ptr<const Portion> portion) {
  const auto size = [](const Portion& kept) {
    return kept.bytes() + kept.changes().size() * kEventOverhead + sizeof(Portion);
  };
  recent_bytes_ += size(*portion);
  recent_.push_back(std::move(portion));
  while (recent_bytes_ > limits_.recent_bytes_max && recent_.size() > 1) {
    recent_bytes_ -= size(*recent_.front());
    recent_.pop_front();
  }
}

}  // namespace gavel::server
