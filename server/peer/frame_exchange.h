// From the core's messages to frames, and from frames to messages that may be trusted.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

#include "raft/message.h"
#include "server/logging.h"
#include "server/metrics.h"
#include "server/peer/frame.h"
#include "server/peer/transport.h"

namespace gavel::server {

// Packs messages into frames, one or more for each receiver, and hands them to the transport.
// Thread-safe; messages of one call to one receiver stay in order.
class FrameSender {
 public:
  // `self.to` is not used.
  FrameSender(const FrameAddress& self, PeerTransport& transport, Metrics& metrics);

  void Send(std::vector<raft::Message> messages);

 private:
  const FrameAddress self_;
  PeerTransport& transport_;
  Metrics& metrics_;
  std::mutex mutex_;  // Guards sent_bytes_.
  std::map<raft::NodeId, Counter*> sent_bytes_;
};

// Checks frames: whole, of this format, of this cluster, for this member, and from a life of the
// sender that is not over.
//
// A member whose data directory was lost or put back from a copy starts an earlier life again. It
// may have forgotten votes it gave and entries it confirmed, so its frames are refused for as long
// as anyone who remembers its later life runs.
//
// Thread-safe. Each reason to refuse a peer is logged once.
class FrameReceiver {
 public:
  // `deliver` returns false if it has no room for the messages.
  using Deliver = std::function<bool(raft::NodeId from, std::vector<raft::Message> messages)>;
  // `self.to` is not used.
  FrameReceiver(const FrameAddress& self, Logger& logger, Metrics& metrics, Deliver deliver);

  // Errors say why, for the sender to read.
  absl::Status Receive(std::string_view bytes);

 private:
  absl::Status Check(const FrameAddress& address);
  absl::Status Refuse(raft::NodeId from, std::string_view reason, absl::Status status);

  const FrameAddress self_;
  Logger& logger_;
  Metrics& metrics_;
  const Deliver deliver_;

  struct Peer {
    raft::Incarnation newest;
    Counter* received_bytes = nullptr;
  };
  std::mutex mutex_;  // Guards all below.
  std::map<raft::NodeId, Peer> peers_;
  std::set<std::pair<raft::NodeId, std::string>> logged_;
};

}  // namespace gavel::server
