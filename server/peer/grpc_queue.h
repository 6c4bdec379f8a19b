// The completion queue that both directions of the peer port share.
//
// gRPC hands the work of polling from one polling thread to the next with a wake for each hand
// over; one queue and one thread cost none.
#pragma once

#include <grpcpp/alarm.h>
#include <grpcpp/grpcpp.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>

namespace gavel::server {

// Names the completion of one operation on the queue; a pending operation is kept alive by itself.
class GrpcOperation {
 public:
  virtual ~GrpcOperation() = default;
  virtual void OnComplete(bool ok) = 0;
};

// Every tag on the queue is a GrpcOperation. Wake is thread-safe; all else is for one thread.
class GrpcQueue {
 public:
  explicit GrpcQueue(std::unique_ptr<grpc::ServerCompletionQueue> queue)
      : queue_(std::move(queue)) {}
  // Drains the queue. Requires: the server is shut down, and nothing begins another operation.
  ~GrpcQueue();

  // Runs what has completed; waits for it for up to `timeout` (nothing: without end) if that is
  // nothing. A bounded amount at a time, so that the caller gets to its other work.
  void Poll(std::optional<std::chrono::nanoseconds> timeout);
  // Lets Poll, or the next one, return.
  void Wake();

  grpc::ServerCompletionQueue* get() { return queue_.get(); }

 private:
  class WakeUp final : public GrpcOperation {
   public:
    explicit WakeUp(GrpcQueue& queue) : queue_(queue) {}
    void OnComplete(bool ok) override;

   private:
    GrpcQueue& queue_;
  };

  const std::unique_ptr<grpc::ServerCompletionQueue> queue_;
  WakeUp wake_up_{*this};
  std::atomic<bool> waking_ = false;
  grpc::Alarm alarm_;
};

}  // namespace gavel::server
