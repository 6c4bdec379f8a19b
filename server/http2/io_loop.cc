#include "server/http2/io_loop.h"

#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <climits>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"

#include "raft/check.h"
#include "server/http2/call.h"
#include "server/http2/connection.h"
#include "server/http2/stream_writer.h"

namespace gavel::server {
namespace {

constexpr int kEventsMax = 256;
constexpr size_t kReadBytes = 64 << 10;
// Finished calls kept for reuse.
constexpr size_t kFreeCallsMax = 1024;

thread_local const IoLoop* current_loop = nullptr;

}  // namespace

IoLoop::IoLoop(std::shared_ptr<Http2Shared> shared)
    : shared_(std::move(shared)), read_buffer_(kReadBytes) {}

IoLoop::~IoLoop() {
  GAVEL_CHECK(!thread_.joinable());
  if (epoll_ >= 0) close(epoll_);
  if (wake_ >= 0) close(wake_);
}

absl::Status IoLoop::Start() {
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  wake_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  epoll_event event = {};
  // Edge-triggered: each wake is seen once, and nothing has to be read.
  event.events = EPOLLIN | EPOLLET;
  event.data.ptr = nullptr;
  if (epoll_ < 0 || wake_ < 0 || epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_, &event) != 0) {
    return absl::UnavailableError(absl::StrCat("cannot poll: ", std::strerror(errno)));
  }
  thread_ = std::thread([this] { Main(); });
  return absl::OkStatus();
}

void IoLoop::Main() {
  pthread_setname_np(pthread_self(), "gavel-io");
  current_loop = this;
  epoll_event events[kEventsMax];
  while (true) {
    const int count = Poll(events, kEventsMax);
    now_ = shared_->clock.Now();
    for (int i = 0; i < count; ++i) {
      auto* target = static_cast<PollTarget*>(events[i].data.ptr);
      if (target != nullptr) target->OnReady(events[i].events);
    }
    timers_.RunDue(now_);
    RunPosted();
    RunSlow();
    FlushDirty();
    BuryDead();
    const MutexLock lock(mutex_);
    if (stopping_) break;
    if (draining_ && connections_.empty() && posted_.empty() && !drained_) {
      drained_ = true;
      drained_changed_.notify_all();
    }
  }
  EndAll();
  current_loop = nullptr;
}

int IoLoop::Poll(epoll_event* events, int max) {
  int timeout = dirty_.empty() && slow_.empty() ? TimeoutMs() : 0;
  {
    const MutexLock lock(mutex_);
    if (!posted_.empty() || stopping_) timeout = 0;
    sleeping_ = timeout != 0;
  }
  const int count = epoll_wait(epoll_, events, max, timeout);
  if (timeout != 0) {
    const MutexLock lock(mutex_);
    sleeping_ = false;
  }
  return std::max(count, 0);
}

int IoLoop::TimeoutMs() {
  if (timers_.empty()) return -1;
  const MonotonicNs left = timers_.next() - shared_->clock.Now();
  if (left <= 0) return 0;
  return static_cast<int>(std::min<MonotonicNs>((left + kNsPerMs - 1) / kNsPerMs, INT_MAX));
}

void IoLoop::RunPosted() {
  while (true) {
    {
      const MutexLock lock(mutex_);
      if (posted_.empty()) return;
      std::swap(running_, posted_);
    }
    Call* reply = std::exchange(running_.first_reply, nullptr);
    running_.last_reply = nullptr;
    while (reply != nullptr) reply = reply->CompletePosted();
    for (const auto& writer : running_.writers) {
      if (writer->call() != nullptr) writer->call()->Pump();
    }
    for (auto& work : running_.work) work();
    running_.writers.clear();
    running_.work.clear();
  }
}

void IoLoop::RunSlow() {
  if (slow_.empty()) return;
  Connection* connection = slow_.front();
  slow_.pop_front();
  connection->WorkOff();
}

void IoLoop::FlushDirty() {
  // A connection may become dirty again, for the next turn or by what its end sets free.
  std::vector<Connection*> flushing;
  flushing.swap(dirty_);
  for (Connection* connection : flushing) connection->OnTurnEnd();
  if (dirty_.empty()) {
    flushing.clear();
    dirty_.swap(flushing);
  }
}

void IoLoop::BuryDead() {
  if (dead_.empty()) return;
  const auto closed = [](const Connection* connection) { return connection->closed(); };
  std::erase_if(dirty_, closed);
  std::erase_if(slow_, closed);
  dead_.clear();
}

void IoLoop::Drain() {
  Run([this] { BeginDrain(); });
}

