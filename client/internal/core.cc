#include "client/internal/core.h"

#include <utility>

#include <grpcpp/support/slice.h>

#include "client/internal/errors.h"
#include "client/internal/renewals.h"
#include "client/internal/watch_hub.h"

namespace gavel::client::internal {
namespace {

thread_local bool on_client_thread = false;

}  // namespace

bool OnClientThread() { return on_client_thread; }

Status WouldDeadlock() {
  return Status(Code::kFailedPrecondition, ErrorClass::kUnknown, Reason::kWouldDeadlock,
                "waiting for a call in a callback would never end; use Then");
}

std::shared_ptr<Core> Core::Create(const ClientOptions& options,
                                   const std::vector<std::string>& addresses) {
  auto core = std::make_shared<Core>(options, addresses);
  core->thread_ = std::thread([core] { core->Loop(); });
  return core;
}

Core::Core(const ClientOptions& options, const std::vector<std::string>& addresses)
    : options_(options),
      watches_(std::make_shared<WatchHub>(this)),
      renewals_(std::make_shared<Renewals>(this)),
      endpoints_(addresses, options),
      jitter_(static_cast<uint64_t>(Now()) ^ reinterpret_cast<uintptr_t>(this)) {}

void Core::Loop() {
  on_client_thread = true;
  void* tag = nullptr;
  bool ok = false;
  while (queue_.Next(&tag, &ok)) {
    const std::unique_ptr<Event> event(static_cast<Event*>(tag));
    event->run(ok);
  }
}

void* Core::NewEvent(std::function<void(bool)> run) {
  auto event = std::make_unique<Event>();
  event->run = std::move(run);
  return event.release();
}

CallPtr Core::Start(CallSpec spec, CallDone done) {
  auto call = std::make_shared<Call>();
  call->method = spec.method;
  const grpc::Slice slice(spec.request);
  call->request = grpc::ByteBuffer(&slice, 1);
  call->read_only = spec.read_only;
  call->require_leader = spec.options.require_leader;
  call->timeout = spec.options.timeout.count() > 0 ? spec.options.timeout : options_.timeout;
  call->deadline = Now() + ToUs(call->timeout);
  call->done = std::move(done);
  EndedCalls ended;
  Status refused;
  std::string only;
  if (!spec.options.endpoint.empty()) {
    Result<std::string> address = ParseEndpoint(spec.options.endpoint);
    if (address.ok()) {
      only = *std::move(address);
    } else {
      refused = address.status();
    }
  }
  const int64_t bytes_max = options_.request_bytes_max;
  if (refused.ok() && bytes_max > 0 && spec.request.size() > static_cast<uint64_t>(bytes_max)) {
    refused = RequestTooLarge(spec.request.size(), bytes_max);
  }
  // Outside the mutex, since it runs at once if stop was requested already.
  if (spec.options.stop.stop_possible()) {
    call->stop.emplace(spec.options.stop, [weak = weak_from_this(), target = std::weak_ptr(call)] {
      const std::shared_ptr<Core> core = weak.lock();
      const CallPtr stopped = target.lock();
      if (core && stopped) core->Cancel(stopped);
    });
  }
  {
    const LocalLock lock(mutex_);
    if (!only.empty()) call->only = endpoints_.Find(only);
    calls_.insert(call);
    if (closing_) {
      End(call, ClientClosed(), {}, &ended);
    } else if (!refused.ok()) {
      End(call, std::move(refused), {}, &ended);
    } else {
      Advance(call, &ended);
    }
  }
  RunEnded(std::move(ended));
  return call;
}

void Core::Cancel(const CallPtr& call) {
  const LocalLock lock(mutex_);
  if (closing_ || call->state == Call::State::kEnded) return;
  call->cancelled = true;
  switch (call->state) {
    case Call::State::kCalling:
      if (call->stream) {
        StopStream(call->stream);
      } else {
        call->attempt->context.TryCancel();
      }
      break;
    case Call::State::kExplaining:
      for (const auto& probe : call->probes) probe->context.TryCancel();
      break;
    case Call::State::kWaiting:
    case Call::State::kBackingOff:
      // Ends on the Core's thread, like every call: the caller may hold locks.
      SetTimer(call, Now());
      break;
    case Call::State::kNew:
    case Call::State::kEnded:
      break;
  }
}

void Core::Close() {
  watches_->Close();
  renewals_->Close();
  EndedCalls ended;
  {
    const LocalLock lock(mutex_);
    if (closing_) return;
    closing_ = true;
    const std::set<CallPtr> calls = calls_;
    for (const CallPtr& call : calls) {
      call->cancelled = true;
      if (call->state == Call::State::kCalling && call->stream) {
        StopStream(call->stream);
      } else if (call->state == Call::State::kCalling) {
        call->attempt->context.TryCancel();
      } else if (call->state == Call::State::kExplaining) {
        for (const auto& probe : call->probes) probe->context.TryCancel();
      } else {
        End(call, Cancelled(false), {}, &ended);
      }
    }
    for (const TimerPtr& timer : timers_) timer->event->alarm->Cancel();
    timers_.clear();
    // Else the last stream does it.
    if (open_streams_ == 0) queue_.Shutdown();
  }
  RunEnded(std::move(ended));
  // Closed from within a callback, the thread cannot be waited for; it holds a reference of its
  // own and ends when the queue is drained.
  if (on_client_thread && thread_.get_id() == std::this_thread::get_id()) {
    thread_.detach();
  } else {
    thread_.join();
  }
}

std::vector<EndpointState> Core::Endpoints() const {
  const LocalLock lock(mutex_);
  const MonotonicUs now = Now();
  std::vector<EndpointState> states;
  for (const EndpointPtr& endpoint : endpoints_.all()) {
    states.push_back({.address = endpoint->address(),
                      .connected = endpoint->ready(now),
                      .avoided = endpoint->avoided(now),
                      .preferred = endpoints_.IsPreferred(endpoint)});
  }
  return states;
}

void Core::SetEndpoints(const std::vector<std::string>& addresses) {
  const LocalLock lock(mutex_);
  endpoints_.Replace(addresses);
}

void Core::RunEnded(EndedCalls ended) {
  for (Ended& end : ended) {
    // May wait for a Cancel that runs on another thread, so not under the mutex.
    end.call->stop.reset();
    CallDone done = std::move(end.call->done);
    done(std::move(end.status), std::move(end.response));
  }
}

void Core::End(const CallPtr& call, Status status, std::string response, EndedCalls* ended) {
  call->state = Call::State::kEnded;
  if (call->timer) call->timer->alarm->Cancel();
  call->timer = nullptr;
  calls_.erase(call);
  waiting_.erase(call);
  if (call->stream) {
    // Each holds the other.
    call->stream->call = nullptr;
    call->stream = nullptr;
  }
  ended->push_back({call, std::move(status), std::move(response)});
}

void Core::SetTimer(const CallPtr& call, MonotonicUs at) {
  if (call->timer) call->timer->alarm->Cancel();
  auto timer = std::make_unique<Event>();
  Event* const event = timer.release();
  event->run = [this, call, event](bool) { OnTimer(call, event); };
  event->alarm.emplace();
  event->alarm->Set(&queue_, ToTimespec(at), event);
  call->timer = event;
}

}  // namespace gavel::client::internal
