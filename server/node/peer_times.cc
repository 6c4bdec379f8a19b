#include "server/node/peer_times.h"

#include "absl/strings/str_format.h"

namespace gavel::server {
namespace {

// A heartbeat that was not answered for so long is not waited for any more.
constexpr MonotonicNs kGiveUp = kNsPerSecond;

}  // namespace

PeerTimes::Peer& PeerTimes::Find(raft::NodeId id) {
  Peer& peer = peers_[id];
  if (peer.seconds == nullptr) {
    peer.seconds = &metrics_.AddHistogram(
        "etcd_network_peer_round_trip_time_seconds", "Time from a heartbeat to its answer.",
        ExponentialBuckets(0.0001, 2, 16), {{"To", absl::StrFormat("%x", id.value())}});
  }
  return peer;
}

void PeerTimes::OnSend(const std::vector<raft::Message>& messages, MonotonicNs now) {
  for (const raft::Message& message : messages) {
    const auto* heartbeat = std::get_if<raft::Heartbeat>(&message.body);
    if (heartbeat == nullptr) continue;
    Peer& peer = Find(message.to);
    if (!peer.round.is_none() && now - peer.sent < kGiveUp) continue;
    peer.round = heartbeat->round;
    peer.sent = now;
  }
}

void PeerTimes::OnReceive(const std::vector<raft::Message>& messages, MonotonicNs now) {
  for (const raft::Message& message : messages) {
    const auto* reply = std::get_if<raft::HeartbeatReply>(&message.body);
    if (reply == nullptr) continue;
    const auto it = peers_.find(message.from);
    if (it == peers_.end() || it->second.round.is_none()) continue;
    if (reply->round < it->second.round) continue;
    it->second.seconds->Observe(static_cast<double>(now - it->second.sent) / kNsPerSecond);
    it->second.round = raft::Round();
  }
}

}  // namespace gavel::server
