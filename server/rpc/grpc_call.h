// One call of the gRPC adapter, unary or streaming, from its arrival to its last event.
//
// A call object is reused for call after call. Used by its loop's thread alone, except for the
// unary completion, which hands itself to the loop.
#pragma once

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "server/rpc/grpc_loop.h"
#include "server/rpc/service.h"

namespace gavel::server {

enum class GrpcCallEvent : uint8_t { kArrived, kRead, kWritten, kFinished, kDone };

// What a completion queue hands back.
struct GrpcCallTag {
  GrpcCall* call;
  GrpcCallEvent event;
};

// States: armed (waits for a client), open, released (gRPC's part is gone). A unary call whose
// handler has not answered stays out of reuse after its release.
class GrpcCall {
 public:
  explicit GrpcCall(GrpcLoop* loop) : loop_(loop) {}

  void Arm();
  void OnEvent(GrpcCallEvent event, bool ok);
  // Answers a unary call.
  void Complete(RpcStatus status, Encoded message);
  // Sends what the stream's writer has queued.
  void Pump();
  void OnDrain();
  // Gives up gRPC's part of the call; nothing can be sent after.
  void Release();

  size_t place() const { return place_; }
  void set_place(size_t place) { place_ = place; }

 private:
  class Reply;

  void OnArrived();
  void StartUnary();
  void StartStream();
  void OnUnaryRequest(bool ok);
  void OnStreamMessage(bool ok);
  void OnDone();
  void TellHandlerTheEnd();
  // Ends a stream that its handler has not ended.
  void EndStream(RpcStatus status);
  void ReadNext();
  void FinishWith(const RpcStatus& status, const Encoded* last_message);
  void RecordEnd(StatusCode code, size_t response_bytes);
  void ReleaseIfOver();
  CallContext Context();
  std::optional<std::string> TakeMessage();

  GrpcLoop* const loop_;
  size_t place_ = 0;
  GrpcCallTag arrived_{this, GrpcCallEvent::kArrived};
  GrpcCallTag read_{this, GrpcCallEvent::kRead};
  GrpcCallTag written_{this, GrpcCallEvent::kWritten};
  GrpcCallTag finished_{this, GrpcCallEvent::kFinished};
  GrpcCallTag done_{this, GrpcCallEvent::kDone};

  std::optional<grpc::GenericServerContext> context_;
  std::optional<grpc::GenericServerAsyncReaderWriter> stream_;
  grpc::ByteBuffer received_;
  const FrontMethod* method_ = nullptr;  // Null: not served.
  MonotonicNs started_ = 0;
  size_t request_bytes_ = 0;
  // Operations whose event has not come; the call's end (kDone) is not one of them.
  int under_way_ = 0;
  bool reading_ = false;
  bool writing_ = false;
  bool wrote_ = false;      // A message has been sent or is on its way.
  bool finishing_ = false;  // The status is on its way.
  bool done_seen_ = false;
  bool half_closed_ = false;  // The client sends no more.
  bool answer_due_ = false;   // A unary handler holds the completion.
  // Keeps the loop's memory while a handler holds the completion.
  std::shared_ptr<GrpcLoop> keep_;

  std::shared_ptr<GrpcWriter> writer_;      // Streams only.
  std::shared_ptr<StreamHandler> handler_;  // Streams only; null once told of the end.
};

}  // namespace gavel::server
