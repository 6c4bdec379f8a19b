#include "server/rpc/grpc_call.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "raft/check.h"
#include "server/rpc/error_map.h"
#include "server/rpc/grpc_writer.h"

namespace gavel::server {
namespace {

// Below this, copying is cheaper than sharing.
constexpr size_t kCopyBytesMax = 1024;

grpc::Slice SharedSlice(std::shared_ptr<const std::string> bytes) {
  auto holder = std::make_unique<std::shared_ptr<const std::string>>(std::move(bytes));
  const std::string& text = **holder;
  return grpc::Slice(
      const_cast<char*>(text.data()), text.size(),
      [](void* data) {
        const std::unique_ptr<std::shared_ptr<const std::string>> done(
            static_cast<std::shared_ptr<const std::string>*>(data));
      },
      holder.release());
}

grpc::ByteBuffer ToBuffer(const Encoded& message) {
  const auto& parts = message.slices();
  std::vector<grpc::Slice> slices;
  slices.reserve(std::max<size_t>(parts.size(), 1));
  for (const auto& part : parts) {
    slices.push_back(part->size() <= kCopyBytesMax ? grpc::Slice(part->data(), part->size())
                                                   : SharedSlice(part));
  }
  if (slices.empty()) slices.emplace_back();
  return grpc::ByteBuffer(slices.data(), slices.size());
}

std::optional<std::string> ToString(grpc::ByteBuffer& buffer) {
  grpc::Slice single;
  if (buffer.TrySingleSlice(&single).ok()) {
    return std::string(reinterpret_cast<const char*>(single.begin()), single.size());
  }
  std::vector<grpc::Slice> slices;
  if (!buffer.Dump(&slices).ok()) return std::nullopt;
  std::string bytes;
  bytes.reserve(buffer.Length());
  for (const grpc::Slice& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return bytes;
}

grpc::Status ToGrpc(const RpcStatus& status) {
  if (status.ok()) return grpc::Status();
  return grpc::Status(static_cast<grpc::StatusCode>(status.code), status.message);
}

}  // namespace

// Answers the call when it runs, and as "server stopped" when it is dropped instead.
class GrpcCall::Reply {
 public:
  explicit Reply(GrpcCall* call) : call_(call) {}
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
    GrpcCall* call = std::exchange(call_, nullptr);
    GAVEL_CHECK(call != nullptr) << "a call is answered twice";
    const std::shared_ptr<GrpcLoop> loop = std::move(call->keep_);
    loop->Reply(call, std::move(status), std::move(message));
  }

