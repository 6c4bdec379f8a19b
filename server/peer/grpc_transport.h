// Frames to and from peers over gRPC: one long-lived stream from each member to each other.
//
// It has no thread: what arrives and what completes is served by Poll. Send writes on the
// caller's thread when the stream is free.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "server/logging.h"
#include "server/metrics.h"
#include "server/peer/transport.h"

namespace gavel::server {

struct GrpcTransportOptions {
  std::vector<std::string> listen;     // Addresses as gRPC takes them: "127.0.0.1:2380".
  std::vector<std::string> peer_urls;  // Where other members reach this one.
  // Bounds of what waits for one peer; from there on, frames are dropped and reported. A frame of
  // any size is taken below, or what is in it would never get through.
  size_t queue_bytes_max = 64 << 20;
  size_t queue_frames_max = 4096;
  // Frames that wait are sent together, up to about so many bytes.
  size_t write_bytes_max = 1 << 20;
  int64_t reconnect_ms_min = 50;
  int64_t reconnect_ms_max = 1000;
  int64_t refused_ms = 10000;  // Until a peer that refused is asked again.
  int64_t keepalive_ms = 6000;
  int64_t keepalive_timeout_ms = 3000;
};

class GrpcPeerTransport final : public PeerTransport {
 public:
  // Opens the port; peers that connect wait for Begin. The error names the address that is taken
  // and why. `logger` and `metrics` must outlive the transport.
  static absl::StatusOr<std::unique_ptr<GrpcPeerTransport>> Listen(
      const GrpcTransportOptions& options, Logger& logger, Metrics& metrics);
  // Closes all connections; tells of nothing any more. Requires: nobody polls.
  ~GrpcPeerTransport() override;

  // Whose transport this is. Once, before anything else.
  void Begin(raft::NodeId self, PeerEvents events);

  void SetPeers(const std::vector<raft::MemberAddress>& peers) override;
  void Send(raft::NodeId peer, std::string frame) override;
  void OnHeardFrom(raft::NodeId peer) override;
  void Poll(std::optional<std::chrono::nanoseconds> timeout) override;
  void Wake() override;

  // The port of each address, in their order (a port asked for as 0 is picked by the system).
  const std::vector<int>& ports() const;

 private:
  class Impl;
  explicit GrpcPeerTransport(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace gavel::server
