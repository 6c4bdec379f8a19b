#include "client/internal/watch_hub.h"

#include <algorithm>

#include "client/internal/errors.h"
#include "client/internal/submit.h"

namespace gavel::client::internal {
namespace {

// A shared stream that nobody uses is kept for so long: locks come and go.
constexpr MonotonicUs kIdle = 5'000'000;

}  // namespace

// --- What programs ask for ----------------------------------------------------------------------

WatcherPtr WatchHub::Start(WatchOptions options, Watch::Callback callback) {
  Status refused;
  if (!options.endpoint.empty()) {
    Result<std::string> address = ParseEndpoint(options.endpoint);
    if (address.ok()) {
      options.endpoint = *std::move(address);
    } else {
      refused = address.status();
    }
  }
  WatcherPtr watcher;
  {
    const LocalLock lock(mutex_);
    watcher = std::make_shared<WatcherState>(++last_id_, std::move(options), std::move(callback));
    watcher->unreachable_since = Now();
    if (closed_) refused = ClientClosed();
    if (refused.ok()) {
      Join(watcher, StreamFor(*watcher));
      return watcher;
    }
    watcher->end = refused;
    if (!closed_) PostDelivery(watcher);
    if (!closed_ || !watcher->callback) return watcher;
    watcher->end_told = true;
  }
  // There is no thread of the Core any more.
  watcher->callback(refused);
  return watcher;
}

Pending<WatchBatch> WatchHub::Next(const WatcherPtr& watcher) {
  const LocalLock lock(mutex_);
  if (watcher->callback) {
    return Ended<WatchBatch>(InvalidOptions("this watcher gives its batches to a callback"));
  }
  if (!watcher->ready.empty()) return Ended<WatchBatch>(Take(watcher));
  if (watcher->end) return Ended<WatchBatch>(*watcher->end);
  if (watcher->waiter) {
    return Ended<WatchBatch>(InvalidOptions("a watcher is asked for one batch at a time"));
  }
  auto waiter = std::make_shared<PendingState<WatchBatch>>();
  watcher->waiter = waiter;
  return Pending<WatchBatch>(waiter, [hub = weak_from_this(), of = std::weak_ptr(watcher),
                                      waiter = std::weak_ptr(waiter)] {
    const std::shared_ptr<WatchHub> alive = hub.lock();
    const WatcherPtr target = of.lock();
    const auto waiting = waiter.lock();
    if (alive && target && waiting) alive->CancelNext(target, waiting);
  });
}

void WatchHub::CancelNext(const WatcherPtr& watcher,
                          const std::shared_ptr<PendingState<WatchBatch>>& waiter) {
  const LocalLock lock(mutex_);
  // Once closed, whoever waits is about to be told.
  if (closed_ || watcher->waiter != waiter) return;
  watcher->waiter = nullptr;
  core_->Post([waiter] { waiter->Complete(Cancelled(/*sent=*/false)); });
}

Pending<int64_t> WatchHub::Created(const WatcherPtr& watcher) {
  const LocalLock lock(mutex_);
  if (watcher->first_revision != 0) return Ended<int64_t>(watcher->first_revision);
  if (watcher->end) return Ended<int64_t>(*watcher->end);
  auto waiter = std::make_shared<PendingState<int64_t>>();
  watcher->created_waiters.push_back(waiter);
  return Pending<int64_t>(waiter, [] {});
}

void WatchHub::RequestProgress(const WatcherPtr& watcher) {
  const LocalLock lock(mutex_);
  if (watcher->end) return;
  watcher->progress_asked = true;
  // Before it is created, its creation asks.
  if (watcher->stream && watcher->first_revision != 0) SendProgress(watcher->stream);
}

int64_t WatchHub::NextRevision(const WatcherPtr& watcher) const {
  const LocalLock lock(mutex_);
  return watcher->assembly.next_revision();
}

void WatchHub::Cancel(const WatcherPtr& watcher) {
  const LocalLock lock(mutex_);
  Watchers touched;
  End(watcher, Cancelled(/*sent=*/false), &touched);
  for (const WatcherPtr& ended : touched) PostDelivery(ended);
}

void WatchHub::Close() {
  const LocalLock lock(mutex_);
  closed_ = true;
  Watchers all;
  for (const WatchStreamPtr& stream : streams_) {
    for (const auto& [id, watcher] : stream->watchers) all.push_back(watcher);
  }
  for (const auto& [id, watcher] : parked_) all.push_back(watcher);
  Watchers touched;
  for (const WatcherPtr& watcher : all) End(watcher, ClientClosed(), &touched);
  const std::set<WatchStreamPtr> streams = streams_;
  for (const WatchStreamPtr& stream : streams) GiveUp(stream);
  for (const WatcherPtr& watcher : touched) PostDelivery(watcher);
}

// --- What programs get --------------------------------------------------------------------------

void WatchHub::PostDelivery(const WatcherPtr& watcher) {
  core_->Post([self = shared_from_this(), watcher] { self->Deliver(watcher); });
}

void WatchHub::Deliver(const WatcherPtr& watcher) {
  while (DeliverOne(watcher)) {
  }
}

bool WatchHub::DeliverOne(const WatcherPtr& watcher) {
  std::vector<std::shared_ptr<PendingState<int64_t>>> created;
  int64_t first_revision = 0;
  std::shared_ptr<PendingState<WatchBatch>> waiter;
  std::optional<Result<WatchBatch>> next;
  std::optional<Status> end;
  {
    const LocalLock lock(mutex_);
    end = watcher->end;
    first_revision = watcher->first_revision;
    if (first_revision != 0 || end) created.swap(watcher->created_waiters);
    if (watcher->waiter || watcher->callback) {
      if (!watcher->ready.empty()) {
        next.emplace(Take(watcher));
      } else if (end && !watcher->end_told) {
        next.emplace(*end);
        watcher->end_told = watcher->callback != nullptr;
      }
      if (next) waiter = std::exchange(watcher->waiter, nullptr);
    }
  }
  for (const auto& one : created) {
    one->Complete(first_revision != 0 ? Result<int64_t>(first_revision) : Result<int64_t>(*end));
  }
  if (!next) return false;
  if (watcher->callback) {
    watcher->callback(*next);
  } else {
    waiter->Complete(*std::move(next));
  }
  return true;
}

void WatchHub::Add(const WatcherPtr& watcher, WatchBatch batch) {
  size_t bytes = sizeof batch;
  for (const WatchEvent& event : batch.events) bytes += BytesOf(event);
  watcher->ready_bytes += bytes;
  watcher->ready.emplace_back(std::move(batch), bytes);
}

WatchBatch WatchHub::Take(const WatcherPtr& watcher) {
  WatchBatch batch = std::move(watcher->ready.front().first);
  watcher->ready_bytes -= watcher->ready.front().second;
  watcher->ready.pop_front();
  if (!watcher->full || watcher->ready_bytes > watcher->options.buffer_bytes_max / 2) return batch;
  watcher->full = false;
  if (parked_.erase(watcher->id) > 0) {
    auto own = std::make_shared<WatchStream>();
    own->require_leader = watcher->options.require_leader;
    own->only = watcher->options.endpoint;
    Join(watcher, own);
  } else if (watcher->stream && watcher->stream->unread) {
    watcher->stream->unread = false;
    watcher->stream->heard_at = Now();
    if (watcher->stream->stream) core_->ReadOn(watcher->stream->stream);
  }
  return batch;
}

void WatchHub::End(const WatcherPtr& watcher, Status status, Watchers* touched) {
  if (watcher->end) return;
  watcher->end = std::move(status);
  parked_.erase(watcher->id);
  if (watcher->stream) Leave(watcher);
  touched->push_back(watcher);
}

// --- Who shares a stream ------------------------------------------------------------------------

WatchStreamPtr WatchHub::StreamFor(const WatcherState& watcher) {
  const auto key = std::pair(watcher.options.require_leader, watcher.options.endpoint);
  WatchStreamPtr& stream = shared_[key];
  if (!stream) {
    stream = std::make_shared<WatchStream>();
    stream->shared = true;
    stream->require_leader = key.first;
    stream->only = key.second;
  }
  return stream;
}

void WatchHub::Join(const WatcherPtr& watcher, const WatchStreamPtr& stream) {
  watcher->stream = stream;
  stream->watchers[watcher->id] = watcher;
  if (!streams_.insert(stream).second) {
    if (!stream->stream) return;  // It is about to be opened again.
    core_->CancelTimer(std::exchange(stream->again, nullptr));
    SendCreate(stream, *watcher);
    WatchForSilence(stream);
    return;
  }
  Open(stream);
}

void WatchHub::Leave(const WatcherPtr& watcher) {
  const WatchStreamPtr stream = std::exchange(watcher->stream, nullptr);
  watcher->assembly.OnStreamLost();
  stream->watchers.erase(watcher->id);
  if (!stream->watchers.empty() || (stream->shared && stream->open)) {
    if (stream->stream) {
      etcdserverpb::WatchRequest request;
      request.mutable_cancel_request()->set_watch_id(watcher->id);
      core_->Send(stream->stream, request.SerializeAsString());
    }
    if (!stream->watchers.empty()) return;
    core_->CancelTimer(stream->again);
    stream->again = core_->StartTimer(
        Now() + kIdle, [self = shared_from_this(), stream] { self->OnAgain(stream); });
    return;
  }
  GiveUp(stream);
}

void WatchHub::GiveUp(const WatchStreamPtr& stream) {
  stream->dead = true;
  streams_.erase(stream);
  const auto shared = shared_.find({stream->require_leader, stream->only});
  if (shared != shared_.end() && shared->second == stream) shared_.erase(shared);
  for (TimerPtr* timer : {&stream->again, &stream->answer, &stream->progress}) {
    core_->CancelTimer(std::exchange(*timer, nullptr));
  }
  if (stream->stream) core_->CancelStream(std::exchange(stream->stream, nullptr));
}

bool WatchHub::MakeRoom(const WatchStreamPtr& stream) {
  Watchers full;
  for (const auto& [id, watcher] : stream->watchers) {
    if (watcher->ready_bytes >= watcher->options.buffer_bytes_max) full.push_back(watcher);
  }
  if (full.empty()) return true;
  for (const WatcherPtr& watcher : full) watcher->full = true;
  if (stream->watchers.size() == 1) {
    stream->unread = true;
    // Nobody else may join what is not read.
    if (std::exchange(stream->shared, false)) {
      shared_.erase({stream->require_leader, stream->only});
    }
    return false;
  }
  for (const WatcherPtr& watcher : full) {
    Leave(watcher);
    parked_[watcher->id] = watcher;
  }
  return !stream->dead;
}

}  // namespace gavel::client::internal