void IoLoop::BeginDrain() {
  draining_ = true;
  // Draining one may bury it, which moves the others.
  std::vector<Connection*> all;
  for (const auto& connection : connections_) all.push_back(connection.get());
  for (Connection* connection : all) {
    if (!connection->closed()) connection->Drain();
  }
}

void IoLoop::AwaitDrained(MonotonicNs timeout) {
  MutexLock lock(mutex_);
  lock.WaitFor(drained_changed_, std::chrono::nanoseconds(timeout),
               [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return drained_; });
}

void IoLoop::Stop() {
  bool wake = false;
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
    wake = std::exchange(sleeping_, false);
  }
  if (wake) Wake();
  if (thread_.joinable()) thread_.join();
}

void IoLoop::EndAll() {
  RunPosted();
  std::vector<Connection*> all;
  for (const auto& connection : connections_) all.push_back(connection.get());
  for (Connection* connection : all) {
    if (!connection->closed()) connection->End();
  }
  BuryDead();
  Posted dropped;
  {
    const MutexLock lock(mutex_);
    stopped_ = true;
    drained_ = true;
    std::swap(dropped, posted_);
  }
}

void IoLoop::Wake() {
  const uint64_t one = 1;
  // Cannot fail: the counter is far from its end.
  [[maybe_unused]] const ssize_t written = write(wake_, &one, sizeof(one));
}

void IoLoop::Run(absl::AnyInvocable<void()> work) {
  MutexLock lock(mutex_);
  if (stopped_) return;
  posted_.work.push_back(std::move(work));
  const bool wake = std::exchange(sleeping_, false);
  lock.Unlock();
  if (wake) Wake();
}

void IoLoop::Reply(Call* call, RpcStatus status, Encoded message) {
  if (InThread()) {
    call->Complete(status, std::move(message));
    return;
  }
  call->SetPosted(std::move(status), std::move(message));
  MutexLock lock(mutex_);
  if (stopped_) return;
  if (posted_.last_reply == nullptr) {
    posted_.first_reply = call;
  } else {
    posted_.last_reply->set_next_posted(call);
  }
  posted_.last_reply = call;
  const bool wake = std::exchange(sleeping_, false);
  lock.Unlock();
  if (wake) Wake();
}

void IoLoop::Pump(std::shared_ptr<Http2StreamWriter> writer) {
  if (InThread()) {
    if (writer->call() != nullptr) writer->call()->Pump();
    return;
  }
  MutexLock lock(mutex_);
  if (stopped_) return;
  posted_.writers.push_back(std::move(writer));
  const bool wake = std::exchange(sleeping_, false);
  lock.Unlock();
  if (wake) Wake();
}

bool IoLoop::InThread() const { return current_loop == this; }

bool IoLoop::Watch(int fd, uint32_t events, PollTarget& target) {
  epoll_event event = {};
  event.events = events;
  event.data.ptr = &target;
  return epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) == 0;
}

void IoLoop::Rewatch(int fd, uint32_t events, PollTarget& target) {
  epoll_event event = {};
  event.events = events;
  event.data.ptr = &target;
  GAVEL_CHECK(epoll_ctl(epoll_, EPOLL_CTL_MOD, fd, &event) == 0);
}

void IoLoop::Unwatch(int fd) { epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr); }

void IoLoop::Adopt(std::unique_ptr<ByteStream> stream) {
  auto connection = std::make_unique<Connection>(*this, std::move(stream));
  if (draining_ || !connection->Start()) return;
  connection->set_place(connections_.size());
  connections_.push_back(std::move(connection));
}

void IoLoop::SetDirty(Connection& connection) { dirty_.push_back(&connection); }

void IoLoop::Bury(Connection& connection) {
  const size_t place = connection.place();
  dead_.push_back(std::move(connections_[place]));
  if (place + 1 < connections_.size()) {
    connections_[place] = std::move(connections_.back());
    connections_[place]->set_place(place);
  }
  connections_.pop_back();
}

Call* IoLoop::NewCall() {
  if (free_calls_.empty()) {
    calls_.push_back(std::make_unique<Call>(*this));
    calls_.back()->set_place(calls_.size() - 1);
    return calls_.back().get();
  }
  Call* call = free_calls_.back();
  free_calls_.pop_back();
  return call;
}

void IoLoop::Recycle(Call* call) {
  if (free_calls_.size() < kFreeCallsMax) {
    free_calls_.push_back(call);
    return;
  }
  const size_t place = call->place();
  if (place + 1 < calls_.size()) {
    std::swap(calls_[place], calls_.back());
    calls_[place]->set_place(place);
  }
  calls_.pop_back();
}

}  // namespace gavel::server
