#include "server/http2/call.h"

#include <algorithm>
#include <utility>

#include "raft/check.h"
#include "server/http2/session.h"
#include "server/rpc/error_map.h"

namespace gavel::server {
namespace {

// What a call costs by itself, roughly: this object, HTTP/2's stream, its place in lists.
constexpr int64_t kCallBytes = 1024;
// An answer larger than this takes turns with others of its connection, and has a time limit.
constexpr size_t kLargeAnswer = 16 << 10;

}  // namespace

// Answers the call when it runs, and as "server stopped" when it is dropped instead.
class Call::Reply {
 public:
  explicit Reply(Call* call) : call_(call) {}
  Reply(Reply&& other) noexcept : call_(std::exchange(other.call_, nullptr)) {}
  Reply& operator=(Reply&&) = delete;
  ~Reply() {
    if (call_ != nullptr) Send(ToStatus(Error::kStopped), Encoded());
  }
  void operator()(RpcStatus status, Encoded message) && {
    Send(std::move(status), std::move(message));
  }

 private:
  void Send(RpcStatus status, Encoded message) {
    Call* call = std::exchange(call_, nullptr);
    GAVEL_CHECK(call != nullptr) << "a call is answered twice";
    const std::shared_ptr<IoLoop> loop = std::move(call->keep_);
    loop->Reply(call, std::move(status), std::move(message));
  }

