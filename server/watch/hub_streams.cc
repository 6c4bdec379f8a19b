// Streams and watchers come and go.
#include <algorithm>
#include <utility>

#include "raft/check.h"
#include "raft/sim_point.h"
#include "server/watch/hub_impl.h"

namespace gavel::server {

using storage::Revision;

namespace {

// Watchers of a closed stream that are removed while the lock is held once.
constexpr size_t kRemovedAtOnce = 1024;
// A stream with more is closed in the background.
constexpr size_t kClosedInPlaceMax = 8192;

constexpr std::string_view kFirstKey("\0", 1);

bool IsEmpty(const storage::KeyRange& range) {
  return !range.single && range.end && range.begin >= *range.end;
}

std::shared_ptr<Watcher> NewWatcher(const WatchOptions& options) {
  auto watcher = std::make_shared<Watcher>();
  watcher->key = options.key.empty() ? std::string(kFirstKey) : options.key;
  watcher->range_end = options.range_end;
  watcher->no_put = options.no_put;
  watcher->no_delete = options.no_delete;
  watcher->prev_kv = options.prev_kv;
  watcher->progress = options.progress;
  watcher->fragment = options.fragment;
  watcher->from_now = options.start == 0;
  return watcher;
}

}  // namespace

WatchHub::Impl::Impl(const WatchLimits& limits, Surroundings surroundings)
    : limits_(limits), surroundings_(std::move(surroundings)) {
  head_ = surroundings_.view()->revision;
}

void WatchHub::Impl::Do(After after) {
  for (const StatePtr& stream : after.walks) {
    surroundings_.run([self = shared_from_this(), stream] { return self->Step(stream); });
  }
  if (after.timer) {
    surroundings_.run_at(
        *after.timer, [self = shared_from_this(), at = *after.timer] { return self->OnTimer(at); });
  }
  for (const std::shared_ptr<WatchOutlet>& outlet : after.outlets) {
    RunOn(outlet->executor, [self = shared_from_this(), outlet] { self->Drain(outlet); });
  }
}

void WatchHub::Impl::Shutdown() {
  const MutexLock lock(mutex_);
  closed_ = true;
}

WatchHub::Impl::StatePtr WatchHub::Impl::Open(std::shared_ptr<WatchSink> sink,
                                              std::shared_ptr<Executor> executor) {
  auto stream = std::make_shared<State>();
  stream->sink = std::move(sink);
  const MutexLock lock(mutex_);
  stream->number = ++last_stream_;
  Executor* const key = executor.get();
  const auto found = key == nullptr ? outlets_.end() : outlets_.find(key);
  if (found != outlets_.end()) {
    stream->outlet = found->second;
  } else {
    stream->outlet = std::make_shared<WatchOutlet>();
    stream->outlet->executor = std::move(executor);
    if (key != nullptr) outlets_.emplace(key, stream->outlet);
  }
  ++stream->outlet->streams;
  streams_.emplace(stream->number, stream);
  return stream;
}

void WatchHub::Impl::Close(const StatePtr& stream) {
  std::vector<WatchItem> dropped;
  size_t watchers = 0;
  {
    const MutexLock lock(mutex_);
    if (stream->closed.exchange(true)) return;
    streams_.erase(stream->number);
    progress_due_.erase({stream->progress_due, stream->number});
    WatchOutlet& outlet = *stream->outlet;
    if (--outlet.streams == 0) {
      if (outlet.executor != nullptr) outlets_.erase(outlet.executor.get());
      // What is queued would keep its streams, and they the outlet, if its executor is no more.
      dropped.swap(outlet.queue);
      for (const WatchItem& item : dropped) {
        pending_events_.fetch_sub(item.events, std::memory_order_relaxed);
      }
    }
    watchers = stream->all.size();
    if (watchers == 0) return;
    closing_.emplace(stream->number, stream);
    if (closed_) return;
  }
  if (watchers > kClosedInPlaceMax) {
    surroundings_.run([self = shared_from_this(), stream] { return self->RemoveSome(stream); });
    return;
  }
  while (RemoveSome(stream)) {
  }
}

bool WatchHub::Impl::RemoveSome(const StatePtr& stream) {
  After after;  // Destroyed without the lock.
  const MutexLock lock(mutex_);
  for (size_t i = 0; i < kRemovedAtOnce && !stream->all.empty(); ++i) {
    Remove(*stream->all.back(), after);
  }
  if (!stream->all.empty()) return true;
  if (!stream->running) after.walk = std::move(stream->walk);
  closing_.erase(stream->number);
  return false;
}

std::optional<WatchRefusal> WatchHub::Impl::Refuse(const State& stream,
                                                   const WatchOptions& options) const {
  if (options.start < 0) return WatchRefusal::kNegativeStart;
  const std::string_view key = options.key.empty() ? kFirstKey : std::string_view(options.key);
  if (IsEmpty(storage::KeyRange::FromRequest(key, options.range_end))) {
    return WatchRefusal::kEmptyRange;
  }
  if (limits_.stream_watchers_max != 0 &&
      stream.all.size() + stream.ended.size() >= limits_.stream_watchers_max) {
    return WatchRefusal::kStreamLimit;
  }
  if (limits_.watchers_max != 0 &&
      watchers_.load(std::memory_order_relaxed) >= limits_.watchers_max) {
    return WatchRefusal::kTotalLimit;
  }
  if (key_bytes_ + options.key.size() + options.range_end.size() > limits_.watcher_key_bytes_max) {
    return WatchRefusal::kTotalLimit;
  }
  if (options.id != 0 && InUse(stream, options.id)) return WatchRefusal::kIdInUse;
  return std::nullopt;
}

void WatchHub::Impl::Create(const StatePtr& stream, const WatchOptions& options) {
  std::shared_ptr<Watcher> watcher = NewWatcher(options);
  const std::shared_ptr<const storage::ReadView> view = surroundings_.view();
  After after;
  {
    const MutexLock lock(mutex_);
    if (stream->closed || stream->failed || closed_) return;
    // Apply may have published what it has not handed over yet.
    const Revision revision = GAVEL_PLANTED_BUG(83) ? head_ : std::max(head_, view->revision);
    if (const auto why = Refuse(*stream, options)) {
      WatchItem item;
      item.kind = WatchItem::Kind::kRefused;
      item.stream = stream;
      item.refusal = *why;
      item.revision = revision;
      Post(std::move(item), after);
    } else {
      watcher->id = options.id;
      if (watcher->id == 0) {
        while (InUse(*stream, stream->next_id)) ++stream->next_id;
        watcher->id = stream->next_id++;
      }
      const Revision begin = GAVEL_PLANTED_BUG(70) ? revision : revision + 1;
      watcher->start = watcher->from_now ? begin : options.start;
      watcher->settled = watcher->from_now ? revision : options.start;
      PostAbout(WatchItem::Kind::kCreated, stream, watcher->id, revision, after);
      const Revision compacted = view->published_compacted->load();
      if (watcher->start < compacted && !GAVEL_PLANTED_BUG(67)) {
        EndCompacted(stream, watcher->id, compacted, after);
      } else {
        Begin(stream, std::move(watcher), after);
      }
    }
  }
  Do(std::move(after));
}

void WatchHub::Impl::Begin(const StatePtr& stream, std::shared_ptr<Watcher> watcher, After& after) {
  Watcher& added = *watcher;
  added.stream = stream.get();
  added.place = stream->all.size();
  stream->all.push_back(&added);
  stream->watchers.emplace(added.id, watcher);
  stream->latest_settled = std::max(stream->latest_settled, added.settled);
  index_.Add(added.range(), added);
  watchers_.fetch_add(1, std::memory_order_relaxed);
  key_bytes_ += added.key_bytes();
  if (added.progress) WantProgress(stream, added, after);
  if (added.start > head_ && !stream->behind) return;
  added.lagging = true;
  ++stream->lagging;
  stream->newcomers.push_back(std::move(watcher));
  StartWalk(stream, after);
}

void WatchHub::Impl::Remove(Watcher& watcher, After& after) {
  State& stream = *watcher.stream;
  watcher.canceled = true;
  index_.Remove(watcher);
  watchers_.fetch_sub(1, std::memory_order_relaxed);
  key_bytes_ -= watcher.key_bytes();
  if (watcher.lagging) --stream.lagging;
  stream.all[watcher.place] = stream.all.back();
  stream.all[watcher.place]->place = watcher.place;
  stream.all.pop_back();
  if (watcher.progress) {
    auto& wanting = stream.wanting_progress;
    wanting[watcher.progress_place] = wanting.back();
    wanting[watcher.progress_place]->progress_place = watcher.progress_place;
    wanting.pop_back();
  }
  const auto found = stream.watchers.find(watcher.id);
  GAVEL_CHECK(found != stream.watchers.end() && found->second.get() == &watcher);
  after.watchers.push_back(std::move(found->second));
  stream.watchers.erase(found);
}

void WatchHub::Impl::EndCompacted(const StatePtr& stream, WatchId id, Revision compacted,
                                  After& after) {
  stream->ended.insert(id);
  PostAbout(WatchItem::Kind::kCompacted, stream, id, compacted, after);
}

void WatchHub::Impl::Cancel(const StatePtr& stream, WatchId id) {
  const std::shared_ptr<const storage::ReadView> view = surroundings_.view();
  After after;
  {
    const MutexLock lock(mutex_);
    if (stream->closed || closed_) return;
    if (const auto found = stream->watchers.find(id); found != stream->watchers.end()) {
      Remove(*found->second, after);
    } else if (stream->ended.erase(id) == 0) {
      return;
    }
    PostAbout(WatchItem::Kind::kCanceled, stream, id, std::max(head_, view->revision), after);
    if (stream->lagging == 0 && !stream->behind && !stream->running) {
      after.walk = std::move(stream->walk);
    }
    TryProgress(stream, after);
  }
  Do(std::move(after));
}

void WatchHub::Impl::RequestProgress(const StatePtr& stream) {
  After after;
  {
    const MutexLock lock(mutex_);
    if (stream->closed || closed_ || stream->all.empty()) return;
    stream->progress_asked = true;
    TryProgress(stream, after);
  }
  Do(std::move(after));
}

void WatchHub::Impl::OnWritable(const StatePtr& stream) {
  // In this order: see DeliverEvents.
  stream->writable.fetch_add(1);
  stream->full = false;
  After after;
  {
    const MutexLock lock(mutex_);
    if (stream->closed || closed_) return;
    StartWalk(stream, after);
    TryProgress(stream, after);
  }
  Do(std::move(after));
}

void WatchHub::Impl::Post(WatchItem item, After& after) {
  const std::shared_ptr<WatchOutlet>& outlet = item.stream->outlet;
  if (item.skippable()) ++item.stream->handed;
  outlet->bytes += item.cost;
  pending_events_.fetch_add(item.events, std::memory_order_relaxed);
  if (!std::exchange(outlet->scheduled, true)) after.outlets.push_back(outlet);
  outlet->queue.push_back(std::move(item));
}

void WatchHub::Impl::PostAbout(WatchItem::Kind kind, const StatePtr& stream, WatchId id,
                               Revision revision, After& after) {
  WatchItem item;
  item.kind = kind;
  item.stream = stream;
  item.id = id;
  item.revision = revision;
  Post(std::move(item), after);
}

WatchCounts WatchHub::Impl::counts() const {
  WatchCounts counts;
  const MutexLock lock(mutex_);
  counts.streams = streams_.size();
  counts.watchers = watchers_.load(std::memory_order_relaxed);
  counts.pending_events = pending_events_.load(std::memory_order_relaxed);
  counts.events_sent = events_sent_.load(std::memory_order_relaxed);
  counts.bytes_sent = bytes_sent_.load(std::memory_order_relaxed);
  for (const auto& [number, stream] : streams_) {
    counts.catching_up += stream->behind ? stream->all.size() : stream->lagging;
    if (synced(*stream)) continue;
    Revision from = stream->behind ? stream->behind_from : head_ + 1;
    if (stream->walk != nullptr && stream->walked > 0) from = std::min(from, stream->walked);
    for (const auto& newcomer : stream->newcomers) from = std::min(from, newcomer->start);
    counts.lag_revisions = std::max(counts.lag_revisions, head_ + 1 - from);
  }
  return counts;
}

}  // namespace gavel::server
