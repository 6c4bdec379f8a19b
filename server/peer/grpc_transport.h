// Frames to peers over gRPC: one long-lived client stream to each peer.
//
// One thread serves the completions of all connections; Send writes on the caller's thread when
// the stream is free. What arrives comes in through the peer service (peer_service.h).
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "server/logging.h"
#include "server/metrics.h"
#include "server/peer/transport.h"

namespace gavel::server {

struct GrpcTransportOptions {
  // Bounds of what waits for one peer; above, frames are dropped and reported.
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
  // `events.on_frame` is not used here.
  GrpcPeerTransport(const GrpcTransportOptions& options, raft::NodeId self, PeerEvents events,
                    Logger& logger, Metrics& metrics);
  // Closes all connections. No event comes after.
  ~GrpcPeerTransport() override;

  void SetPeers(const std::vector<raft::MemberAddress>& peers) override;
  void Send(raft::NodeId peer, std::string frame) override;
  void OnHeardFrom(raft::NodeId peer) override;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace gavel::server
