#include "server/peer/frame_exchange.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "raft/sim_point.h"
#include "storage/disk/advice.h"

namespace gavel::server {
namespace {

// A frame is closed once it holds so much; one message may be larger.
constexpr size_t kFrameBytes = 1 << 20;

// How many peers' refusals are remembered as logged; senders of garbage choose their own ids.
constexpr size_t kLoggedMax = 1000;

std::string Hex(uint64_t id) { return absl::StrFormat("%x", id); }

size_t PayloadBytes(const raft::Message& message) {
  size_t bytes = 0;
  if (const auto* append = std::get_if<raft::AppendRequest>(&message.body)) {
    for (const raft::Entry& entry : append->entries) bytes += entry.payload_bytes();
  } else if (const auto* forward = std::get_if<raft::ForwardProposals>(&message.body)) {
    for (const raft::Proposal& proposal : forward->proposals) bytes += proposal.payload->size();
  }
  return bytes;
}

}  // namespace

std::string RemovedText(raft::NodeId member) {
  return absl::StrCat("member ", Hex(member.value()), " was removed from the cluster");
}

FrameSender::FrameSender(const FrameAddress& self, PeerTransport& transport, Metrics& metrics)
    : self_(self), transport_(transport), metrics_(metrics) {}

void FrameSender::Send(std::vector<raft::Message> messages) {
  std::stable_sort(messages.begin(), messages.end(),
                   [](const raft::Message& a, const raft::Message& b) { return a.to < b.to; });
  for (size_t begin = 0; begin < messages.size();) {
    const raft::NodeId to = messages[begin].to;
    std::vector<raft::Message> one_frame;
    size_t bytes = 0;
    for (; begin < messages.size() && messages[begin].to == to && bytes < kFrameBytes; ++begin) {
      bytes += PayloadBytes(messages[begin]);
      one_frame.push_back(std::move(messages[begin]));
    }
    FrameAddress address = self_;
    address.to = to;
    SendFrame(to, EncodeFrame(address, one_frame), one_frame.size());
    GAVEL_SIM_POINT("one member told, others not");
  }
}

void FrameSender::Send(raft::NodeId to, SnapshotMessage message) {
  FrameAddress address = self_;
  address.to = to;
  SendFrame(to, EncodeSnapshotFrame(address, std::move(message)), 0);
}

void FrameSender::Knock(raft::NodeId to) {
  FrameAddress address = self_;
  address.to = to;
  SendFrame(to, EncodeFrame(address, {}), 0);
}

void FrameSender::SendFrame(raft::NodeId to, std::string frame, size_t messages) {
  {
    const MutexLock lock(mutex_);
    const Sent& sent = Counters(to);
    sent.bytes->Increment(static_cast<double>(frame.size()));
    sent.frames->Increment();
    sent.messages->Increment(static_cast<double>(messages));
  }
  transport_.Send(to, std::move(frame));
}

FrameSender::Sent& FrameSender::Counters(raft::NodeId to) {
  Sent& sent = sent_[to];
  if (sent.bytes == nullptr) {
    const Labels labels = {{"To", Hex(to.value())}};
    sent.bytes =
        &metrics_.AddCounter("etcd_network_peer_sent_bytes_total", "Bytes sent to a peer.", labels);
    sent.frames = &metrics_.AddCounter("gavel_network_peer_sent_frames_total",
                                       "Frames sent to a peer.", labels);
    sent.messages = &metrics_.AddCounter("gavel_network_peer_sent_messages_total",
                                         "Messages of the consensus core in them.", labels);
  }
  return sent;
}

FrameReceiver::FrameReceiver(const FrameAddress& self, Logger& logger, Metrics& metrics,
                             Deliver deliver, DeliverSnapshot deliver_snapshot,
                             WasRemoved was_removed)
    : self_(self),
      logger_(logger),
      metrics_(metrics),
      deliver_(std::move(deliver)),
      deliver_snapshot_(std::move(deliver_snapshot)),
      was_removed_(std::move(was_removed)) {}

absl::Status FrameReceiver::Refuse(raft::NodeId from, std::string_view reason,
                                   absl::Status status) {
  {
    const MutexLock lock(mutex_);
    // Under the name of a peer that was heard before: anybody may claim any other.
    const auto peer = peers_.find(from);
    metrics_
        .AddCounter("etcd_network_peer_received_failures_total", "Frames of a peer refused.",
                    {{"From", Hex(peer == peers_.end() ? 0 : from.value())}})
        .Increment();
    if (logged_.size() >= kLoggedMax || !logged_.emplace(from, std::string(reason)).second) {
      return status;
    }
  }
  logger_.Warn("refused what a peer sent",
               {{"from", Hex(from.value())}, {"reason", std::string(status.message())}});
  return status;
}

absl::Status FrameReceiver::CheckAddress(const FrameAddress& address, const StreamSender& sender) {
  if (address.cluster_id != self_.cluster_id) {
    return Refuse(
        address.from, "cluster",
        absl::FailedPreconditionError(absl::StrCat(
            "member ", Hex(address.from.value()), " belongs to cluster ", Hex(address.cluster_id),
            ", this member ", Hex(self_.from.value()), " to cluster ", Hex(self_.cluster_id),
            ": compare --initial-cluster, --initial-cluster-token and the data "
            "directories of both")));
  }
  if (address.to != self_.from && !GAVEL_PLANTED_BUG(37)) {
    return Refuse(address.from, "receiver",
                  absl::FailedPreconditionError(absl::StrCat(
                      "a frame for member ", Hex(address.to.value()), " reached member ",
                      Hex(self_.from.value()), ": compare the peer URLs of both")));
  }
  if (address.from.is_none() || address.from == self_.from || address.incarnation.is_none()) {
    return Refuse(address.from, "sender",
                  absl::FailedPreconditionError(
                      absl::StrCat("a frame from this member's own id ", Hex(address.from.value()),
                                   ": two members run with the same identity")));
  }
  if (!sender.id.is_none() && sender.id != address.from) {
    return Refuse(sender.id, "another sender",
                  absl::FailedPreconditionError(absl::StrCat(
                      "a frame of member ", Hex(address.from.value()), " came on the stream of ",
                      Hex(sender.id.value()), ": each member opens streams of its own")));
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> FrameReceiver::CheckLife(const FrameAddress& address) {
  std::optional<raft::Incarnation> newest;
  {
    const MutexLock lock(mutex_);
    if (peers_.size() < kSendersMax || peers_.contains(address.from)) {
      Peer& peer = peers_[address.from];
      if (address.incarnation >= peer.newest || GAVEL_PLANTED_BUG(35)) {
        peer.newest = address.incarnation;
        peer.old_life_frames = 0;
        return true;
      }
      newest = peer.newest;
      if (++peer.old_life_frames <= kOldLifeFramesMax) return false;
    }
  }
  if (!newest.has_value()) {
    return Refuse(address.from, "too many",
                  absl::FailedPreconditionError(absl::StrCat(
                      "member ", Hex(self_.from.value()), " has heard ", kSendersMax,
                      " different senders since its start: find out who else sends to its peer "
                      "port, then restart it")));
  }
  return Refuse(
      address.from, "life",
      absl::FailedPreconditionError(absl::StrCat(
          "member ", Hex(address.from.value()), " is back in life ", address.incarnation.value(),
          " after life ", newest->value(),
          ": its data directory was lost or put back from a copy: ", storage::kReplaceMember)));
}

// Who was removed while it was away goes on as if it belonged to the cluster, and would for ever.
absl::Status FrameReceiver::CheckRemoved(const Frame& frame) {
  const bool knocks = frame.messages.empty() && !frame.snapshot.has_value();
  const bool votes =
      std::any_of(frame.messages.begin(), frame.messages.end(), [](const raft::Message& message) {
        return std::holds_alternative<raft::VoteRequest>(message.body);
      });
  const raft::NodeId from = frame.address.from;
  if (!(knocks || votes) || !was_removed_ || !was_removed_(from)) return absl::OkStatus();
  return Refuse(from, "removed", absl::FailedPreconditionError(RemovedText(from)));
}

// A member tells its own core of a snapshot, once it has received it whole (server/snapshot). From
// a peer the core would take that for true.
void FrameReceiver::TakeOutSnapshots(raft::NodeId from, std::vector<raft::Message>& messages) {
  const size_t taken_out = std::erase_if(messages, [](const raft::Message& message) {
    return std::holds_alternative<raft::InstallSnapshot>(message.body);
  });
  for (size_t i = 0; i < taken_out; ++i) {
    // The rest of the frame is good, and so is the stream.
    Refuse(from, "snapshot",
           absl::UnimplementedError(
               "it tells this member's core of a snapshot, which only this member may do: run the "
               "same version on all members"))
        .IgnoreError();
  }
}

uint32_t FrameReceiver::SemanticsOf(raft::NodeId peer) {
  const MutexLock lock(mutex_);
  const auto it = peers_.find(peer);
  return it == peers_.end() ? 0 : it->second.semantics;
}

absl::Status FrameReceiver::Receive(std::string_view bytes, StreamSender& sender) {
  absl::StatusOr<Frame> frame = DecodeFrame(bytes);
  if (!frame.ok()) {
    return Refuse(raft::NodeId(), absl::StatusCodeToString(frame.status().code()), frame.status());
  }
  const raft::NodeId from = frame->address.from;
  if (absl::Status status = CheckAddress(frame->address, sender); !status.ok()) return status;
  const absl::StatusOr<bool> taken = CheckLife(frame->address);
  if (!taken.ok()) return taken.status();
  if (!*taken) return absl::OkStatus();
  if (absl::Status status = CheckRemoved(*frame); !status.ok()) return status;
  sender.id = from;
  {
    const MutexLock lock(mutex_);
    Peer& peer = peers_[from];
    if (peer.received_bytes == nullptr) {
      peer.received_bytes =
          &metrics_.AddCounter("etcd_network_peer_received_bytes_total",
                               "Bytes received from a peer.", {{"From", Hex(from.value())}});
    }
    peer.received_bytes->Increment(static_cast<double>(bytes.size()));
    peer.semantics = frame->address.semantics;
  }
  TakeOutSnapshots(from, frame->messages);
  // Without room the messages are dropped, as a network may; the core sends again.
  if (frame->snapshot.has_value()) {
    deliver_snapshot_(from, *std::move(frame->snapshot));
  } else {
    deliver_(from, std::move(frame->messages));
  }
  return absl::OkStatus();
}

}  // namespace gavel::server
