// One call over HTTP/2, unary or streaming, from its headers to its last frame.
//
// A call object is reused for call after call. Used by its loop's thread alone, except for the
// unary completion, which hands itself to the loop.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/http2/header_rules.h"
#include "server/http2/http2_options.h"
#include "server/http2/io_loop.h"
#include "server/http2/messages.h"
#include "server/http2/stream_writer.h"
#include "server/http2/timer_queue.h"
#include "server/rpc/service.h"

namespace gavel::server {

class Session;

// States: open (it has a stream), answer due (a unary handler holds the completion), both, or
// neither: then it waits for reuse.
class Call final : public Timer {
 public:
  explicit Call(IoLoop& loop) : loop_(loop) {}

  // From the session.

  // False if clients make the front hold too much already.
  bool Open(Session& session, int32_t stream);
  // False if the client has lost all measure.
  bool OnHeader(std::string_view name, std::string_view value);
  // The headers are whole.
  void OnHeaders();
  void OnData(std::string_view bytes);
  // The client sends no more.
  void OnHalfClose();
  // The stream is gone.
  void OnClosed();
  // What was filled in is sent, and the call had asked to be told.
  void OnSent();
  void OnDrain();
  // Ends the call now, dropping what has not left.
  void Abort(const RpcStatus& status);
  // The deadline.
  void OnTimer(MonotonicNs now) override;

  // What the next frame can hold: up to `bytes_max` bytes, and whether the trailers follow.
  // Nothing if there is neither; Resume says when there is.
  struct Part {
    size_t bytes = 0;
    bool last = false;
  };
  std::optional<Part> NextPart(size_t bytes_max);
  void MovePart(OutBuffer& out, size_t bytes);
  // Requires: NextPart was the last.
  const RpcStatus& finish() const { return *finish_; }

  HeaderRules& rules() { return rules_; }
  MonotonicNs opened() const { return started_; }
  bool half_closed() const { return half_closed_; }
  int32_t stream() const { return stream_; }
  size_t session_place() const { return session_place_; }
  void set_session_place(size_t place) { session_place_ = place; }

  // From the loop.

  // Answers a unary call.
  void Complete(const RpcStatus& status, Encoded message);
  // The answer of another thread, until the loop comes to it.
  void SetPosted(RpcStatus status, Encoded message);
  void set_next_posted(Call* next) { next_posted_ = next; }
  // Completes with the posted answer; returns the next posted call.
  Call* CompletePosted();
  // Sends what the stream's writer has queued.
  void Pump();

  size_t place() const { return place_; }
  void set_place(size_t place) { place_ = place; }

 private:
  class Reply;

  // Why the headers cannot be served; an http_status of 0 means that they can.
  struct Refusal {
    int http_status = 0;
    RpcStatus status;
  };
  Refusal CheckHeaders();
  void KeepMetadata(std::string_view name, std::string_view value);
  void StartStream();
  void StartUnary(std::string request);
  // Takes messages out of `bytes`; what may not be taken yet is held.
  void TakeMessages(std::string_view bytes);
  void TakeHeld();
  void OnMessage(std::string message);
  void TellHalfClose();
  // Refuses what the client has sent.
  void Refuse(RpcStatus status);
  // Ends a call that is not a stream, or not yet.
  void FinishWith(const RpcStatus& status, Encoded* message);
  // Has a large answer give way to others, and end some time.
  void LimitAnswer(size_t bytes);
  // Ends a stream that its handler has not ended.
  void EndStream(RpcStatus status);
  void SendMore();
  void TellHandlerTheEnd();
  void RecordEnd(StatusCode code, size_t response_bytes);
  // Counts what the call holds; false if that is too much.
  bool Charge();
  CallContext Context();

  IoLoop& loop_;
  size_t place_ = 0;
  size_t session_place_ = 0;

  Session* session_ = nullptr;  // Null: not open.
  int32_t stream_ = 0;
  const FrontMethod* method_ = nullptr;  // Null: not served.
  MonotonicNs started_ = 0;
  std::optional<MonotonicNs> deadline_;

  // Of the headers.
  HeaderRules rules_;
  std::string unknown_path_;
  std::string encoding_;  // Of messages; empty: none.
  std::vector<std::pair<std::string, std::string>> metadata_;
  size_t header_bytes_ = 0;
  bool is_post_ = false;
  bool is_grpc_ = false;
  bool bad_timeout_ = false;
  bool bad_metadata_ = false;

  MessageReader reader_;
  std::string held_;  // Received, and not taken while the handler's queue is full.
  size_t request_bytes_ = 0;
  int64_t charged_ = 0;

  MessageQueue queue_;
  std::optional<RpcStatus> finish_;  // Follows the queue.

  bool serving_ = false;         // The headers were good; the method is being carried out.
  bool half_closed_ = false;     // The client sends no more.
  bool head_sent_ = false;       // The answer's headers are submitted.
  bool waiting_ = false;         // NextPart had nothing.
  bool aborted_ = false;         // Ended without what was queued.
  bool ended_ = false;           // How it ends is decided.
  bool writable_due_ = false;    // The handler wants to know that the queue is low.
  bool told_when_sent_ = false;  // OnSent will be called.
  bool asked_ = false;           // A unary call has its request.
  bool answer_due_ = false;      // A unary handler holds the completion.

  // Keeps the loop's memory while a handler holds the completion.
  std::shared_ptr<IoLoop> keep_;
  RpcStatus posted_status_;
  Encoded posted_message_;
  Call* next_posted_ = nullptr;

  std::shared_ptr<Http2StreamWriter> writer_;  // Streams only.
  std::shared_ptr<StreamHandler> handler_;     // Streams only; null once told of the end.
};

}  // namespace gavel::server
