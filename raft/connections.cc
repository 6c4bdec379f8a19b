// What the transport reports about peers.
#include "raft/core.h"

namespace gavel::raft {

// Whatever was under way to the peer may be lost. The next heartbeat reply shows that it can be
// reached again; sending at once would only be dropped again.
void Raft::Core::OnPeerUnreachable(NodeId peer) {
  auto* leader = As<Leader>();
  if (!leader) return;
  const auto found = leader->peers.find(peer);
  if (found == leader->peers.end() || found->second.state != Progress::State::kReplicate) return;
  found->second.BecomeProbe();
  found->second.probe_sent = true;
}

// A follower that loses its leader this way asks at once. Voters that still hear the leader
// refuse, so that a bad link alone unseats nobody.
void Raft::Core::OnPeerConnectionLost(NodeId peer) {
  lost_.insert(peer);
  OnPeerUnreachable(peer);
  if (auto* led = As<Leader>(); led && led->transfer && led->transfer->target == peer) {
    led->transfer->over = true;
  }
  const auto* follower = As<Follower>();
  if (!follower || follower->leader != peer) return;
  leader_lost_ = true;
  StartPreVote();
}

void Raft::Core::OnPeerConnected(NodeId peer) {
  lost_.erase(peer);
  auto* leader = As<Leader>();
  if (!leader) return;
  const auto found = leader->peers.find(peer);
  if (found != leader->peers.end()) found->second.probe_sent = false;
}

}  // namespace gavel::raft
