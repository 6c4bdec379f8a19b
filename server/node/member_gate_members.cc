// The part of the gate that is about members: the table, changing it, and who is connected.
#include <algorithm>
#include <iterator>
#include <limits>
#include <utility>

#include "proto/internal/command.pb.h"
#include "server/node/member_gate.h"
#include "storage/state/membership.h"

namespace gavel::server {
namespace {

using Members = std::vector<storage::MemberRecord>;

const storage::MemberRecord* Find(const Members& members, uint64_t id) {
  const auto it = std::find_if(members.begin(), members.end(),
                               [id](const auto& member) { return member.id.value() == id; });
  return it == members.end() ? nullptr : &*it;
}

template <class Urls>
bool Equal(const Urls& wanted, const std::vector<std::string>& urls) {
  return std::equal(wanted.begin(), wanted.end(), urls.begin(), urls.end());
}

// Whether the applied table shows `change`. What has been undone since counts as shown, or nobody
// would ever be told.
bool Shows(const internal::ChangeMembers& change, const storage::StateMachine& machine) {
  const auto members = machine.members();
  const auto wanted = machine.membership();
  const auto removed = [&](uint64_t id) { return wanted->WasRemoved(raft::NodeId(id)); };
  for (const internal::AddedMember& added : change.add()) {
    if (Find(*members, added.id()) == nullptr && !removed(added.id())) return false;
  }
  for (int i = change.add_size(); i < change.remove_size(); ++i) {
    if (Find(*members, change.remove(i)) != nullptr) return false;
  }
  for (const internal::UpdatedMember& updated : change.update()) {
    const storage::WantedMember* member = wanted->Find(raft::NodeId(updated.id()));
    const storage::MemberRecord* shown = Find(*members, updated.id());
    const bool still_wanted = member != nullptr && Equal(updated.peer_urls(), member->peer_urls);
    if (still_wanted && (shown == nullptr || shown->peer_urls != member->peer_urls)) return false;
  }
  return std::all_of(change.promote().begin(), change.promote().end(), [&](uint64_t id) {
    const storage::MemberRecord* shown = Find(*members, id);
    return shown == nullptr || !shown->learner;
  });
}

}  // namespace

std::shared_ptr<const std::vector<storage::MemberRecord>> MemberGate::members() const {
  auto table = surroundings_.machine.members();
  const auto self = std::find_if(table->begin(), table->end(),
                                 [&](const auto& member) { return member.id == identity_.id; });
  if (self == table->end() || self->client_urls == client_urls_) return table;
  // Clients are served before the log has what this member advertises, and must not take it for
  // one that cannot be reached.
  auto corrected = std::make_shared<std::vector<storage::MemberRecord>>(*table);
  (*corrected)[static_cast<size_t>(self - table->begin())].client_urls = client_urls_;
  return corrected;
}

std::shared_ptr<const storage::Membership> MemberGate::membership() const {
  return surroundings_.machine.membership();
}

void MemberGate::ChangeMembers(const internal::ChangeMembers& change,
                               std::optional<MonotonicNs> deadline, ProposeDone done) {
  const MonotonicNs until = Until(deadline);
  Propose(CommandField::kChangeMembers, change.SerializeAsString(), until,
          [this, change, until, done = std::move(done)](ProposeResult result) mutable {
            if (result.result != GateResult::kOk) return std::move(done)(std::move(result));
            const storage::StateMachine& machine = surroundings_.machine;
            AwaitMembers({[change = std::move(change), &machine] { return Shows(change, machine); },
                          until, std::move(result), std::move(done)});
          });
}

void MemberGate::AwaitMembers(MembersWaiter waiter) {
  std::vector<MembersWaiter> waiters;
  {
    const MutexLock lock(mutex_);
    members_waiters_.push_back(std::move(waiter));
    waiters = TakeMembersWaiters(std::numeric_limits<MonotonicNs>::min());
  }
  EndMembersWaiters(std::move(waiters));
}

std::vector<MemberGate::MembersWaiter> MemberGate::TakeMembersWaiters(MonotonicNs now) {
  const auto taken = std::stable_partition(members_waiters_.begin(), members_waiters_.end(),
                                           [&](MembersWaiter& waiter) {
                                             if (waiter.shows()) return false;
                                             if (waiter.deadline > now) return true;
                                             waiter.result.result = GateResult::kTimedOut;
                                             return false;
                                           });
  std::vector<MembersWaiter> waiters(std::make_move_iterator(taken),
                                     std::make_move_iterator(members_waiters_.end()));
  members_waiters_.erase(taken, members_waiters_.end());
  return waiters;
}

void MemberGate::EndMembersWaiters(std::vector<MembersWaiter> waiters) {
  for (MembersWaiter& waiter : waiters) std::move(waiter.done)(std::move(waiter.result));
}

void MemberGate::OnMembers() {
  bool is_learner = false;
  const auto table = surroundings_.machine.members();
  for (const storage::MemberRecord& member : *table) {
    if (member.id == identity_.id) is_learner = member.learner;
  }
  learner_.store(is_learner, std::memory_order_relaxed);
  std::vector<MembersWaiter> waiters;
  {
    const MutexLock lock(mutex_);
    waiters = TakeMembersWaiters(std::numeric_limits<MonotonicNs>::min());
  }
  EndMembersWaiters(std::move(waiters));
}

void MemberGate::OnPeerConnected(raft::NodeId peer) {
  const MonotonicNs now = surroundings_.clock.Now();
  const MutexLock lock(mutex_);
  connected_since_.try_emplace(peer, now);
}

void MemberGate::OnPeerLost(raft::NodeId peer) {
  const MutexLock lock(mutex_);
  connected_since_.erase(peer);
}

LeaderSeen MemberGate::SeeLeader() const {
  if (!leader_known()) return {};
  const auto reached = [&](raft::NodeId id) {
    return id == identity_.id || connected_since_.contains(id);
  };
  if (*raft_status_.leader != identity_.id) {
    return {raft_status_.term, reached(*raft_status_.leader)};
  }
  int64_t voters = 0;
  int64_t reached_voters = 0;
  const auto table = surroundings_.machine.members();
  for (const storage::MemberRecord& member : *table) {
    if (member.learner) continue;
    ++voters;
    if (reached(member.id)) ++reached_voters;
  }
  return {raft_status_.term, 2 * reached_voters > voters};
}

std::optional<MonotonicNs> MemberGate::ConnectedFor(raft::NodeId peer) const {
  const MonotonicNs now = surroundings_.clock.Now();
  const MutexLock lock(mutex_);
  const auto since = connected_since_.find(peer);
  if (since == connected_since_.end()) return std::nullopt;
  return now - since->second;
}

}  // namespace gavel::server
