// The way out: what is queued for the streams of one executor reaches their sinks.
#include <utility>

#include "raft/sim_point.h"
#include "server/watch/hub_impl.h"

namespace gavel::server {

void WatchHub::Impl::Drain(const std::shared_ptr<WatchOutlet>& outlet) {
  std::vector<WatchItem> items;
  while (true) {
    items.clear();
    {
      const MutexLock lock(mutex_);
      if (closed_ || outlet->queue.empty()) {
        outlet->scheduled = false;
        return;
      }
      items.swap(outlet->queue);
    }
    GAVEL_SIM_POINT("deliveries taken, not told");
    WatchSent sent;
    for (WatchItem& item : items) Deliver(item, sent);
    events_sent_.fetch_add(sent.events, std::memory_order_relaxed);
    bytes_sent_.fetch_add(sent.bytes, std::memory_order_relaxed);
    After after;
    bool again = false;
    {
      const MutexLock lock(mutex_);
      Settle(*outlet, items, after);
      if (outlet->executor != nullptr) {
        // Others of the executor have their turn first.
        if (outlet->queue.empty()) {
          outlet->scheduled = false;
        } else {
          after.outlets.push_back(outlet);
        }
      } else {
        again = true;
      }
    }
    Do(std::move(after));
    if (!again) return;
  }
}

void WatchHub::Impl::Deliver(WatchItem& item, WatchSent& sent) {
  State& stream = *item.stream;
  if (stream.closed) return;
  if (item.skippable() && (stream.skipping || stream.full)) {
    item.skipped = true;
    // All that apply handed out after it has to come after it.
    stream.skipping |= item.kind == WatchItem::Kind::kEvents;
    return;
  }
  WatchSink& sink = *stream.sink;
  switch (item.kind) {
    case WatchItem::Kind::kEvents:
    case WatchItem::Kind::kHistory:
      return DeliverEvents(item, sent);
    case WatchItem::Kind::kProgress:
      return sink.OnProgress(item.id, item.revision);
    case WatchItem::Kind::kCreated:
      return sink.OnCreated(item.id, item.revision);
    case WatchItem::Kind::kRefused:
      return sink.OnRefused(item.refusal, item.revision);
    case WatchItem::Kind::kCanceled:
      return sink.OnCanceled(item.id, item.revision);
    case WatchItem::Kind::kCompacted:
      return sink.OnCompacted(item.id, item.revision);
    case WatchItem::Kind::kFailed:
      return sink.OnFailed(item.status);
  }
}

void WatchHub::Impl::DeliverEvents(WatchItem& item, WatchSent& sent) {
  State& stream = *item.stream;
  const WatchBatch& batch = *item.batch->batch;
  if (batch.previous_wanted() > 0) {
    item.status = batch.LoadPrevious(*surroundings_.view());
    if (!item.status.ok()) return;
  }
  // There may be room again before it is noted here that there is none.
  const uint64_t writable = stream.writable.load();
  const std::span<const WatchPart> parts(item.batch->parts);
  const WatchSent told = stream.sink->OnEvents(
      {batch, parts.subspan(item.begin, item.end - item.begin), item.revision});
  sent.events += told.events;
  sent.bytes += told.bytes;
  if (!told.full) return;
  stream.full = true;
  if (stream.writable.load() != writable) stream.full = false;
}

void WatchHub::Impl::Settle(WatchOutlet& outlet, std::vector<WatchItem>& items, After& after) {
  for (WatchItem& item : items) {
    State& stream = *item.stream;
    outlet.bytes -= item.cost;
    pending_events_.fetch_sub(item.events, std::memory_order_relaxed);
    if (!item.status.ok() && item.kind != WatchItem::Kind::kFailed) {
      FailStream(item.stream, item.status, after);
    }
    if (item.kind == WatchItem::Kind::kHistory) {
      --stream.history;
      StartWalk(item.stream, after);
    }
    if (!item.skippable()) continue;
    if (item.skipped && item.kind == WatchItem::Kind::kEvents && !GAVEL_PLANTED_BUG(66)) {
      FallBehind(stream, item.batch->batch->first(), after);
    }
    if (item.skipped && item.kind == WatchItem::Kind::kProgress && item.id == kWholeStream) {
      stream.progress_asked = true;
    }
    if (--stream.handed > 0) continue;
    stream.skipping = false;
    StartWalk(item.stream, after);
    TryProgress(item.stream, after);
  }
}

}  // namespace gavel::server
