// Streams and watchers that are behind catch up, step by step, in the background.
#include <algorithm>
#include <utility>

#include "raft/check.h"
#include "raft/sim_point.h"
#include "server/watch/hub_impl.h"

namespace gavel::server {

using storage::Revision;

namespace {

// Changes that a walk may take under the lock to arrive at the head.
constexpr size_t kLastChangesMax = 64;

}  // namespace

void WatchHub::Impl::StartWalk(const StatePtr& stream, After& after) {
  if (stream->running || stream->full || stream->history > 0 || stream->closed || stream->failed) {
    return;
  }
  const bool stream_waits = stream->behind && !stream->all_in_walk && stream->handed == 0;
  if (stream->lagging == 0 && !stream->all_in_walk && !stream_waits) return;
  stream->running = true;
  after.walks.push_back(stream);
}

bool WatchHub::Impl::Step(const StatePtr& stream) {
  Plan plan = PlanStep(stream);
  if (!plan.go) return false;
  CatchUp& walk = *stream->walk;
  walk.Add(std::move(plan.newcomers), plan.at_once);
  Revision head = 0;
  uint64_t number = 0;
  {
    const MutexLock lock(mutex_);
    head = head_;
    number = ++last_batch_;
  }
  CatchUp::Result result;
  // Those who begin in the future are where they want to be.
  if (!walk.empty() && walk.position() <= head) result = Walk(walk, head, number);
  std::vector<std::shared_ptr<Watcher>> lost;
  if (result.compacted >= 0) lost = walk.TakeBelow(result.compacted);
  GAVEL_SIM_POINT("walked, not concluded");
  After after;
  bool again = false;
  {
    const MutexLock lock(mutex_);
    again = Conclude(stream, std::move(result), std::move(lost), after);
    stream->running = again;
    if (!again && stream->closed) after.walk = std::move(stream->walk);
  }
  Do(std::move(after));
  return again;
}

WatchHub::Impl::Plan WatchHub::Impl::PlanStep(const StatePtr& stream) {
  Plan plan;
  const MutexLock lock(mutex_);
  State& s = *stream;
  const bool idle = s.lagging == 0 && !s.behind;
  if (closed_ || s.closed || s.failed || idle || s.full || s.history > 0) {
    s.running = false;
    if (s.closed || idle) plan.unused = std::move(s.walk);
    return plan;
  }
  if (s.walk == nullptr) s.walk = std::make_unique<CatchUp>(limits_);
  plan.go = true;
  if (s.walk->unfinished()) return plan;
  for (std::shared_ptr<Watcher>& newcomer : s.newcomers) {
    const Revision next = newcomer->start;
    plan.newcomers.push_back({std::move(newcomer), next});
  }
  s.newcomers.clear();
  if (s.behind && !s.all_in_walk && s.handed == 0) {
    s.all_in_walk = plan.at_once = true;
    for (const Watcher* watcher : s.all) {
      if (watcher->lagging) continue;
      plan.newcomers.push_back(
          {s.watchers.find(watcher->id)->second, std::max(watcher->start, s.behind_from)});
    }
  }
  return plan;
}

CatchUp::Portions WatchHub::Impl::Recent(Revision revision) const {
  CatchUp::Portions portions;
  if (recent_.empty() || revision < recent_.front()->first()) return portions;
  auto kept = std::partition_point(
      recent_.begin(), recent_.end(),
      [revision](const std::shared_ptr<const Portion>& one) { return one->last() < revision; });
  uint64_t bytes = 0;
  size_t changes = 0;
  while (kept != recent_.end() && bytes < limits_.catch_up_bytes &&
         changes < static_cast<size_t>(limits_.catch_up_rows)) {
    portions.push_back(*kept);
    bytes += (*kept)->bytes();
    changes += (*kept)->changes().size();
    ++kept;
  }
  return portions;
}

CatchUp::Result WatchHub::Impl::Walk(CatchUp& walk, Revision through, uint64_t number) {
  CatchUp::Portions recent;
  if (!walk.unfinished()) {
    const MutexLock lock(mutex_);
    recent = Recent(walk.position());
  }
  const std::shared_ptr<const storage::ReadView> view = surroundings_.view();
  CatchUp::Result result =
      !recent.empty() ? walk.Take(recent, number) : walk.Read(*view, through, number);
  if (result.parts != nullptr && result.status.ok()) {
    result.status = result.parts->batch->LoadPrevious(*view);
  }
  return result;
}

bool WatchHub::Impl::Conclude(const StatePtr& stream, CatchUp::Result result,
                              std::vector<std::shared_ptr<Watcher>> lost, After& after) {
  if (closed_ || stream->closed) return false;
  if (!result.status.ok()) {
    FailStream(stream, result.status, after);
    return false;
  }
  for (std::shared_ptr<Watcher>& watcher : lost) {
    if (!watcher->canceled) {
      Remove(*watcher, after);
      EndCompacted(stream, watcher->id, result.compacted, after);
    }
    after.watchers.push_back(std::move(watcher));
  }
  if (result.parts != nullptr) PostHistory(stream, std::move(result), after);
  CatchUp& walk = *stream->walk;
  stream->walked = walk.position();
  if (walk.unfinished()) return true;
  if (walk.empty() || ReachHead(stream, after)) return Arrive(stream, after);
  return stream->history == 0;
}

void WatchHub::Impl::PostHistory(const StatePtr& stream, CatchUp::Result result, After& after) {
  auto parts = std::make_shared<BatchParts>();
  parts->batch = result.parts->batch;
  parts->parts.reserve(result.watchers.size());
  for (size_t i = 0; i < result.watchers.size(); ++i) {
    const Watcher& watcher = *result.watchers[i];
    if (watcher.canceled) continue;
    // The newest batch that it was told of.
    stream->watchers.find(watcher.id)->second->marks.batch = last_batch_;
    parts->parts.push_back(result.parts->parts[i]);
  }
  if (parts->parts.empty()) return;
  WatchItem item;
  item.kind = WatchItem::Kind::kHistory;
  item.stream = stream;
  item.end = parts->parts.size();
  item.events = result.events;
  item.revision = stream->walk->position() - 1;
  item.batch = std::move(parts);
  ++stream->history;
  Post(std::move(item), after);
}

// Takes the last few changes, if that is all that is missing. The head cannot move meanwhile.
bool WatchHub::Impl::ReachHead(const StatePtr& stream, After& after) {
  CatchUp& walk = *stream->walk;
  if (walk.position() > head_) return true;
  const CatchUp::Portions last = Recent(walk.position());
  if (last.empty() || last.back()->last() < head_) return false;
  size_t changes = 0;
  for (const auto& portion : last) changes += portion->changes().size();
  if (changes > kLastChangesMax) return false;
  CatchUp::Result result = walk.Take(last, ++last_batch_);
  if (result.parts != nullptr) PostHistory(stream, std::move(result), after);
  stream->walked = walk.position();
  return walk.position() > head_;
}

// Everyone in the walk has been told all up to the head. Returns whether the walk goes on.
bool WatchHub::Impl::Arrive(const StatePtr& stream, After& after) {
  CatchUp& walk = *stream->walk;
  // Who would arrive now were passed over by apply until the rest of the stream has joined them.
  if (stream->behind && !stream->all_in_walk && stream->handed > 0) return false;
  if (!stream->behind || stream->all_in_walk) {
    stream->behind = false;
    stream->all_in_walk = false;
    for (std::shared_ptr<Watcher>& watcher : walk.TakeArrived()) {
      if (std::exchange(watcher->lagging, false) && !watcher->canceled) --stream->lagging;
      // What apply handed to others before may yet be skipped: that is not this one's concern.
      watcher->start = std::max(watcher->start, walk.position() + (GAVEL_PLANTED_BUG(61) ? 1 : 0));
      after.watchers.push_back(std::move(watcher));
    }
    std::erase_if(stream->newcomers, [&](const std::shared_ptr<Watcher>& newcomer) {
      mutex_.AssumeHeld();
      if (newcomer->canceled) return true;
      if (newcomer->start <= head_) return false;
      newcomer->lagging = false;
      --stream->lagging;
      return true;
    });
    if (stream->lagging == 0) {
      after.walk = std::move(stream->walk);
      TryProgress(stream, after);
      return false;
    }
  }
  return stream->history == 0;
}

void WatchHub::Impl::FailStream(const StatePtr& stream, const absl::Status& status, After& after) {
  if (std::exchange(stream->failed, true)) return;
  stream->behind = true;
  WatchItem item;
  item.kind = WatchItem::Kind::kFailed;
  item.stream = stream;
  item.status = status;
  Post(std::move(item), after);
}

}  // namespace gavel::server
