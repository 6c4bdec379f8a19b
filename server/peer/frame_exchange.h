// From the core's messages to frames, and from frames to messages that may be trusted.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "raft/message.h"
#include "server/logging.h"
#include "server/metrics.h"
#include "server/peer/frame.h"
#include "server/peer/transport.h"
#include "storage/mutex.h"

namespace gavel::server {

// What a member is told that asks for votes, or knocks, though it was removed.
std::string RemovedText(raft::NodeId member);

// Packs messages into frames, one or more for each receiver, and hands them to the transport.
// Thread-safe; messages of one call to one receiver stay in order.
class FrameSender {
 public:
  // `self.to` is not used.
  FrameSender(const FrameAddress& self, PeerTransport& transport, Metrics& metrics);

  void Send(std::vector<raft::Message> messages);
  void Send(raft::NodeId to, SnapshotMessage message);
  // An empty frame: `to` says whether this member was removed.
  void Knock(raft::NodeId to);

 private:
  const FrameAddress self_;
  PeerTransport& transport_;
  Metrics& metrics_;
  struct Sent {
    Counter* bytes = nullptr;
    Counter* frames = nullptr;
    Counter* messages = nullptr;
  };
  void SendFrame(raft::NodeId to, std::string frame, size_t messages);
  Sent& Counters(raft::NodeId to) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Mutex mutex_;
  std::map<raft::NodeId, Sent> sent_ ABSL_GUARDED_BY(mutex_);
};

// Checks frames: whole, of this format, of this cluster, for this member, from the one that sends
// on this stream, and from a life of the sender that is not over.
//
// A member whose data directory was lost or put back from a copy starts an earlier life again. It
// may have forgotten votes it gave and entries it confirmed, so its frames are dropped for as long
// as anyone who remembers its later life runs. A few of them can also be leftovers of a life that
// has ended, still on their way; only a run of them is told and refused.
//
// Thread-safe. Each reason to refuse a peer is logged once.
class FrameReceiver {
 public:
  // Frames of an earlier life, with none of the newest between them, until it is an error.
  static constexpr int kOldLifeFramesMax = 50;

  // How many members are listened to while this one runs; anybody may make up ids.
  static constexpr size_t kSendersMax = 1000;

  // `deliver` returns false if it has no room for the messages.
  using Deliver = std::function<bool(raft::NodeId from, std::vector<raft::Message> messages)>;
  using DeliverSnapshot = std::function<void(raft::NodeId from, SnapshotMessage message)>;
  // `self.to` is not used.
  // `was_removed`: that a member will never belong to the cluster again.
  using WasRemoved = std::function<bool(raft::NodeId member)>;
  FrameReceiver(const FrameAddress& self, Logger& logger, Metrics& metrics, Deliver deliver,
                DeliverSnapshot deliver_snapshot, WasRemoved was_removed = nullptr);

  // Takes a frame from the stream of `sender`. Errors say why, for the sender to read.
  absl::Status Receive(std::string_view bytes, StreamSender& sender);

  // The highest version of commands that `peer` agreed to in what it last sent; 0: it did not say.
  uint32_t SemanticsOf(raft::NodeId peer);

 private:
  // Whose frame it is, as far as the address tells alone.
  absl::Status CheckAddress(const FrameAddress& address, const StreamSender& sender);
  // Whether to take the frame, or why not.
  absl::StatusOr<bool> CheckLife(const FrameAddress& address);
  absl::Status CheckRemoved(const Frame& frame);
  void TakeOutSnapshots(raft::NodeId from, std::vector<raft::Message>& messages);
  absl::Status Refuse(raft::NodeId from, std::string_view reason, absl::Status status);

  const FrameAddress self_;
  Logger& logger_;
  Metrics& metrics_;
  const Deliver deliver_;
  const DeliverSnapshot deliver_snapshot_;
  const WasRemoved was_removed_;

  struct Peer {
    raft::Incarnation newest;
    int old_life_frames = 0;  // Since the last of the newest.
    uint32_t semantics = 0;
    Counter* received_bytes = nullptr;
  };
  Mutex mutex_;
  std::map<raft::NodeId, Peer> peers_ ABSL_GUARDED_BY(mutex_);
  std::set<std::pair<raft::NodeId, std::string>> logged_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace gavel::server
