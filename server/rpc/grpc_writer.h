// The adapter's end of a stream: a queue between a handler on any thread and the I/O thread.
#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <optional>

#include "server/rpc/service.h"

namespace gavel::server {

class GrpcCall;
class GrpcLoop;

// Outlives its call: what is written after the end is dropped.
class GrpcWriter final : public StreamWriter, public std::enable_shared_from_this<GrpcWriter> {
 public:
  GrpcWriter(std::shared_ptr<GrpcLoop> loop, GrpcCall* call, size_t high_mark);

  // StreamWriter. Any thread.
  size_t Write(Encoded message) override;
  size_t high_mark() const override { return high_mark_; }
  void Finish(RpcStatus status) override;

  // The rest is for the loop's thread.

  // What to send next: a message, the end, both (the last message), or nothing.
  struct Next {
    std::optional<Encoded> message;
    bool more = false;  // Another message follows at once.
    std::optional<RpcStatus> finish;
  };
  Next Take();
  // The message taken last has gone. Returns whether the handler wants to know.
  bool OnWritten();
  bool above_high_mark();
  // The call is over.
  void Close();
  GrpcCall* call() const { return call_; }  // Null once closed.

 private:
  void Wake();

  const std::shared_ptr<GrpcLoop> loop_;
  const size_t high_mark_;
  GrpcCall* call_;

  std::mutex mutex_;
  std::deque<Encoded> queue_;  // Guarded by mutex_, as is the rest.
  size_t bytes_ = 0;           // Of the queue and the message under way.
  size_t bytes_under_way_ = 0;
  std::optional<RpcStatus> finish_;
  bool was_above_ = false;  // Above the high mark, and the handler was not told of the end of it.
  bool woken_ = false;      // The loop knows that there is something to take.
  bool closed_ = false;
};

}  // namespace gavel::server
