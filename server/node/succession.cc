#include "server/node/succession.h"

#include <algorithm>
#include <cstdint>
#include <tuple>

#include "raft/sim_point.h"
#include "server/node/membership_driver.h"

namespace gavel::server {
namespace {

// It was soon if it was within so many waits.
constexpr MonotonicNs kSoonFactor = 4;

const storage::MemberRecord* Find(const storage::MemberTable& members, raft::NodeId id) {
  const auto it = std::find_if(members.begin(), members.end(),
                               [id](const auto& member) { return member.id == id; });
  return it == members.end() ? nullptr : &*it;
}

uint32_t PriorityOf(const storage::MemberTable& members, raft::NodeId id) {
  const storage::MemberRecord* const member = Find(members, id);
  return member == nullptr ? 0 : member->leader_priority;
}

}  // namespace

std::optional<raft::NodeId> BestSuccessor(const raft::Status& leader,
                                          const storage::MemberTable& members) {
  const raft::PeerProgress* best = nullptr;
  std::tuple<bool, uint32_t, raft::Index> best_rank;
  for (const raft::PeerProgress& peer : leader.peers) {
    const storage::MemberRecord* const member = Find(members, peer.id);
    if (member == nullptr || member->learner || !peer.recently_active) continue;
    const std::tuple rank(HasCaughtUp(leader, peer.id), member->leader_priority, peer.match);
    if (best != nullptr && rank <= best_rank) continue;
    best = &peer;
    best_rank = rank;
  }
  return best == nullptr ? std::nullopt : std::optional(best->id);
}

std::optional<raft::NodeId> LeaderPriority::Next(const raft::Status& status,
                                                 const storage::MemberTable& members,
                                                 MonotonicNs now) {
  std::optional<raft::NodeId> preferred;
  if (status.role == raft::Role::kLeader && !GAVEL_PLANTED_BUG(86)) {
    preferred = BestSuccessor(status, members);
  }
  if (preferred && (PriorityOf(members, *preferred) <= PriorityOf(members, status.id) ||
                    !HasCaughtUp(status, *preferred))) {
    preferred.reset();
  }
  if (preferred != preferred_) {
    preferred_ = preferred;
    since_ = now;
  }
  if (!preferred || now - since_ < wait_) return std::nullopt;
  const bool soon = handed_over_ && now - *handed_over_ <= kSoonFactor * wait_;
  wait_ = soon ? std::min(2 * wait_, kWaitFactorMax * first_wait_) : first_wait_;
  handed_over_ = since_ = now;
  return preferred;
}

}  // namespace gavel::server
