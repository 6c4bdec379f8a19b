// Leadership transfer (Ongaro §3.10).
//
// A transfer that is given up ends with a tick. So a leader that was refused a proposal of its own
// in a turn takes no other in the rest of it: renewals of leases are dated by what precedes them.
#include <algorithm>

#include "raft/core.h"

namespace gavel::raft {

void Raft::Core::TransferLeadership(NodeId target) {
  auto* leader = As<Leader>();
  if (!leader || target == options_.id) return;
  const auto& voters = configuration().voters;
  if (!std::binary_search(voters.begin(), voters.end(), target)) return;
  if (leader->transfer && leader->transfer->target == target && !leader->transfer->over) return;
  leader->transfer = Transfer{.target = target};
  AdvanceTransfer(*leader);
}

// Tells the target to campaign once it holds the whole log.
void Raft::Core::AdvanceTransfer(Leader& leader) {
  if (!leader.transfer || leader.transfer->told || leader.transfer->over) return;
  const auto peer = leader.peers.find(leader.transfer->target);
  if (peer == leader.peers.end() || peer->second.match != log_.last().index) return;
  leader.transfer->told = true;
  Send(leader.transfer->target, TimeoutNow{});
}

void Raft::Core::TickTransfer(Leader& leader) {
  auto& transfer = leader.transfer;
  if (transfer && (transfer->over || ++transfer->ticks >= options_.election_ticks)) {
    transfer.reset();
  }
}

// No pre-vote: the members still hear the leader, which has asked for this election itself.
void Raft::Core::HandleTimeoutNow(const Message& message) {
  const auto* follower = As<Follower>();
  if (!follower || follower->leader != message.from) return;
  if (MayCampaign()) StartElection(true);
}

// A leader that leaves with the configuration just committed names its successor, so that
// nobody has to wait for an election timeout.
void Raft::Core::HandOverBeforeLeaving(Leader& leader) {
  const std::pair<const NodeId, Progress>* best = nullptr;
  for (const auto& peer : leader.peers) {
    if (!configuration().IsVoter(peer.first)) continue;
    if (!best || peer.second.match > best->second.match) best = &peer;
  }
  if (best) Send(best->first, TimeoutNow{});
}

}  // namespace gavel::raft
