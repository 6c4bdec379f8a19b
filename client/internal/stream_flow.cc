// How a stream is opened, read, written and ended, and the Core's timers.
#include <utility>

#include <grpcpp/generic/generic_stub.h>

#include "client/internal/core.h"
#include "client/internal/errors.h"

namespace gavel::client::internal {

StreamPtr Core::OpenStream(StreamSpec spec, StreamEvents events) {
  auto stream = std::make_shared<Stream>();
  stream->events = std::move(events);
  auto call = std::make_shared<Call>();
  call->method = spec.method;
  call->require_leader = spec.options.require_leader;
  call->timeout = spec.options.timeout.count() > 0 ? spec.options.timeout : options_.dial_timeout;
  call->deadline = Now() + ToUs(call->timeout);
  call->stream = stream;
  call->done = [stream](Status status, const std::string&) {
    // Let go of what the owner put in, which may own the stream.
    const StreamEvents last = std::move(stream->events);
    last.ended(std::move(status));
  };
  EndedCalls ended;
  const LocalLock lock(mutex_);
  if (closing_) return nullptr;
  stream->call = call;
  if (!spec.options.endpoint.empty()) {
    const Result<std::string> address = ParseEndpoint(spec.options.endpoint);
    // Without time for a connection none is waited for, so nothing has ended here.
    call->only = endpoints_.Find(address.ok() ? *address : spec.options.endpoint);
  }
  calls_.insert(call);
  Advance(call, &ended);
  return stream;
}

void Core::StartStream(const CallPtr& call, const EndpointPtr& endpoint) {
  const StreamPtr& stream = call->stream;
  stream->endpoint = endpoint;
  SetUpContext(*call, &stream->context);
  grpc::GenericStub stub(endpoint->channel());
  stream->io = stub.PrepareCall(&stream->context, call->method, &queue_);
  ++open_streams_;
  stream->io->StartCall(NewEvent([this, stream](bool ok) { OnStreamOpened(stream, ok); }));
}

void Core::MoveStream(const StreamPtr& stream) {
  if (!stream->open && !stream->broken) return;
  if (stream->broken) {
    // An operation under way fails soon, and comes here again.
    if (stream->reading || stream->finishing) return;
    stream->finishing = true;
    stream->io->Finish(&stream->status,
                       NewEvent([this, stream](bool) { OnStreamFinished(stream); }));
    return;
  }
  if (stream->read_wanted && !stream->reading) {
    stream->read_wanted = false;
    stream->reading = true;
    stream->io->Read(&stream->incoming,
                     NewEvent([this, stream](bool ok) { OnMessageRead(stream, ok); }));
  }
  if (stream->writing || stream->half_closed) return;
  if (!stream->outgoing.empty()) {
    stream->writing = true;
    const grpc::ByteBuffer message = std::move(stream->outgoing.front());
    stream->outgoing.pop_front();
    stream->io->Write(message, NewEvent([this, stream](bool ok) { OnMessageSent(stream, ok); }));
  } else if (stream->half_close_wanted) {
    stream->writing = true;
    stream->half_closed = true;
    stream->io->WritesDone(NewEvent([this, stream](bool ok) { OnMessageSent(stream, ok); }));
  }
}

void Core::OnStreamOpened(const StreamPtr& stream, bool ok) {
  bool tell = false;
  {
    const LocalLock lock(mutex_);
    stream->open = ok;
    if (!ok || stream->call->cancelled) stream->broken = true;
    tell = !stream->broken;
    MoveStream(stream);
  }
  if (tell && stream->events.opened) stream->events.opened(stream->endpoint->address());
}

void Core::OnMessageRead(const StreamPtr& stream, bool ok) {
  std::string message;
  {
    const LocalLock lock(mutex_);
    stream->reading = false;
    if (!ok || stream->call->cancelled) {
      stream->broken = true;
      return MoveStream(stream);
    }
    if (!std::exchange(stream->answered, true)) {
      stream->endpoint->OnAnswer();
      if (!stream->call->only) endpoints_.Prefer(stream->endpoint);
    }
    message = ToString(stream->incoming);
  }
  stream->events.message(std::move(message));
}

void Core::OnMessageSent(const StreamPtr& stream, bool ok) {
  const LocalLock lock(mutex_);
  stream->writing = false;
  if (!ok) stream->broken = true;
  MoveStream(stream);
}

void Core::OnStreamFinished(const StreamPtr& stream) {
  EndedCalls ended;
  {
    const LocalLock lock(mutex_);
    const CallPtr call = stream->call;
    Status status;
    if (stream->left_as_silent) {
      status = DeadlineOver(options_.silence_timeout, /*sent=*/true);
    } else if (call->cancelled) {
      status = Cancelled(/*sent=*/true);
    } else if (stream->status.ok()) {
      // Servers end streams so when they stop.
      stream->endpoint->AvoidUntil(Now() + kAvoidBusy);
    } else {
      status =
          FromRpc(static_cast<Code>(stream->status.error_code()), stream->status.error_message());
      NoteAnswer(stream->endpoint, status, call->only != nullptr);
    }
    status.set_endpoint(stream->endpoint->address());
    End(call, std::move(status), {}, &ended);
    --open_streams_;
    if (closing_ && open_streams_ == 0) queue_.Shutdown();
  }
  RunEnded(std::move(ended));
}

void Core::StopStream(const StreamPtr& stream) {
  stream->context.TryCancel();
  stream->outgoing.clear();
  // Before it is open, that event comes first.
  if (!stream->open) return;
  stream->broken = true;
  MoveStream(stream);
}

void Core::Send(const StreamPtr& stream, std::string message) {
  const grpc::Slice slice(message);
  const LocalLock lock(mutex_);
  if (!stream->call || stream->call->cancelled || stream->broken) return;
  stream->outgoing.emplace_back(&slice, 1);
  MoveStream(stream);
}

void Core::HalfClose(const StreamPtr& stream) {
  const LocalLock lock(mutex_);
  stream->half_close_wanted = true;
  MoveStream(stream);
}

void Core::ReadOn(const StreamPtr& stream) {
  const LocalLock lock(mutex_);
  stream->read_wanted = true;
  MoveStream(stream);
}

void Core::CancelStream(const StreamPtr& stream) {
  CallPtr call;
  {
    const LocalLock lock(mutex_);
    call = stream->call;
  }
  if (call) Cancel(call);
}

bool Core::LeaveSilentStream(const StreamPtr& stream) {
  {
    const LocalLock lock(mutex_);
    if (!stream->call || stream->call->only || endpoints_.size() < 2 || !stream->endpoint) {
      return false;
    }
    stream->left_as_silent = true;
    stream->endpoint->OnFailure(Now());
  }
  CancelStream(stream);
  return true;
}

// --- Timers -----------------------------------------------------------------------------------

TimerPtr Core::NewTimer(MonotonicUs at, bool even_if_closing, std::function<void()> run) {
  auto timer = std::make_shared<Timer>();
  timer->even_if_closing = even_if_closing;
  auto event = std::make_unique<Event>();
  event->run = [this, timer, run = std::move(run)](bool) { OnTimerFired(timer, run); };
  event->alarm.emplace();
  timer->event = event.get();
  event->alarm->Set(&queue_, ToTimespec(at), event.release());
  return timer;
}

TimerPtr Core::StartTimer(MonotonicUs at, std::function<void()> run, bool even_if_closing) {
  const LocalLock lock(mutex_);
  if (closing_) return nullptr;
  TimerPtr timer = NewTimer(at, even_if_closing, std::move(run));
  timers_.insert(timer);
  return timer;
}

void Core::CancelTimer(const TimerPtr& timer) {
  if (!timer) return;
  const LocalLock lock(mutex_);
  if (timers_.erase(timer) == 0) return;
  timer->even_if_closing = false;
  timer->event->alarm->Cancel();
}

bool Core::Post(std::function<void()> run) {
  const LocalLock lock(mutex_);
  if (closing_) return false;
  NewTimer(0, /*even_if_closing=*/true, std::move(run));
  return true;
}

void Core::OnTimerFired(const TimerPtr& timer, const std::function<void()>& run) {
  {
    const LocalLock lock(mutex_);
    timer->event = nullptr;
    if (timers_.erase(timer) == 0 && !timer->even_if_closing) return;
  }
  run();
}

MonotonicUs Core::BackOffDelay(int failures) {
  const LocalLock lock(mutex_);
  return NextDelay(failures);
}

}  // namespace gavel::client::internal
