// Progress: that all up to a revision has been told. It goes the same way as events, behind them.
#include <algorithm>
#include <utility>

#include "raft/sim_point.h"
#include "server/watch/hub_impl.h"

namespace gavel::server {

namespace {

// etcd's: more often is no use to anyone.
constexpr MonotonicNs kIntervalMin = 100 * kNsPerMs;
// Watchers that are told of progress while the lock is held once.
constexpr size_t kToldAtOnce = 1024;
// Spreads the streams' times: any large odd number.
constexpr uint64_t kSpread = 0x9e3779b97f4a7c15;

}  // namespace

WatchHub::Impl::Begun WatchHub::Impl::HaveBegun(State& stream) const {
  if (stream.latest_settled <= head_) return Begun::kYes;
  // Those who raised it may be gone.
  stream.latest_settled = 0;
  Begun begun = Begun::kYes;
  for (const Watcher* watcher : stream.all) {
    stream.latest_settled = std::max(stream.latest_settled, watcher->settled);
    if (watcher->settled <= head_ || begun == Begun::kLater) continue;
    begun = watcher->from_now ? Begun::kSoon : Begun::kLater;
  }
  return begun;
}

void WatchHub::Impl::TryProgress(const StatePtr& stream, After& after) {
  if (!stream->progress_asked || stream->closed || stream->full ||
      (!synced(*stream) && !GAVEL_PLANTED_BUG(63))) {
    return;
  }
  const Begun begun = HaveBegun(*stream);
  if (begun == Begun::kSoon) {
    asking_.push_back(stream);
    return;
  }
  stream->progress_asked = false;
  if (begun != Begun::kYes && !GAVEL_PLANTED_BUG(65)) return;
  if (!stream->all.empty()) PostProgress(stream, kWholeStream, after);
}

void WatchHub::Impl::PostProgress(const StatePtr& stream, WatchId id, After& after) {
  PostAbout(WatchItem::Kind::kProgress, stream, id, head_, after);
}

void WatchHub::Impl::WantProgress(const StatePtr& stream, Watcher& watcher, After& after) {
  watcher.progress_place = stream->wanting_progress.size();
  stream->wanting_progress.push_back(&watcher);
  if (stream->progress_due != 0) return;
  const MonotonicNs interval = std::max(limits_.progress_interval, kIntervalMin);
  const auto spread = static_cast<MonotonicNs>(stream->number * kSpread >> 32);
  stream->progress_due = surroundings_.clock->Now() + interval + spread % (interval / 10 + 1);
  progress_due_.emplace(stream->progress_due, stream->number);
  SetTimer(after);
}

void WatchHub::Impl::SetTimer(After& after) {
  if (progress_due_.empty()) return;
  const MonotonicNs next = progress_due_.begin()->first;
  if (timer_ && *timer_ <= next) return;
  timer_ = next;
  after.timer = next;
}

bool WatchHub::Impl::OnTimer(MonotonicNs at) {
  After after;
  bool again = false;
  {
    const MutexLock lock(mutex_);
    if (closed_) return false;
    const MonotonicNs now = surroundings_.clock->Now();
    while (!again && !progress_due_.empty() && progress_due_.begin()->first <= now) {
      const auto due = *progress_due_.begin();
      const StatePtr stream = streams_.at(due.second);
      again = TellProgress(stream, after);
      if (again) break;
      progress_due_.erase(due);
      const MonotonicNs interval = std::max(limits_.progress_interval, kIntervalMin);
      // Times that were missed are not made up for.
      stream->progress_due = std::max(due.first + interval, now);
      progress_due_.emplace(stream->progress_due, due.second);
    }
    if (!again) {
      if (timer_ == at) timer_.reset();
      SetTimer(after);
    }
  }
  Do(std::move(after));
  return again;
}

// Tells some watchers of the stream; true if there are more.
bool WatchHub::Impl::TellProgress(const StatePtr& stream, After& after) {
  auto& wanting = stream->wanting_progress;
  const size_t end = std::min(wanting.size(), stream->progress_told + kToldAtOnce);
  const bool silent = (stream->behind && !GAVEL_PLANTED_BUG(64)) || stream->full;
  for (size_t i = stream->progress_told; i < end && !silent; ++i) {
    const Watcher& watcher = *wanting[i];
    const bool told = watcher.marks.batch > stream->progress_batch;
    if (told || watcher.lagging || watcher.settled > head_) continue;
    PostProgress(stream, watcher.id, after);
  }
  stream->progress_told = end;
  if (end < wanting.size() && !silent) return true;
  stream->progress_told = 0;
  stream->progress_batch = last_batch_;
  return false;
}

}  // namespace gavel::server
