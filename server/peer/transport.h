// The seam between members: carries encoded frames, knows nothing of their meaning.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

#include "raft/configuration.h"
#include "raft/types.h"

namespace gavel::server {

// Who sends on a stream: nobody until a frame is taken from it, the same member from then on. The
// transport keeps one for each stream, and whoever takes frames fills it in.
struct StreamSender {
  raft::NodeId id;
  std::vector<std::string> peer_urls = {};  // Where the sender says that it is reached.
};

// What a transport tells its owner. Frames and connections are told of by Poll; on_unreachable
// also by Send, on its thread.
struct PeerEvents {
  // A whole frame arrived. The receiver checks everything in it; an error ends the connection it
  // came over, and the sender is told its message.
  std::function<absl::Status(std::string_view frame, StreamSender& sender)> on_frame;
  // A frame to `peer` was dropped: the queue was full, or there is no connection.
  std::function<void(raft::NodeId peer)> on_unreachable;
  // The connection to `peer` closed and could not be opened again at once.
  std::function<void(raft::NodeId peer)> on_connection_lost;
  std::function<void(raft::NodeId peer)> on_connected;
  // `peer` has ended the stream to it because of what was sent, and says why.
  std::function<void(raft::NodeId peer, std::string_view reason)> on_refused;
  // What a member that wants to join asks for: see cluster_view.h.
  std::function<std::string()> on_asked;
};

// Send, OnHeardFrom and Wake are thread-safe.
class PeerTransport {
 public:
  virtual ~PeerTransport() = default;

  // Replaces the peers that frames can be sent to. Connections to others are closed.
  virtual void SetPeers(const std::vector<raft::MemberAddress>& peers) = 0;
  // Queues a frame; never blocks. Frames to one peer arrive in order or not at all.
  virtual void Send(raft::NodeId peer, std::string frame) = 0;
  // A frame from `peer` has arrived, so it can be worth trying to reach it at once. Never blocks.
  virtual void OnHeardFrom(raft::NodeId peer) = 0;

  // Tells of what has arrived; waits for it for up to `timeout` (nothing: without end) if that is
  // nothing. The thread that owns the transport waits here for everything it waits for: a wake of
  // one thread by another costs more than all else that is done for a frame.
  virtual void Poll(std::optional<std::chrono::nanoseconds> timeout) = 0;
  // Lets Poll, or the next one, return.
  virtual void Wake() = 0;
};

}  // namespace gavel::server
