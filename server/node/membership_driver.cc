#include "server/node/membership_driver.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace gavel::server {
namespace {

// Entries that a follower may lack and still count as caught up.
constexpr uint64_t kLackMax = 5000;

const raft::PeerProgress* Find(const raft::Status& leader, raft::NodeId member) {
  const auto peer = std::find_if(leader.peers.begin(), leader.peers.end(),
                                 [member](const auto& known) { return known.id == member; });
  return peer == leader.peers.end() ? nullptr : &*peer;
}

// To come or go with votes, a member must also be there.
bool IsReady(const raft::Status& leader, raft::NodeId member) {
  const raft::PeerProgress* const peer = Find(leader, member);
  return peer != nullptr && peer->recently_active && HasCaughtUp(leader, member);
}

void SortById(raft::Configuration& configuration) {
  std::sort(configuration.members.begin(), configuration.members.end(),
            [](const auto& a, const auto& b) { return a.id < b.id; });
  std::sort(configuration.voters.begin(), configuration.voters.end());
}

// Whether the one that replaces `member` is there: a voter is caught up and comes in the same step,
// or has come already.
bool SuccessorReady(const storage::WantedMember& member, const raft::Configuration& configuration,
                    const raft::Status& leader) {
  return configuration.IsVoter(member.replaced_by) || IsReady(leader, member.replaced_by);
}

bool Goes(const storage::Membership& wanted, raft::NodeId id,
          const raft::Configuration& configuration, const raft::Status& leader) {
  const storage::WantedMember* member = wanted.Find(id);
  if (member == nullptr || member->leaves) return true;
  return !member->replaced_by.is_none() && SuccessorReady(*member, configuration, leader);
}

// Newcomers, learners that go, and URLs: the voters stay the same.
raft::Configuration WithoutVotes(const storage::Membership& wanted,
                                 const raft::Configuration& configuration,
                                 const raft::Status& leader) {
  raft::Configuration next = configuration;
  std::erase_if(next.members, [&](const raft::MemberAddress& member) {
    return configuration.IsLearner(member.id) && Goes(wanted, member.id, configuration, leader);
  });
  for (const storage::WantedMember& member : wanted.members) {
    if (member.leaves) continue;
    const auto it = std::find_if(next.members.begin(), next.members.end(),
                                 [&](const auto& known) { return known.id == member.id; });
    if (it != next.members.end()) {
      it->peer_urls = member.peer_urls;
    } else if (configuration.Find(member.id) == nullptr && member.replaced_by.is_none()) {
      next.members.push_back({member.id, member.peer_urls});
    }
  }
  SortById(next);
  return next;
}

raft::Configuration WithVotes(const storage::Membership& wanted,
                              const raft::Configuration& configuration,
                              const raft::Status& leader) {
  raft::Configuration next = configuration;
  for (const raft::NodeId id : configuration.voters) {
    if (!Goes(wanted, id, configuration, leader)) continue;
    std::erase(next.voters, id);
    std::erase_if(next.members,
                  [id](const raft::MemberAddress& member) { return member.id == id; });
  }
  for (const storage::WantedMember& member : wanted.members) {
    if (member.leaves || member.learner || !configuration.IsLearner(member.id)) continue;
    if (IsReady(leader, member.id)) next.voters.push_back(member.id);
  }
  SortById(next);
  return next;
}

}  // namespace

bool HasCaughtUp(const raft::Status& leader, raft::NodeId member) {
  const raft::PeerProgress* const peer = Find(leader, member);
  if (peer == nullptr) return false;
  const uint64_t last = leader.last.value();
  const uint64_t match = peer->match.value();
  return match >= last - last / 10 && last - std::min(last, match) <= kLackMax;
}

std::optional<raft::Configuration> NextConfiguration(const storage::Membership& wanted,
                                                     const raft::Configuration& configuration,
                                                     const raft::Status& leader) {
  if (configuration.joint()) return std::nullopt;
  raft::Configuration next = WithoutVotes(wanted, configuration, leader);
  if (next == configuration) next = WithVotes(wanted, configuration, leader);
  if (next == configuration || next.voters.empty()) return std::nullopt;
  return next;
}

storage::RequestError WhyNotYet(const internal::ChangeMembers& change,
                                const raft::Configuration& configuration,
                                const raft::Status& leader) {
  for (const uint64_t id : change.promote()) {
    const raft::NodeId member(id);
    // Of others the state will say that they are no learners.
    if (configuration.IsLearner(member) && !HasCaughtUp(leader, member)) {
      return storage::RequestError::kLearnerNotReady;
    }
  }
  return storage::RequestError::kNone;
}

// A new leader has applied everything from before its term once it has applied an entry of it. An
// older state could want members that have gone since; so could one that has not seen the latest
// step.
std::optional<raft::Configuration> MembershipDriver::Next(const raft::Configuration& configuration,
                                                          const raft::Status& status) const {
  if (status.role != raft::Role::kLeader || machine_.view()->applied_term != status.term ||
      *machine_.configuration() != configuration) {
    return std::nullopt;
  }
  return NextConfiguration(*machine_.membership(), configuration, status);
}

}  // namespace gavel::server
