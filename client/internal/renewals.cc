#include "client/internal/renewals.h"

#include <algorithm>

#include "client/internal/convert.h"
#include "client/internal/errors.h"
#include "client/internal/submit.h"
#include "proto/parse.h"

namespace gavel::client::internal {
namespace {

constexpr char kKeepAliveMethod[] = "/etcdserverpb.Lease/LeaseKeepAlive";
// Renewals that are due within so long of each other go out together; of a TTL at most a thirtieth.
constexpr MonotonicUs kTogether = 250'000;
// A stream that nobody needs is kept for so long.
constexpr MonotonicUs kIdle = 5'000'000;
// Timers stand still while the machine is suspended, and leases do not.
constexpr MonotonicUs kLookAgain = 1'000'000;
constexpr MonotonicUs kPatienceMin = 100'000;

}  // namespace

void Renewals::Run(const Calls& calls) {
  for (const auto& call : calls) call();
}

// --- Kept leases --------------------------------------------------------------------------------

void Renewals::Keep(const KeptLeasePtr& lease) {
  Calls calls;
  {
    const LocalLock lock(mutex_);
    lease->kept = true;
    leases_.insert(lease);
    valid_until_.emplace(lease->valid_until, lease);
    if (closed_) {
      Lose(lease, ClientClosed(), &calls);
    } else {
      SetDue(lease, LeaseNow());
      Schedule();
    }
  }
  Run(calls);
}

void Renewals::Remove(const KeptLeasePtr& lease) {
  const LocalLock lock(mutex_);
  Forget(lease);
  if (!closed_) Schedule();
}

void Renewals::Forget(const KeptLeasePtr& lease) {
  lease->kept = false;
  leases_.erase(lease);
  due_.erase({lease->due, lease});
  valid_until_.erase({lease->valid_until, lease});
}

void Renewals::Lose(const KeptLeasePtr& lease, const Status& status, Calls* calls) {
  if (!lease->kept) return;
  Forget(lease);
  lease->valid_until = 0;
  calls->push_back([lease, status] {
    lease->lost.request_stop();
    if (lease->on_lost) lease->on_lost(status);
  });
}

bool Renewals::Alive(const KeptLeasePtr& lease) const { return ValidFor(lease) > 0; }

MonotonicUs Renewals::ValidFor(const KeptLeasePtr& lease) const {
  const LocalLock lock(mutex_);
  return std::max<MonotonicUs>(lease->valid_until - LeaseNow(), 0);
}

std::chrono::seconds Renewals::Ttl(const KeptLeasePtr& lease) const {
  const LocalLock lock(mutex_);
  return std::chrono::seconds(lease->ttl / 1'000'000);
}

void Renewals::SetDue(const KeptLeasePtr& lease, MonotonicUs now) {
  const MonotonicUs together = std::min(kTogether, lease->ttl / 30) + 1;
  const MonotonicUs at = now + lease->ttl / 3;
  lease->due = at - at % together;
  due_.emplace(lease->due, lease);
}

// --- Single renewals ----------------------------------------------------------------------------

Pending<Renewal> Renewals::RenewOnce(int64_t lease, CallOptions options) {
  if (!options.endpoint.empty()) {
    return Ended<Renewal>(InvalidOptions("renewals share one stream; no endpoint can be named"));
  }
  auto once = std::make_shared<Once>();
  once->waiter = std::make_shared<PendingState<Renewal>>();
  const auto timeout = options.timeout.count() > 0 ? options.timeout : core_->options().timeout;
  const auto end = [self = weak_from_this(), of = std::weak_ptr(once)](const Status& status) {
    const std::shared_ptr<Renewals> alive = self.lock();
    const OncePtr target = of.lock();
    if (alive && target) alive->EndOnce(target, status);
  };
  // Outside the mutex, since it runs at once if stop was requested already.
  if (options.stop.stop_possible()) {
    once->stop.emplace(options.stop, [end] { end(Cancelled(/*sent=*/true)); });
  }
  const LocalLock lock(mutex_);
  if (closed_) return Ended<Renewal>(ClientClosed());
  if (!once->done) {
    once_.insert(once);
    once->deadline = core_->StartTimer(
        Now() + ToUs(timeout), [end, timeout] { end(DeadlineOver(timeout, /*sent=*/true)); });
    Send({.id = lease, .sent_at = 0, .lease = nullptr, .once = once});
    Schedule();
  }
  return Pending<Renewal>(once->waiter, [end] { end(Cancelled(/*sent=*/true)); });
}

void Renewals::EndOnce(const OncePtr& once, Status status) {
  const LocalLock lock(mutex_);
  if (closed_) return;  // It has ended, or is about to.
  auto calls = std::make_shared<Calls>();
  // How its stream ended last tells more than that time is up. An earlier one may have carried it.
  if (status.reason() == Reason::kDeadline && once->last_end) {
    const Status& last = *once->last_end;
    status = Status(last.code(), ErrorClass::kUnknown, last.reason(), last.message());
    status.set_endpoint(last.endpoint());
  }
  FinishOnce(once, std::move(status), calls.get());
  core_->Post([calls] { Run(*calls); });
}

void Renewals::FinishOnce(const OncePtr& once, Result<Renewal> result, Calls* calls) {
  if (std::exchange(once->done, true)) return;
  once_.erase(once);
  core_->CancelTimer(std::exchange(once->deadline, nullptr));
  calls->push_back([once, result = std::move(result)] {
    // May wait for a callback of the stop token, which needs the mutex.
    once->stop.reset();
    once->waiter->Complete(result);
  });
}

// --- The stream ---------------------------------------------------------------------------------

void Renewals::Send(Request request) {
  request.sent_at = LeaseNow();
  etcdserverpb::LeaseKeepAliveRequest message;
  message.set_id(request.id);
  requests_.push_back(std::move(request));
  if (stream_) {
    core_->Send(stream_, message.SerializeAsString());
  } else if (!again_) {
    Open();
  }
}

void Renewals::Open() {
  const uint64_t life = ++life_;
  auto self = shared_from_this();
  stream_ = core_->OpenStream(
      {.method = kKeepAliveMethod, .options = {.require_leader = true}},
      {.opened = [self, life](const std::string&) { self->OnOpened(life); },
       .message = [self, life](const std::string& bytes) { self->OnMessage(life, bytes); },
       .ended = [self, life](const Status& status) { self->OnEnded(life, status); }});
  if (!stream_) return;  // The Core is being closed, and tells so at once.
  // What had no answer is asked again; a renewal may be done twice.
  const std::deque<Request> again = std::exchange(requests_, {});
  for (const Request& request : again) Send(request);
  core_->ReadOn(stream_);
}

void Renewals::OnOpened(uint64_t life) {
  const LocalLock lock(mutex_);
  if (closed_ || life != life_) return;
  open_ = true;
  opened_at_ = heard_at_ = LeaseNow();
  Schedule();
}

void Renewals::OnMessage(uint64_t life, const std::string& bytes) {
  Calls calls;
  {
    const LocalLock lock(mutex_);
    if (closed_ || life != life_ || !stream_) return;
    etcdserverpb::LeaseKeepAliveResponse answer;
    if (!ParseMessage(bytes, kRequestDepthMax, &answer)) {
      Refuse(BadResponse(), &calls);
      core_->CancelStream(stream_);
    } else {
      failures_ = 0;
      heard_at_ = LeaseNow();
      HandleAnswer(answer, &calls);
      core_->ReadOn(stream_);
    }
    Schedule();
  }
  Run(calls);
}

void Renewals::HandleAnswer(const etcdserverpb::LeaseKeepAliveResponse& answer, Calls* calls) {
  const auto found = std::find_if(requests_.begin(), requests_.end(), [&](const Request& request) {
    return request.id == answer.id();
  });
  if (found == requests_.end()) return;
  const Request request = std::move(*found);
  requests_.erase(found);
  const bool exists = answer.ttl() > 0;
  if (request.once) {
    Result<Renewal> result = LeaseNotFound();
    if (exists) result = Renewal{.response = FromProto(answer), .sent_at = request.sent_at};
    return FinishOnce(request.once, std::move(result), calls);
  }
  const KeptLeasePtr& lease = request.lease;
  if (!lease->kept) return;
  if (!exists) return Lose(lease, LeaseLost(/*ended=*/true), calls);
  valid_until_.erase({lease->valid_until, lease});
  lease->ttl = answer.ttl() * 1'000'000;
  lease->valid_until = std::max(lease->valid_until, request.sent_at + lease->ttl);
  valid_until_.emplace(lease->valid_until, lease);
  SetDue(lease, heard_at_);
  if (lease->on_renewed) {
    calls->push_back([lease, response = FromProto(answer)] { lease->on_renewed(response); });
  }
}

void Renewals::Refuse(const Status& status, Calls* calls) {
  // A server refuses the renewal that it has come to; what it does not serve at all, it refuses
  // for everybody.
  while (!requests_.empty()) {
    const Request request = std::move(requests_.front());
    requests_.pop_front();
    if (request.once) {
      FinishOnce(request.once, status, calls);
    } else {
      Lose(request.lease, status, calls);
    }
    if (status.reason() != Reason::kNotServed) return;
  }
}

void Renewals::OnEnded(uint64_t life, const Status& status) {
  Calls calls;
  {
    const LocalLock lock(mutex_);
    if (closed_ || life != life_) return;
    stream_ = nullptr;
    open_ = false;
    // What is no member says nothing of a lease.
    if (status.error_class() == ErrorClass::kRejected && status.reason() != Reason::kBadResponse) {
      Refuse(status, &calls);
    }
    std::erase_if(requests_, [](const Request& request) {
      return request.once ? request.once->done : !request.lease->kept;
    });
    for (const Request& request : requests_) {
      if (request.once && !status.ok()) request.once->last_end = status;
    }
    // With nothing to ask, the next renewal opens it.
    if (!requests_.empty()) {
      again_ = core_->StartTimer(Now() + core_->BackOffDelay(++failures_),
                                 [self = shared_from_this()] { self->OnAgain(); });
    }
    Schedule();
  }
  Run(calls);
}

void Renewals::OnAgain() {
  const LocalLock lock(mutex_);
  if (closed_) return;
  again_ = nullptr;
  if (!stream_ && !requests_.empty()) Open();
}

// --- Time ---------------------------------------------------------------------------------------

void Renewals::Schedule() {
  if (nothing_to_do() && !stream_) return;
  const MonotonicUs now = LeaseNow();
  MonotonicUs at = now + (nothing_to_do() ? kIdle : kLookAgain);
  if (!due_.empty()) at = std::min(at, due_.begin()->first);
  if (!valid_until_.empty()) at = std::min(at, valid_until_.begin()->first);
  if (const auto silent = SilentAt()) at = std::min(at, std::max(*silent, now + kPatienceMin));
  if (wake_ && wake_at_ <= at) return;
  core_->CancelTimer(wake_);
  wake_at_ = at;
  wake_ = core_->StartTimer(Now() + (at - now), [self = shared_from_this()] { self->OnWake(); });
}

void Renewals::OnWake() {
  Calls calls;
  {
    const LocalLock lock(mutex_);
    if (closed_) return;
    wake_ = nullptr;
    const MonotonicUs now = LeaseNow();
    while (!valid_until_.empty() && valid_until_.begin()->first <= now) {
      const KeptLeasePtr lease = valid_until_.begin()->second;
      Lose(lease, LeaseLost(/*ended=*/false), &calls);
    }
    while (!due_.empty() && due_.begin()->first <= now) {
      const KeptLeasePtr lease = due_.begin()->second;
      due_.erase(due_.begin());
      lease->due = 0;
      Send({.id = lease->id, .sent_at = 0, .lease = lease, .once = nullptr});
    }
    LeaveIfSilent(now);
    if (stream_ && nothing_to_do() && now - heard_at_ >= kIdle) core_->CancelStream(stream_);
    Schedule();
  }
  Run(calls);
}

std::optional<MonotonicUs> Renewals::SilentAt() const {
  if (!stream_ || !open_ || requests_.empty()) return std::nullopt;
  const Request& oldest = requests_.front();
  MonotonicUs patience = ToUs(core_->options().silence_timeout);
  if (oldest.lease) patience = std::min(patience, oldest.lease->ttl / 3);
  const MonotonicUs since = std::max({oldest.sent_at, opened_at_, heard_at_});
  return since + std::max(patience, kPatienceMin);
}

void Renewals::LeaveIfSilent(MonotonicUs now) {
  const std::optional<MonotonicUs> silent = SilentAt();
  if (!silent || now < *silent) return;
  // The only one there is gets all the time it takes.
  if (!core_->LeaveSilentStream(stream_)) heard_at_ = now;
}

void Renewals::Close() {
  const LocalLock lock(mutex_);
  auto calls = std::make_shared<Calls>();
  const std::set<KeptLeasePtr> leases = leases_;
  for (const KeptLeasePtr& lease : leases) Lose(lease, ClientClosed(), calls.get());
  const std::set<OncePtr> all_once = once_;
  for (const OncePtr& once : all_once) FinishOnce(once, ClientClosed(), calls.get());
  if (!calls->empty()) core_->Post([calls] { Run(*calls); });
  closed_ = true;
  core_->CancelTimer(std::exchange(again_, nullptr));
  core_->CancelTimer(std::exchange(wake_, nullptr));
  if (stream_) core_->CancelStream(std::exchange(stream_, nullptr));
  requests_.clear();
}

}  // namespace gavel::client::internal