  Call* call_;
};

bool Call::Open(Session& session, int32_t stream) {
  if (!session.Hold(kCallBytes)) return false;
  charged_ = kCallBytes;
  session_ = &session;
  stream_ = stream;
  method_ = nullptr;
  started_ = loop_.now();
  deadline_.reset();
  rules_ = HeaderRules();
  unknown_path_.clear();
  encoding_.clear();
  header_bytes_ = request_bytes_ = 0;
  is_post_ = is_grpc_ = bad_timeout_ = bad_metadata_ = false;
  reader_ = MessageReader();
  finish_.reset();
  serving_ = half_closed_ = head_sent_ = waiting_ = ended_ = asked_ = false;
  aborted_ = writable_due_ = told_when_sent_ = false;
  return true;
}

void Call::OnHeaders() {
  if (deadline_) loop_.timers().Set(*this, *deadline_);
  const Refusal refusal = CheckHeaders();
  if (refusal.http_status != 0) {
    ended_ = true;
    session_->SubmitTrailersOnly(stream_, refusal.http_status, refusal.status);
    return;
  }
  if (!Charge()) {
    FinishWith(ToStatus(Error::kTooManyRequests), nullptr);
    return;
  }
  serving_ = true;
  method_->metrics->OnStarted();
  if (method_->stream != nullptr) StartStream();
}

void Call::StartStream() {
  session_->TakeTurns(stream_);
  writer_ = std::make_shared<Http2StreamWriter>(loop_.shared_from_this(), this);
  handler_ = (*method_->stream)(Context(), writer_);
}

void Call::StartUnary(std::string request) {
  asked_ = true;
  answer_due_ = true;
  keep_ = loop_.shared_from_this();
  // The handler may answer before it returns.
  (*method_->unary)(std::move(request), Context(), Reply(this));
}

CallContext Call::Context() {
  CallContext context;
  context.metadata = std::exchange(metadata_, {});
  context.deadline = deadline_;
  context.peer = session_->peer();
  context.executor = loop_.shared_from_this();
  return context;
}

void Call::OnData(std::string_view bytes) {
  if (!serving_ || ended_ || asked_) return;
  if (!held_.empty()) {
    held_.append(bytes);
  } else {
    TakeMessages(bytes);
  }
  if (session_ != nullptr && !ended_ && !Charge()) Refuse(ToStatus(Error::kTooManyRequests));
}

void Call::TakeMessages(std::string_view bytes) {
  const size_t before = bytes.size();
  while (!bytes.empty()) {
    // A client that does not read what it asked for may not ask for more.
    if (writer_ != nullptr && writer_->above_high_mark()) {
      held_.assign(bytes);
      break;
    }
    const auto step = reader_.Take(&bytes, loop_.shared().options.message_bytes_max);
    if (step == MessageReader::Step::kTooLarge) {
      const uint64_t limit = loop_.shared().options.message_bytes_max;
      return Refuse(MessageTooLarge(reader_.announced(), limit));
    }
    if (step == MessageReader::Step::kCompressed) {
      return Refuse(
          {StatusCode::kInternal, "grpc: compressed flag set with identity or empty encoding"});
    }
    if (step == MessageReader::Step::kMore) break;
    OnMessage(reader_.TakeMessage());
    if (ended_ || asked_) return;
  }
  if (bytes.size() < before) session_->GiveCredit(stream_, before - bytes.size());
}

void Call::OnMessage(std::string message) {
  request_bytes_ += message.size();
  loop_.shared().CountReceived(*method_, message.size());
  if (method_->unary != nullptr) {
    StartUnary(std::move(message));
  } else if (handler_ != nullptr) {
    handler_->OnMessage(std::move(message));
  }
}

void Call::TakeHeld() {
  if (held_.empty() || ended_) return;
  const std::string bytes = std::exchange(held_, std::string());
  TakeMessages(bytes);
  if (ended_) return;
  Charge();  // Not more than before.
  if (half_closed_ && held_.empty()) TellHalfClose();
}

void Call::OnHalfClose() {
  half_closed_ = true;
  if (held_.empty()) TellHalfClose();
}

void Call::TellHalfClose() {
  if (!serving_ || ended_ || asked_) return;
  if (method_->unary != nullptr || reader_.within_message()) {
    Refuse(MalformedRequest());
  } else if (handler_ != nullptr) {
    handler_->OnHalfClose();
  }
}

void Call::Refuse(RpcStatus status) {
  if (writer_ != nullptr) {
    EndStream(std::move(status));
  } else {
    FinishWith(status, nullptr);
  }
}

void Call::Complete(const RpcStatus& status, Encoded message) {
  answer_due_ = false;
  if (session_ == nullptr) {
    loop_.Recycle(this);
    return;
  }
  FinishWith(status, status.ok() ? &message : nullptr);
}

void Call::SetPosted(RpcStatus status, Encoded message) {
  posted_status_ = std::move(status);
  posted_message_ = std::move(message);
  next_posted_ = nullptr;
}

Call* Call::CompletePosted() {
  Call* next = next_posted_;
  const RpcStatus status = std::move(posted_status_);
  Complete(status, std::exchange(posted_message_, Encoded()));
  return next;
}

void Call::FinishWith(const RpcStatus& status, Encoded* message) {
  if (ended_) return;
  ended_ = true;
  const size_t bytes = message == nullptr ? 0 : message->bytes();
  if (message != nullptr) {
    loop_.shared().CountSent(*method_, bytes);
    queue_.Push(std::move(*message));
    if (bytes > kLargeAnswer) LimitAnswer(bytes);
  }
  finish_ = status;
  RecordEnd(status.code, bytes);
  SendMore();
}

void Call::LimitAnswer(size_t bytes) {
  session_->TakeTurns(stream_);
  const Http2Limits& limits = loop_.shared().limits;
  const MonotonicNs end =
      loop_.now() + limits.answer_timeout +
      static_cast<MonotonicNs>(bytes) * kNsPerSecond / limits.answer_bytes_per_second;
  if (!deadline_ || end < *deadline_) loop_.timers().Set(*this, end);
}

void Call::Pump() {
  if (session_ == nullptr || ended_) return;
  Http2StreamWriter::Taken taken = writer_->Take();
  for (Http2StreamWriter::Queued& message : taken.messages) {
    const size_t bytes = message.bytes.bytes();
    if (message.framed == 0) {
      loop_.shared().CountSent(*method_, bytes);
      queue_.Push(std::move(message.bytes));
    } else {
      loop_.shared().CountSent(*method_, bytes - message.framed * kMessagePrefixBytes,
                               message.framed);
      queue_.PushFramed(std::move(message.bytes));
    }
  }
  if (taken.finish) {
    ended_ = true;
    finish_ = std::move(taken.finish);
    RecordEnd(finish_->code, 0);
  }
  if (ended_ || !queue_.empty()) SendMore();
}

void Call::SendMore() {
  if (!head_sent_ && queue_.empty()) {
    session_->SubmitTrailersOnly(stream_, 200, *finish_);
  } else if (!head_sent_) {
    head_sent_ = true;
    session_->SubmitHead(stream_, *this);
  } else if (std::exchange(waiting_, false)) {
    session_->Resume(stream_);
  }
}

std::optional<Call::Part> Call::NextPart(size_t bytes_max) {
  if (aborted_) return std::nullopt;
  Part part;
  part.bytes = std::min(bytes_max, queue_.bytes());
  part.last = part.bytes == queue_.bytes() && finish_.has_value();
  if (part.bytes > 0 || part.last) return part;
  waiting_ = true;
  return std::nullopt;
}

void Call::MovePart(OutBuffer& out, size_t bytes) {
  queue_.MoveTo(out, bytes);
  // Closed: the call is aborted.
  if (writer_ == nullptr || writer_->call() == nullptr) return;
  if (writer_->OnSent(bytes)) writable_due_ = true;
  if (!writable_due_ && held_.empty()) return;
  if (!std::exchange(told_when_sent_, true)) session_->CallWhenSent(stream_);
}

void Call::OnSent() {
  told_when_sent_ = false;
  if (std::exchange(writable_due_, false) && handler_ != nullptr && !ended_) {
    handler_->OnWritable();
  }
  TakeHeld();
}

void Call::EndStream(RpcStatus status) {
  writer_->Finish(std::move(status));
  TellHandlerTheEnd();
}

void Call::TellHandlerTheEnd() {
  const std::shared_ptr<StreamHandler> handler = std::move(handler_);
  if (handler != nullptr) handler->OnCancel();
}

void Call::OnDrain() {
  if (writer_ == nullptr || ended_) return;
  if (handler_ != nullptr && handler_->EndsByItself()) return;
  EndStream(ToStatus(Error::kStopped));
}

void Call::Abort(const RpcStatus& status) {
  if (!std::exchange(aborted_, true)) {
    const bool ended = std::exchange(ended_, true);
    if (!ended) RecordEnd(status.code, 0);
    if (ended || queue_.within_message()) {
      // An answer that is under way does not get through; nothing else can be said any more.
      session_->Reset(stream_, ResetCode::kCancel);
    } else if (head_sent_) {
      // Not behind what the client gives no window for.
      session_->SubmitTrailers(stream_, status);
    } else {
      session_->SubmitTrailersOnly(stream_, 200, status);
    }
  }
  if (writer_ != nullptr) writer_->Close();
  TellHandlerTheEnd();
}

void Call::OnTimer(MonotonicNs now) {
  if (ended_ && (!deadline_ || now < *deadline_)) session_->Note(ClientLimit::kAnswer);
  Abort(ToStatus(Error::kDeadlineExceeded));
}

void Call::OnClosed() {
  loop_.timers().Cancel(*this);
  const bool cut_off = !std::exchange(ended_, true);
  if (cut_off && serving_) RecordEnd(StatusCode::kCancelled, 0);
  session_->Release(std::exchange(charged_, 0));
  session_ = nullptr;
  // First, so that a handler which has been told finds every writer deaf.
  if (writer_ != nullptr) writer_->Close();
  if (cut_off) TellHandlerTheEnd();
  writer_.reset();
  handler_.reset();
  metadata_.clear();
  queue_.Clear();
  held_ = std::string();
  reader_ = MessageReader();
  if (!answer_due_) loop_.Recycle(this);
}

bool Call::Charge() {
  const auto holds = static_cast<int64_t>(kCallBytes + reader_.held() + held_.size() +
                                          (header_bytes_ > kCallBytes ? header_bytes_ : 0));
  if (holds > charged_ && !session_->Hold(holds - charged_)) return false;
  if (holds < charged_) session_->Release(charged_ - holds);
  charged_ = holds;
  return true;
}

void Call::RecordEnd(StatusCode code, size_t response_bytes) {
  loop_.shared().RecordEnd({serving_ ? method_ : nullptr, started_, request_bytes_, response_bytes},
                           code, [this] { return session_->peer(); });
}

}  // namespace gavel::server
