// One I/O thread of the gRPC adapter: a completion queue, and the calls that arrived on it.
//
// Calls are touched by their loop's thread alone. Other threads hand it work through a list that
// it empties after every event; it is woken by an alarm, and only if it sleeps.
#pragma once

#include <grpcpp/alarm.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>

#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "server/rpc/front_methods.h"
#include "server/rpc/grpc_front.h"

namespace gavel::server {

class GrpcCall;
class GrpcWriter;

// What all loops of a front share.
class GrpcShared final : public FrontShared {
 public:
  using FrontShared::FrontShared;
  grpc::AsyncGenericService service;
};

class GrpcLoop final : public Executor, public std::enable_shared_from_this<GrpcLoop> {
 public:
  GrpcLoop(std::shared_ptr<GrpcShared> shared, std::unique_ptr<grpc::ServerCompletionQueue> queue);
  ~GrpcLoop() override;

  // Begins to take calls. Requires: the server has started.
  void Start();
  // Ends open-ended streams.
  void Drain();
  // Returns when the thread has ended. Requires: the server has shut down.
  void Stop();

  void Run(absl::AnyInvocable<void()> work) override;
  // Answers a unary call. Any thread; the call is left alone if the loop has stopped.
  void Reply(GrpcCall* call, RpcStatus status, Encoded message);
  // Sends what `writer` has queued. Any thread.
  void Pump(std::shared_ptr<GrpcWriter> writer);

  // The rest is for calls, on the loop's thread.
  bool InThread() const;
  GrpcShared& shared() { return *shared_; }
  grpc::ServerCompletionQueue* queue() { return queue_.get(); }
  // The queue has shut down: no operation may be begun.
  bool closing() const { return closing_; }
  // Waits for one more call.
  void Arm();
  // `call` is over and nobody refers to it.
  void Recycle(GrpcCall* call);

 private:
  struct PostedReply {
    GrpcCall* call;
    RpcStatus status;
    Encoded message;
  };
  using Posted = std::variant<PostedReply, std::shared_ptr<GrpcWriter>, absl::AnyInvocable<void()>>;

  void Main();
  void Post(Posted posted);
  void RunPosted();

  std::shared_ptr<GrpcShared> shared_;
  std::unique_ptr<grpc::ServerCompletionQueue> queue_;
  std::vector<std::unique_ptr<GrpcCall>> calls_;  // Each knows its place.
  std::vector<GrpcCall*> free_;
  std::thread thread_;
  bool closing_ = false;  // Of the loop's thread alone.

  std::mutex mutex_;
  std::vector<Posted> posted_;  // Guarded by mutex_, as are the next four.
  bool awake_ = true;           // Looks at posted_ before it sleeps.
  bool alarm_set_ = false;
  bool stopped_ = false;
  grpc::Alarm alarm_;
};

}  // namespace gavel::server