  GrpcCall* call_;
};

void GrpcCall::Arm() {
  context_.emplace();
  stream_.emplace(&*context_);
  method_ = nullptr;
  request_bytes_ = 0;
  under_way_ = 1;
  reading_ = writing_ = wrote_ = finishing_ = done_seen_ = half_closed_ = answer_due_ = false;
  context_->AsyncNotifyWhenDone(&done_);
  loop_->shared().service.RequestCall(&*context_, &*stream_, loop_->queue(), loop_->queue(),
                                      &arrived_);
}

void GrpcCall::OnEvent(GrpcCallEvent event, bool ok) {
  if (event == GrpcCallEvent::kDone) {
    OnDone();
    return;
  }
  --under_way_;
  switch (event) {
    case GrpcCallEvent::kArrived:
      if (!ok) {
        // The server has shut down; no end of the call will be announced.
        Release();
        loop_->Recycle(this);
        return;
      }
      OnArrived();
      break;
    case GrpcCallEvent::kRead:
      reading_ = false;
      if (writer_ != nullptr) {
        OnStreamMessage(ok);
      } else {
        OnUnaryRequest(ok);
      }
      break;
    case GrpcCallEvent::kWritten:
      writing_ = false;
      if (writer_->OnWritten() && handler_ != nullptr && !done_seen_) handler_->OnWritable();
      Pump();
      ReadNext();
      break;
    case GrpcCallEvent::kFinished:
    case GrpcCallEvent::kDone:
      break;
  }
  ReleaseIfOver();
}

void GrpcCall::OnArrived() {
  loop_->Arm();
  GrpcShared& shared = loop_->shared();
  started_ = shared.clock.Now();
  method_ = shared.Find(context_->method());
  if (method_ == nullptr) {
    FinishWith(shared.router->Unknown(context_->method()), nullptr);
    return;
  }
  method_->metrics->OnStarted();
  if (method_->unary != nullptr) {
    ReadNext();
  } else {
    StartStream();
  }
}

void GrpcCall::StartStream() {
  writer_ = std::make_shared<GrpcWriter>(loop_->shared_from_this(), this,
                                         loop_->shared().options.stream_high_mark);
  handler_ = (*method_->stream)(Context(), writer_);
  ReadNext();
}

void GrpcCall::ReadNext() {
  if (reading_ || finishing_ || half_closed_ || done_seen_ || loop_->closing()) return;
  // A client that does not read what it asked for may not ask for more.
  if (writer_ != nullptr && writer_->above_high_mark()) return;
  reading_ = true;
  ++under_way_;
  stream_->Read(&received_, &read_);
}

std::optional<std::string> GrpcCall::TakeMessage() {
  GrpcShared& shared = loop_->shared();
  const size_t bytes = received_.Length();
  request_bytes_ += bytes;
  shared.CountReceived(*method_, bytes);
  std::optional<std::string> message;
  if (bytes <= shared.options.message_bytes_max) message = ToString(received_);
  received_.Clear();
  return message;
}

void GrpcCall::OnUnaryRequest(bool ok) {
  if (!ok) {
    half_closed_ = true;
    if (!done_seen_) FinishWith(MalformedRequest(), nullptr);
    return;
  }
  const size_t bytes = received_.Length();
  std::optional<std::string> request = TakeMessage();
  if (!request) {
    FinishWith(MessageTooLarge(bytes, loop_->shared().options.message_bytes_max), nullptr);
    return;
  }
  answer_due_ = true;
  keep_ = loop_->shared_from_this();
  // The handler may answer before it returns.
  (*method_->unary)(std::move(*request), Context(), Reply(this));
}

void GrpcCall::OnStreamMessage(bool ok) {
  if (!ok) {
    half_closed_ = true;
    if (handler_ != nullptr && !finishing_ && !done_seen_) handler_->OnHalfClose();
    return;
  }
  const size_t bytes = received_.Length();
  std::optional<std::string> message = TakeMessage();
  if (finishing_ || done_seen_) return;
  if (!message) {
    EndStream(MessageTooLarge(bytes, loop_->shared().options.message_bytes_max));
    return;
  }
  if (handler_ != nullptr) handler_->OnMessage(std::move(*message));
  ReadNext();
}

void GrpcCall::Complete(RpcStatus status, Encoded message) {
  answer_due_ = false;
  if (!context_) {
    loop_->Recycle(this);
    return;
  }
  FinishWith(status, status.ok() ? &message : nullptr);
}

void GrpcCall::Pump() {
  if (writing_ || finishing_ || done_seen_ || loop_->closing()) return;
  GrpcWriter::Next next = writer_->Take();
  if (next.finish) {
    FinishWith(*next.finish, next.message ? &*next.message : nullptr);
    return;
  }
  if (!next.message) return;
  loop_->shared().CountSent(*method_, next.message->bytes());
  grpc::WriteOptions options;
  // Several messages go out in one packet; the last of them pushes it. Not so the first, which
  // carries the initial metadata: gRPC would wait for another push before it reports it as sent.
  if (next.more && wrote_) options.set_buffer_hint();
  wrote_ = true;
  writing_ = true;
  ++under_way_;
  stream_->Write(ToBuffer(*next.message), options, &written_);
}

void GrpcCall::FinishWith(const RpcStatus& status, const Encoded* last_message) {
  finishing_ = true;
  if (loop_->closing()) return;
  ++under_way_;
  if (last_message != nullptr) loop_->shared().CountSent(*method_, last_message->bytes());
  RecordEnd(status.code, last_message == nullptr ? 0 : last_message->bytes());
  if (last_message == nullptr) {
    stream_->Finish(ToGrpc(status), &finished_);
    return;
  }
  stream_->WriteAndFinish(ToBuffer(*last_message), grpc::WriteOptions(), ToGrpc(status),
                          &finished_);
}

void GrpcCall::RecordEnd(StatusCode code, size_t response_bytes) {
  loop_->shared().RecordEnd({method_, started_, request_bytes_, response_bytes}, code,
                            [this] { return std::string(context_->peer()); });
}

void GrpcCall::OnDone() {
  done_seen_ = true;
  if (!finishing_) {
    RecordEnd(StatusCode::kCancelled, 0);
    // First, so that a handler which has been told finds every writer deaf.
    if (writer_ != nullptr) writer_->Close();
    TellHandlerTheEnd();
  }
  ReleaseIfOver();
}

void GrpcCall::TellHandlerTheEnd() {
  const std::shared_ptr<StreamHandler> handler = std::move(handler_);
  if (handler != nullptr) handler->OnCancel();
}

void GrpcCall::EndStream(RpcStatus status) {
  writer_->Finish(std::move(status));
  TellHandlerTheEnd();
}

void GrpcCall::OnDrain() {
  if (writer_ == nullptr || finishing_ || done_seen_) return;
  if (handler_ != nullptr && handler_->EndsByItself()) return;
  EndStream(ToStatus(Error::kStopped));
}

void GrpcCall::ReleaseIfOver() {
  if (!done_seen_ || under_way_ > 0 || !context_) return;
  Release();
  if (!answer_due_) loop_->Recycle(this);
}

void GrpcCall::Release() {
  if (writer_ != nullptr) writer_->Close();
  writer_.reset();
  handler_.reset();
  stream_.reset();
  context_.reset();
  received_.Clear();
}

CallContext GrpcCall::Context() {
  CallContext context;
  const auto& metadata = context_->client_metadata();
  context.metadata.reserve(metadata.size());
  for (const auto& [key, value] : metadata) {
    context.metadata.emplace_back(std::string(key.data(), key.size()),
                                  std::string(value.data(), value.size()));
  }
  const gpr_timespec deadline = context_->raw_deadline();
  if (gpr_time_cmp(deadline, gpr_inf_future(deadline.clock_type)) != 0) {
    const gpr_timespec left = gpr_time_sub(deadline, gpr_now(deadline.clock_type));
    context.deadline = loop_->shared().clock.Now() + left.tv_sec * kNsPerSecond + left.tv_nsec;
  }
  context.peer = context_->peer();
  context.executor = loop_->shared_from_this();
  return context;
}

}  // namespace gavel::server
