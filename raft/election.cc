// Elections: pre-vote, vote, and when to ask (Ongaro §3.4, §4.2.3, §9.6).
#include <utility>

#include "raft/check.h"
#include "raft/core.h"
#include "raft/limits.h"
#include "raft/sim_point.h"

namespace gavel::raft {

void Raft::Core::TickElection() {
  ++election_elapsed_;
  if (election_elapsed_ >= election_timeout_) StartPreVote();
}

// Nobody leads as far as this member can know, so that asking soon costs nothing: it has just
// started, or the connection to its leader is gone. A pre-vote disturbs no live leader.
bool Raft::Core::HurriesElection() const { return leader_lost_ || (!heard_leader_ && !took_part_); }

// Draws the time until the next campaign; `eager` from the short interval.
void Raft::Core::ResetElectionTimer(bool eager) {
  election_elapsed_ = 0;
  const std::optional<NodeId> known = leader();
  if (eager) {
    election_timeout_ = static_cast<uint32_t>(
        random_.Between(options_.first_campaign_ticks_min, options_.first_campaign_ticks_max));
  } else if (known && lost_.contains(*known) &&
             options_.heartbeat_ticks * 3 < options_.election_ticks) {
    // The leader was heard after the connection to it closed. Perhaps these were its last words:
    // two or three heartbeats will tell.
    election_timeout_ = static_cast<uint32_t>(
        random_.Between(options_.heartbeat_ticks * 2, options_.heartbeat_ticks * 3));
  } else {
    election_timeout_ = static_cast<uint32_t>(
        random_.Between(options_.election_ticks, 2 * uint64_t{options_.election_ticks} - 1));
  }
}

// True while this member has reason to think that the leader of its term is alive. A follower
// that has lost its own connection to the leader has not.
bool Raft::Core::HearsLeader() const {
  if (As<Leader>()) return true;
  const auto* follower = As<Follower>();
  return follower && follower->leader && ticks_since_leader_ < options_.election_ticks &&
         !lost_.contains(*follower->leader);
}

// Ongaro §3.6.1: the later last term wins, then the longer log.
bool Raft::Core::IsUpToDate(EntryId last) const {
  const EntryId own = log_.last();
  if (GAVEL_PLANTED_BUG(6)) return true;
  return last.term > own.term || (last.term == own.term && last.index >= own.index);
}

// Ongaro §4.2.2: who is no voter in its latest configuration campaigns all the same until that is
// committed. It may be the only one with a log long enough to win. After the last term there is
// none to campaign for.
bool Raft::Core::MayCampaign() const {
  return configurations_.MayBeVoter(options_.id) && term_ < kTermMax;
}

// Asks whether an election could be won, without touching the term (Ongaro §9.6).
void Raft::Core::StartPreVote() {
  if (!MayCampaign()) {
    // Whoever cannot campaign at least stops trusting the leader that is gone.
    BecomeFollower(std::nullopt);
    ResetElectionTimer(false);
    return;
  }
  if (auto* follower = As<Follower>()) FailForwardedReads(*follower);
  PreCandidate pre_candidate;
  pre_candidate.ballot.Record(options_.id, true);
  role_ = std::move(pre_candidate);
  ResetElectionTimer(HurriesElection());
  for (const MemberAddress& member : configuration().members) {
    if (member.id == options_.id || !configuration().IsVoter(member.id)) continue;
    Send(member.id, VoteRequest{.pre = true,
                                .campaign_term = term_.Next(),
                                .last = log_.last(),
                                .transfer = false,
                                .incarnation = options_.incarnation});
  }
  GAVEL_SIM_POINT("pre-votes asked for");
  CountPreVotes();
}

// Enters the next term and votes for itself. Both the requests and the own vote wait for the
// disk: they speak for the log and the vote as they will be found after a crash.
void Raft::Core::StartElection(bool transfer) {
  AdoptTerm(term_.Next());
  voted_for_ = options_.id;
  role_ = Candidate{};
  took_part_ = true;
  ResetElectionTimer(false);
  GAVEL_SIM_POINT("campaign begun, nothing durable");
  for (const MemberAddress& member : configuration().members) {
    if (member.id == options_.id || !configuration().IsVoter(member.id)) continue;
    const VoteRequest request{.pre = false,
                              .campaign_term = term_,
                              .last = log_.last(),
                              .transfer = transfer,
                              .incarnation = options_.incarnation};
    if (GAVEL_PLANTED_BUG(3)) {
      Send(member.id, request);
    } else {
      SendAfterPersist(member.id, request);
    }
  }
}

// A learner answers too: it may have been promoted by an entry it has not received yet, and
// then its vote is needed.
void Raft::Core::HandleVoteRequest(const Message& message, const VoteRequest& request) {
  const bool free_to_vote = voted_for_ ? *voted_for_ == message.from : !leader();
  const bool granted =
      (free_to_vote || (GAVEL_PLANTED_BUG(7) && !As<Leader>())) && IsUpToDate(request.last);
  if (granted) {
    voted_for_ = message.from;
    took_part_ = true;
    ResetElectionTimer(false);
    GAVEL_SIM_POINT("vote granted");
  }
  const VoteReply reply{.pre = false,
                        .campaign_term = request.campaign_term,
                        .granted = granted,
                        .incarnation = request.incarnation};
  if (GAVEL_PLANTED_BUG(2)) {
    Send(message.from, reply);
  } else {
    SendAfterPersist(message.from, reply);
  }
}

// A refusal is sent as well, whatever the terms: it carries our term, without which a
// pre-candidate of a lower term would ask in vain for ever.
void Raft::Core::HandlePreVoteRequest(const Message& message, const VoteRequest& request) {
  const bool granted = request.campaign_term > term_ && !HearsLeader() && IsUpToDate(request.last);
  if (granted) YieldToBetterPreCandidate(message.from, request);
  SendAfterPersist(message.from, VoteReply{.pre = true,
                                           .campaign_term = request.campaign_term,
                                           .granted = granted,
                                           .incarnation = request.incarnation});
}

// Two members that lose their leader at the same moment ask at the same moment, and would then
// split the votes. The one with the smaller log, or else the higher id, stands back.
void Raft::Core::YieldToBetterPreCandidate(NodeId rival, const VoteRequest& request) {
  if (!As<PreCandidate>() || request.campaign_term != term_.Next()) return;
  const bool same_log = request.last == log_.last();
  if (same_log && rival > options_.id) return;
  BecomeFollower(std::nullopt);
  ResetElectionTimer(HurriesElection());
}

void Raft::Core::HandleVoteReply(const Message& message, const VoteReply& reply) {
  // An answer to an earlier life of this member says nothing about the log of this one.
  if (reply.incarnation != options_.incarnation && !GAVEL_PLANTED_BUG(40)) return;
  if (reply.pre && !(GAVEL_PLANTED_BUG(8) && As<Candidate>())) {
    auto* pre_candidate = As<PreCandidate>();
    if (!pre_candidate || reply.campaign_term != term_.Next()) return;
    pre_candidate->ballot.Record(message.from, reply.granted);
    CountPreVotes();
  } else {
    auto* candidate = As<Candidate>();
    if (!candidate || reply.campaign_term != term_) return;
    candidate->ballot.Record(message.from, reply.granted);
    CountVotes();
  }
}

void Raft::Core::CountPreVotes() {
  switch (As<PreCandidate>()->ballot.Count(configuration())) {
    case Ballot::Result::kOpen:
      return;
    case Ballot::Result::kWon:
      StartElection(false);
      return;
    case Ballot::Result::kLost:
      BecomeFollower(std::nullopt);
      return;
  }
}

void Raft::Core::CountVotes() {
  switch (As<Candidate>()->ballot.Count(configuration())) {
    case Ballot::Result::kOpen:
      return;
    case Ballot::Result::kWon:
      GAVEL_SIM_POINT("election won");
      BecomeLeader();
      return;
    case Ballot::Result::kLost:
      // Whoever won will be heard first; if the votes were split, nobody gains by waiting.
      BecomeFollower(std::nullopt);
      ResetElectionTimer(true);
      return;
  }
}

// Called when the disk has confirmed a vote. The own vote counts only now.
void Raft::Core::CountOwnVote() {
  auto* candidate = As<Candidate>();
  if (!candidate) return;
  candidate->ballot.Record(options_.id, true);
  CountVotes();
}

}  // namespace gavel::raft
