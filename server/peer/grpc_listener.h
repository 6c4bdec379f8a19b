// The receiving end of the peer port: takes the streams that peers open and hands on their frames.
#pragma once

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "server/peer/grpc_queue.h"
#include "server/peer/transport.h"

namespace gavel::server {

// All but construction is for the thread that polls the queue.
class GrpcListener {
 public:
  using OnFrame = decltype(PeerEvents::on_frame);
  using OnAsked = decltype(PeerEvents::on_asked);

  // Listens on `addresses` ("127.0.0.1:2380"). The error names the one that is taken and why.
  static absl::StatusOr<std::unique_ptr<GrpcListener>> Listen(
      const std::vector<std::string>& addresses);
  // Ends what is open and refuses what comes.
  ~GrpcListener();

  // Begins to take streams; until then they wait. An error from `on_frame` ends the stream it came
  // on, and the sender is told.
  void Serve(OnFrame on_frame, OnAsked on_asked);

  // No frame is handed on from here on.
  void Stop();

  GrpcQueue& queue() { return *queue_; }
  // The port of each address, in their order (a port asked for as 0 is picked by the system).
  const std::vector<int>& ports() const { return ports_; }

 private:
  class Stream;

  GrpcListener() = default;
  void Arm();
  void Remove(Stream* stream);

  OnFrame on_frame_;
  OnAsked on_asked_;
  grpc::AsyncGenericService service_;
  std::unique_ptr<GrpcQueue> queue_;  // Outlives the server.
  std::unique_ptr<grpc::Server> server_;
  std::vector<int> ports_;
  std::vector<std::unique_ptr<Stream>> streams_;  // One of them is armed while it serves.
  bool closing_ = false;
};

}  // namespace gavel::server
