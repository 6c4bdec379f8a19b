// Who waits for the outcome of which proposal.
//
// Passive: no lock, no clock, no thread. MemberGate owns one and guards it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "raft/effects.h"
#include "raft/message.h"
#include "raft/types.h"
#include "server/clock.h"
#include "server/node/gate.h"
#include "storage/state/state_machine.h"

namespace gavel::server {

// A call-back with what to hand it; run without any lock held.
struct FinishedProposal {
  ProposeDone done;
  ProposeResult result;
};

// What a member sees of the leader when a proposal is past its deadline.
struct LeaderSeen {
  std::optional<raft::Term> term;  // The term that the leader leads; nothing if none is known.
  bool connected = true;           // To the leader; the leader itself: to a majority.
};

// Knows every proposal of this member in this life until it has ended.
//
// A proposal is queued (not yet taken by the core), proposed (the core has it; it may be in some
// log), or held (certainly in no log; it waits for a leader under a new number). It ends when
// this member applies it, or at its deadline.
//
// Invariants:
//   numbers only grow, and the core takes proposals in the order of their numbers;
//   a held proposal has no number that was ever proposed.
class ProposalTracker {
 public:
  ProposalTracker(raft::NodeId member, raft::Incarnation incarnation)
      : member_(member), incarnation_(incarnation) {}

  // Those who wait for one command, if they are not one.
  struct Waiters {
    size_t count = 1;
    size_t bytes = 0;  // What they cost besides the command.
  };
  // Adds a command whose body is `request`, the encoded message of `field`.
  void Add(CommandField field, std::string_view request, MonotonicNs deadline, ProposeDone done,
           Waiters waiters = {1, 0});

  // The id of a proposal that is made past the tracker, and of which nobody waits for the outcome.
  raft::RequestId NewId() { return IdOf(++last_sequence_); }

  // Returns the queued proposals for the core, which proposes all of them in `term` (or in the
  // term it reports with OnProposed, if that is later).
  std::vector<raft::Proposal> TakeQueued();
  // All proposals taken so far were proposed in `term` or before.
  void OnProposed(raft::Term term);

  // The core dropped `id`: it is in no log. It is held until Requeue.
  void OnDropped(const raft::RequestId& id);
  // The leader takes no command like `id`, for the reason that ProposalsDropped says: it is in no
  // log, and ends.
  std::optional<FinishedProposal> OnRefused(const raft::RequestId& id, uint32_t reason);

  // This member has applied `outcomes`, the last of them in an entry of term `applied_term`.
  std::vector<FinishedProposal> OnApplied(std::vector<storage::CommandOutcome> outcomes,
                                          raft::Term applied_term);

  // Queues the held proposals again, under new numbers.
  void Requeue();

  // Ends what is past its deadline.
  std::vector<FinishedProposal> Expire(MonotonicNs now, const LeaderSeen& leader);
  // Ends everything: the member stops.
  std::vector<FinishedProposal> Stop();

  bool has_queued() const { return !queued_.empty(); }
  bool has_held() const { return !held_.empty(); }
  bool empty() const { return pending_.empty(); }
  size_t count() const { return pending_.size(); }
  size_t waiters() const { return waiters_; }
  size_t bytes() const { return bytes_; }

 private:
  struct Pending {
    CommandField field = CommandField::kPut;
    raft::Payload payload;
    size_t body_offset = 0;  // Where the request's field begins in the payload.
    MonotonicNs deadline = 0;
    ProposeDone done;
    Waiters waiters;
    bool held = false;
  };
  using PendingMap = std::map<uint64_t, Pending>;

  void Hold(PendingMap::iterator it);
  // What the core has never taken, or gave back, is in no log.
  bool InNoLog(PendingMap::const_iterator it) const {
    return it->second.held || it->first > last_taken_;
  }
  GateResult WhyExpired(PendingMap::const_iterator it, const LeaderSeen& leader) const;
  FinishedProposal Finish(PendingMap::iterator it, GateResult result);
  std::string Header(CommandField field, uint64_t sequence) const;
  raft::RequestId IdOf(uint64_t sequence) const { return {member_, incarnation_, sequence}; }

  const raft::NodeId member_;
  const raft::Incarnation incarnation_;
  uint64_t last_sequence_ = 0;
  uint64_t last_taken_ = 0;  // Highest number the core has taken.

  PendingMap pending_;  // By number.
  std::set<std::pair<MonotonicNs, uint64_t>> deadlines_;
  std::vector<uint64_t> queued_;  // Ascending.
  std::vector<uint64_t> held_;    // Ascending; may name proposals that have ended.
  size_t bytes_ = 0;
  size_t waiters_ = 0;

  // For each term, the highest number proposed in it; ascending in both.
  std::vector<std::pair<raft::Term, uint64_t>> proposed_;
};

}  // namespace gavel::server
