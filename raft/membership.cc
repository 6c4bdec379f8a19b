// Changes of membership through joint consensus (Ongaro §4.3).
//
// A configuration is in force from the moment its entry is appended, and until that entry is
// cut off again.
#include <algorithm>
#include <map>
#include <memory>
#include <utility>

#include "raft/check.h"
#include "raft/core.h"

namespace gavel::raft {
namespace {

// C_old,new: the voters of both, every member of either, and who is not to stay.
Configuration Joint(const Configuration& old, const Configuration& target) {
  std::map<NodeId, MemberAddress> members;
  for (const MemberAddress& member : old.members) members[member.id] = member;
  for (const MemberAddress& member : target.members) members[member.id] = member;
  Configuration joint;
  for (auto& [id, member] : members) joint.members.push_back(std::move(member));
  joint.voters = target.voters;
  joint.outgoing_voters = old.voters;
  for (const MemberAddress& member : old.members) {
    if (!target.Find(member.id)) joint.leaving.push_back(member.id);
  }
  return joint;
}

// C_new, from C_old,new.
Configuration AfterJoint(const Configuration& joint) {
  Configuration next;
  for (const MemberAddress& member : joint.members) {
    const bool leaves = std::binary_search(joint.leaving.begin(), joint.leaving.end(), member.id);
    if (!leaves) next.members.push_back(member);
  }
  next.voters = joint.voters;
  return next;
}

}  // namespace

// The entry of the own term must be committed first: two leaders that each change the same base
// configuration could otherwise end with quorums that do not meet (Ongaro §4.1, as corrected on
// raft-dev in 2015).
bool Raft::Core::ProposeChange(const Configuration& target) {
  const auto* leader = As<Leader>();
  if (!leader || leader->transfer || !OwnTermCommitted(*leader)) return false;
  if (configuration().joint() || configurations_.latest_index() > commit_) return false;
  if (target.voters.empty() || target.joint() || !CheckConfiguration(target).ok()) return false;
  const bool same_voters = target.voters == configuration().voters;
  const Configuration next = same_voters ? target : Joint(configuration(), target);
  AppendAsLeader(EntryKind::kConfiguration,
                 std::make_shared<const std::string>(EncodeConfiguration(next)));
  return true;
}

void Raft::Core::AppendToLog(Entry entry) {
  const Index index = entry.index;
  const Payload configuration = entry.kind == EntryKind::kConfiguration ? entry.payload : nullptr;
  log_.Append(std::move(entry));
  if (!configuration) return;
  auto decoded = DecodeConfiguration(*configuration);
  GAVEL_CHECK(decoded.ok()) << std::string(decoded.status().message());
  configurations_.Append(index, *std::move(decoded));
  AdoptConfiguration();
}

// The latest configuration is another one: tells the driver, and whom to replicate to.
void Raft::Core::AdoptConfiguration() {
  pending_.configuration = configuration();
  if (auto* leader = As<Leader>()) SyncPeers(*leader);
}

// Gives every other member a Progress. One that has left keeps its own for a while, so that it
// learns of its removal instead of asking for votes for ever.
void Raft::Core::SyncPeers(Leader& leader) {
  for (const MemberAddress& member : configuration().members) {
    if (member.id == options_.id) continue;
    leader.peers.try_emplace(member.id, NewProgress()).first->second.departing.reset();
  }
  for (auto& [id, peer] : leader.peers) {
    if (!peer.departing && !configuration().Find(id)) {
      peer.departing = configurations_.latest_index();
      peer.commit_awaited = *peer.departing;
    }
  }
  auto& transfer = leader.transfer;
  if (transfer && !configuration().IsVoter(transfer->target)) transfer->over = true;
}

// A member that has left is forgotten once it has been told that this is committed.
void Raft::Core::DropDeparted(Leader& leader) {
  std::erase_if(leader.peers, [](const auto& peer) {
    return peer.second.departing && peer.second.commit_told >= *peer.second.departing;
  });
}

// Runs whenever the commit index moves and the latest configuration is committed.
void Raft::Core::OnConfigurationCommitted() {
  auto* leader = As<Leader>();
  if (!leader || !OwnTermCommitted(*leader)) return;
  if (configuration().joint()) {
    LeaveJoint();
  } else if (!configuration().IsVoter(options_.id)) {
    // Ongaro §4.2.2: a leader that is no longer part of the cluster leads until its removal is
    // committed, and no further. Everyone is told of the commit first.
    for (auto& [id, peer] : leader->peers) peer.commit_awaited = commit_;
    FlushLeader();
    HandOverBeforeLeaving(*leader);
    BecomeFollower(std::nullopt);
  }
}

// Every leader does this once the joint entry is committed, also one that only inherited it.
void Raft::Core::LeaveJoint() {
  const Configuration next = AfterJoint(configuration());
  AppendAsLeader(EntryKind::kConfiguration,
                 std::make_shared<const std::string>(EncodeConfiguration(next)));
}

}  // namespace gavel::raft
