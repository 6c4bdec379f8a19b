// How a call finds an endpoint, is tried, and is tried again: the rest of Core.
#include <algorithm>
#include <utility>

#include <grpcpp/generic/generic_stub.h>

#include "client/internal/core.h"
#include "client/internal/errors.h"

namespace gavel::client::internal {
namespace {

using std::chrono::milliseconds;

// The first endpoint gets this much of a head start before the others are dialled, and those that
// did not fail lately before the others are used.
constexpr MonotonicUs kHeadStart = 100'000;
// How long one wait for a change of a connection lasts, which is how long Close can take.
constexpr MonotonicUs kWatchSlice = 100'000;
// An endpoint that was asked for by name and has refused before gets this long to come back.
constexpr MonotonicUs kNamedAgain = 1'000'000;
// A member that answered that it cannot serve right now.
constexpr MonotonicUs kAvoidLearner = 30'000'000;
constexpr MonotonicUs kBackOffFirst = 25'000;
constexpr MonotonicUs kBackOffMax = 1'000'000;
// gRPC keeps why a connection failed and says it at once to a call.
constexpr MonotonicUs kProbeTime = 200'000;

constexpr char kClientVersion[] = "gavel-client/" GAVEL_CLIENT_VERSION;

// A member that says it cannot, rather than being unreachable.
bool IsBusy(Reason reason) {
  return reason == Reason::kNoLeader || reason == Reason::kTooManyRequests ||
         reason == Reason::kLeaderChanged || reason == Reason::kTimedOut;
}

bool SaysNoMember(const Status& status) {
  return status.reason() == Reason::kBadResponse && status.error_class() == ErrorClass::kRejected;
}

// The last endpoint that was asked is none of a member.
bool CameFromNoMember(const Call& call) {
  return call.last_status && SaysNoMember(*call.last_status);
}

}  // namespace

std::string ToString(const grpc::ByteBuffer& buffer) {
  std::string text;
  text.reserve(buffer.Length());
  std::vector<grpc::Slice> slices;
  if (!buffer.Dump(&slices).ok()) return text;
  for (const grpc::Slice& slice : slices) {
    text.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return text;
}

std::vector<EndpointPtr> Core::Candidates(const Call& call) const {
  if (call.only) return {call.only};
  return endpoints_.all();
}

void Core::Advance(const CallPtr& call, EndedCalls* ended) {
  if (call->cancelled) return End(call, Cancelled(false), {}, ended);
  const MonotonicUs now = Now();
  if (now >= call->deadline) return EndOutOfTime(call, ended);
  if (call->only) {
    if (call->only->ready(now)) return StartAttempt(call, call->only);
    return Wait(call, ended);
  }
  // Where every endpoint failed lately, the least bad of those connected will do.
  const bool accept_any = !endpoints_.HasOthers(now, call->last_failed);
  if (const EndpointPtr chosen = endpoints_.Choose(now, call->last_failed, accept_any)) {
    return StartAttempt(call, chosen);
  }
  Wait(call, ended);
}

void Core::StartAttempt(const CallPtr& call, const EndpointPtr& endpoint) {
  waiting_.erase(call);
  if (call->timer) call->timer->alarm->Cancel();
  call->timer = nullptr;
  call->state = Call::State::kCalling;
  ++call->attempts;
  if (call->stream) return StartStream(call, endpoint);
  call->attempt = std::make_unique<Attempt>();
  Attempt& attempt = *call->attempt;
  attempt.endpoint = endpoint;
  MonotonicUs deadline = call->deadline;
  // With another endpoint to turn to, a read need not spend all its time on a silent one.
  if (call->read_only && !call->only && endpoints_.size() > 1) {
    deadline = std::min(deadline, Now() + ToUs(options_.silence_timeout));
  }
  attempt.context.set_deadline(ToTimespec(deadline));
  SetUpContext(*call, &attempt.context);
  grpc::GenericStub stub(endpoint->channel());
  attempt.reader = stub.PrepareUnaryCall(&attempt.context, call->method, call->request, &queue_);
  attempt.reader->StartCall();
  attempt.reader->Finish(&attempt.response, &attempt.status,
                         NewEvent([this, call](bool) { OnAttemptDone(call); }));
}

void Core::SetUpContext(const Call& call, grpc::ClientContext* context) const {
  context->AddMetadata("client-api-version", kClientVersion);
  if (call.require_leader) context->AddMetadata("hasleader", "true");
}

void Core::OnAttemptDone(const CallPtr& call) {
  EndedCalls ended;
  {
    const LocalLock lock(mutex_);
    const std::unique_ptr<Attempt> attempt = std::move(call->attempt);
    const EndpointPtr& endpoint = attempt->endpoint;
    if (attempt->status.ok()) {
      NoteAnswer(endpoint, Status(), call->only != nullptr);
      Status status;
      status.set_endpoint(endpoint->address());
      End(call, std::move(status), ToString(attempt->response), &ended);
    } else {
      Status status =
          FromRpc(static_cast<Code>(attempt->status.error_code()), attempt->status.error_message());
      status.set_endpoint(endpoint->address());
      JudgeAttempt(call, endpoint, std::move(status), &ended);
    }
  }
  RunEnded(std::move(ended));
}

void Core::JudgeAttempt(const CallPtr& call, const EndpointPtr& endpoint, Status status,
                        EndedCalls* ended) {
  const MonotonicUs now = Now();
  if (call->cancelled && status.error_class() != ErrorClass::kRejected) {
    Status cancelled = Cancelled(status.error_class() == ErrorClass::kUnknown);
    cancelled.set_endpoint(endpoint->address());
    return End(call, std::move(cancelled), {}, ended);
  }
  NoteAnswer(endpoint, status, call->only != nullptr);
  if (status.reason() == Reason::kDeadline) {
    // gRPC's text does not say how long that was.
    const std::chrono::nanoseconds timeout =
        now >= call->deadline ? call->timeout : options_.silence_timeout;
    // A write is only sent again after an answer.
    Status late = !call->read_only && call->last_status
                      ? DeadlineOverAfter(*call->last_status, timeout)
                      : DeadlineOver(timeout, /*sent=*/true);
    late.set_endpoint(endpoint->address());
    status = std::move(late);
  }
  if (!MayRetry(*call, status)) return End(call, std::move(status), {}, ended);
  call->last_failed = endpoint.get();
  const bool busy = IsBusy(status.reason());
  // That time was up tells less than what the cluster said before, if it said something.
  if (!call->last_status || status.reason() != Reason::kDeadline) {
    call->last_status = std::move(status);
  }
  if (now >= call->deadline) return EndOutOfTime(call, ended);
  if (!busy && static_cast<size_t>(call->attempts) < Candidates(*call).size()) {
    return Advance(call, ended);
  }
  BackOff(call, ended);
}

void Core::NoteAnswer(const EndpointPtr& endpoint, const Status& status, bool constrained) {
  const MonotonicUs now = Now();
  if (status.reason() == Reason::kBadResponse) {
    // No member, or none that can be reached through it.
    endpoint->OnFailure(now);
  } else if (status.ok() || status.error_class() == ErrorClass::kRejected ||
             status.reason() == Reason::kNoSpace) {
    endpoint->OnAnswer();
    if (!constrained) endpoints_.Prefer(endpoint);
  } else if (status.reason() == Reason::kLearner) {
    endpoint->AvoidUntil(now + kAvoidLearner);
  } else if (IsBusy(status.reason())) {
    endpoint->AvoidUntil(now + kAvoidBusy);
  } else {
    endpoint->OnFailure(now);
    if (status.reason() == Reason::kConnection) endpoint->OnConnectionLost(now);
  }
}

bool Core::MayRetry(const Call& call, const Status& status) const {
  switch (status.error_class()) {
    case ErrorClass::kNone:
      return false;
    case ErrorClass::kRejected:
      // What is no member says nothing of the others.
      return SaysNoMember(status) && static_cast<size_t>(call.attempts) < Candidates(call).size();
    case ErrorClass::kDropped:
      return !(call.only && status.reason() == Reason::kLearner);
    case ErrorClass::kUnknown:
      break;
  }
  if (!call.read_only) return false;
  // What nobody has a name for is worth asking another member, but not for ever.
  if (status.reason() == Reason::kOther) {
    return static_cast<size_t>(call.attempts) <= Candidates(call).size();
  }
  return true;
}

MonotonicUs Core::NextDelay(int failures) {
  if (failures <= 0) return 0;
  const MonotonicUs delay = std::min(kBackOffFirst << std::min(failures - 1, 6), kBackOffMax);
  // Half of it at random, so that many clients do not come back together.
  jitter_ = jitter_ * 6364136223846793005u + 1442695040888963407u;
  return delay / 2 + static_cast<MonotonicUs>((jitter_ >> 33) % (delay / 2));
}

void Core::BackOff(const CallPtr& call, EndedCalls* ended) {
  const MonotonicUs at = Now() + NextDelay(call->attempts);
  if (at >= call->deadline) return EndOutOfTime(call, ended);
  call->state = Call::State::kBackingOff;
  SetTimer(call, at);
}

void Core::Wait(const CallPtr& call, EndedCalls* ended) {
  const MonotonicUs now = Now();
  call->state = Call::State::kWaiting;
  call->dialling_all = false;
  call->accept_any = false;
  call->dial_deadline = std::min(call->deadline, now + ToUs(options_.dial_timeout));
  waiting_.insert(call);
  if (call->only) {
    Watch(call->only);
    // gRPC tries again by itself, and shows nothing of it until it succeeds.
    if (call->only->state() == GRPC_CHANNEL_TRANSIENT_FAILURE) {
      call->dial_deadline = std::min(call->dial_deadline, now + kNamedAgain);
    }
  } else if (call->last_failed != nullptr) {
    // No time is to be lost: all others at once.
    DialAll(call.get());
  } else {
    Watch(endpoints_.FirstToDial(now, call->last_failed));
  }
  if (TryLeaveWaiting(call)) return;
  if (now >= call->dial_deadline) return EndUnreachable(call, ended);
  SetTimer(call,
           call->only ? call->dial_deadline : std::min(now + kHeadStart, call->dial_deadline));
}

void Core::DialAll(Call* call) {
  call->dialling_all = true;
  for (const EndpointPtr& endpoint : endpoints_.all()) Watch(endpoint);
}

bool Core::TryLeaveWaiting(const CallPtr& call) {
  // Its timer is about to end it; nothing may be sent any more.
  if (call->cancelled) return false;
  EndpointPtr chosen;
  if (call->only) {
    if (call->only->ready(Now())) chosen = call->only;
  } else {
    chosen = endpoints_.Choose(Now(), call->last_failed, call->accept_any);
  }
  if (!chosen) return false;
  StartAttempt(call, chosen);
  return true;
}

void Core::Watch(const EndpointPtr& endpoint) {
  if (endpoint->watched) return;
  endpoint->watched = true;
  const grpc_connectivity_state seen = endpoint->Dial();
  endpoint->channel()->NotifyOnStateChange(
      seen, ToTimespec(Now() + kWatchSlice), &queue_,
      NewEvent([this, endpoint](bool changed) { OnEndpointChanged(endpoint, changed); }));
}

void Core::OnEndpointChanged(const EndpointPtr& endpoint, bool changed) {
  EndedCalls ended;
  {
    const LocalLock lock(mutex_);
    endpoint->watched = false;
    if (changed) endpoint->OnStateChanged();
    if (closing_) return;
    const bool refused = changed && endpoint->state() == GRPC_CHANNEL_TRANSIENT_FAILURE;
    bool wanted = false;
    const std::set<CallPtr> waiting = waiting_;
    for (const CallPtr& call : waiting) {
      if (call->only && call->only != endpoint) continue;
      if (TryLeaveWaiting(call)) continue;
      if (refused && call->only) {
        Explain(call, &ended);
        continue;
      }
      if (refused && !call->dialling_all) {
        DialAll(call.get());
      }
      wanted = true;
    }
    if (wanted) Watch(endpoint);
  }
  RunEnded(std::move(ended));
}

void Core::OnTimer(const CallPtr& call, const Event* timer) {
  EndedCalls ended;
  {
    const LocalLock lock(mutex_);
    if (closing_ || call->timer != timer) return;
    call->timer = nullptr;
    if (call->cancelled) {
      End(call, Cancelled(false), {}, &ended);
    } else if (call->state == Call::State::kBackingOff) {
      Advance(call, &ended);
    } else if (call->state == Call::State::kWaiting) {
      if (!call->only) DialAll(call.get());
      // A return to what is no member is most likely in vain.
      call->accept_any = !CameFromNoMember(*call) || Now() >= call->dial_deadline;
      if (!TryLeaveWaiting(call)) {
        if (Now() >= call->dial_deadline) {
          EndUnreachable(call, &ended);
        } else {
          SetTimer(call, call->dial_deadline);
        }
      }
    }
  }
  RunEnded(std::move(ended));
}

void Core::EndUnreachable(const CallPtr& call, EndedCalls* ended) {
  const bool told = call->last_status && (CameFromNoMember(*call) || Now() >= call->deadline);
  if (told) return EndOutOfTime(call, ended);
  Explain(call, ended);
}

void Core::Explain(const CallPtr& call, EndedCalls* ended) {
  waiting_.erase(call);
  if (call->timer) call->timer->alarm->Cancel();
  call->timer = nullptr;
  call->state = Call::State::kExplaining;
  for (const EndpointPtr& endpoint : Candidates(*call)) {
    auto probe = std::make_unique<Attempt>();
    probe->endpoint = endpoint;
    // Only a connection that failed says why; a call on any other would wait for it.
    if (endpoint->state() == GRPC_CHANNEL_TRANSIENT_FAILURE) {
      probe->context.set_deadline(ToTimespec(Now() + kProbeTime));
      grpc::GenericStub stub(endpoint->channel());
      const grpc::Slice nothing;
      probe->reader = stub.PrepareUnaryCall(&probe->context, "/grpc.health.v1.Health/Check",
                                            grpc::ByteBuffer(&nothing, 1), &queue_);
      probe->reader->StartCall();
      probe->reader->Finish(&probe->response, &probe->status,
                            NewEvent([this, call](bool) { OnProbeDone(call); }));
      ++call->probes_left;
    }
    call->probes.push_back(std::move(probe));
  }
  if (call->probes_left == 0) EndExplained(call, ended);
}

void Core::OnProbeDone(const CallPtr& call) {
  EndedCalls ended;
  {
    const LocalLock lock(mutex_);
    if (--call->probes_left == 0) EndExplained(call, &ended);
  }
  RunEnded(std::move(ended));
}

void Core::EndExplained(const CallPtr& call, EndedCalls* ended) {
  if (call->cancelled) return End(call, Cancelled(false), {}, ended);
  std::string details;
  for (const auto& probe : call->probes) {
    if (!details.empty()) details += ", ";
    details += probe->endpoint->address() + " (";
    if (!probe->reader) {
      details += kNoAnswer;
    } else if (probe->status.error_code() == grpc::StatusCode::UNAVAILABLE) {
      details += ConnectError(probe->status.error_message());
    } else {
      details += "connected too late";
    }
    details += ")";
  }
  End(call, NoEndpoint(details), {}, ended);
}

void Core::EndOutOfTime(const CallPtr& call, EndedCalls* ended) {
  if (!call->last_status) {
    return End(call, DeadlineOver(call->timeout, /*sent=*/false), {}, ended);
  }
  // What the cluster said last tells more than that time is up.
  Status last = *std::move(call->last_status);
  if (last.reason() == Reason::kDeadline) {
    Status late = DeadlineOver(call->timeout, /*sent=*/true);
    late.set_endpoint(last.endpoint());
    last = std::move(late);
  }
  End(call, std::move(last), {}, ended);
}

}  // namespace gavel::client::internal
