// Start, time, dispatch of messages, and changes of role.
#include "raft/core.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "raft/check.h"
#include "raft/well_formed.h"

namespace gavel::raft {
namespace {

template <class... Handlers>
struct Overload : Handlers... {
  using Handlers::operator()...;
};
template <class... Handlers>
Overload(Handlers...) -> Overload<Handlers...>;

template <class Body>
bool Is(const Message& message) {
  return std::holds_alternative<Body>(message.body);
}

bool ComesFromLeader(const Message& message) {
  return Is<AppendRequest>(message) || Is<Heartbeat>(message) || Is<InstallSnapshot>(message);
}

}  // namespace

Raft::Core::Core(Options options, Restored restored, Random random)
    : options_(options),
      random_(random),
      term_(restored.hard_state.term),
      voted_for_(restored.hard_state.voted_for),
      handed_(restored.applied),
      applied_(restored.applied),
      log_(Log::Limits{options.recent_bytes_max, options.recent_entries_max},
           EntryId{restored.start.index, restored.start.term}, std::move(restored.entries)),
      configurations_(restored.start.index, std::move(restored.start.configuration)),
      first_stored_(restored.first_stored) {
  GAVEL_CHECK(!options_.id.is_none());
  GAVEL_CHECK(options_.election_ticks > options_.heartbeat_ticks && options_.heartbeat_ticks > 0);
  GAVEL_CHECK(options_.first_campaign_ticks_min > 0 &&
              options_.first_campaign_ticks_min <= options_.first_campaign_ticks_max);
  GAVEL_CHECK(log_.last().term <= term_)
      << "an entry of term" << log_.last().term.value() << "but hard state" << term_.value();
  GAVEL_CHECK(applied_ >= log_.start().index && applied_ <= log_.last().index)
      << applied_.value() << "not in" << log_.start().index.value() << log_.last().index.value();
  for (Index index = log_.start().index.Next(); log_.Has(index); index = index.Next()) {
    const Entry& entry = log_.At(index);
    if (entry.kind != EntryKind::kConfiguration) continue;
    auto configuration = DecodeConfiguration(*entry.payload);
    GAVEL_CHECK(configuration.ok()) << std::string(configuration.status().message());
    configurations_.Append(index, *std::move(configuration));
  }
  // What is applied was committed, even if the commit index on disk is older; it is written
  // without a sync of its own. It may also be newer than a log that lost its unsynced end.
  commit_ = std::max(std::min(restored.hard_state.commit, log_.last().index), applied_);
  configurations_.OnCommitted(commit_);
  log_.OnApplied(applied_);
  emitted_hard_state_ = restored.hard_state;
  emitted_role_ = role_change();
  ticks_since_leader_ = options_.election_ticks;
  ResetElectionTimer(true);
}

void Raft::Core::Tick() {
  ++ticks_;
  if (ticks_since_leader_ < options_.election_ticks) ++ticks_since_leader_;
  if (auto* leader = As<Leader>()) {
    TickLeader(*leader);
  } else {
    if (auto* follower = As<Follower>()) TickForwardedReads(*follower);
    TickElection();
  }
}

void Raft::Core::Step(Message message) {
  if (message.to != options_.id || message.from == options_.id || message.from.is_none()) return;
  if (!IsWellFormed(message) || !IsHeard(message)) return;
  // A pre-vote asks about a term without entering it.
  if (const auto* request = std::get_if<VoteRequest>(&message.body); request && request->pre) {
    HandlePreVoteRequest(message, *request);
    return;
  }
  if (message.term > term_ && !AdmitHigherTerm(message)) return;
  if (message.term < term_) {
    StepStale(message);
    return;
  }
  Dispatch(message);
}

// Ongaro §4.1: a leader or candidate is heard whoever it is, since it may belong to a configuration
// that has not reached this member. Everything else is between members that know each other: the
// leader that is followed, those it feeds, and the members of the configurations known here.
bool Raft::Core::IsHeard(const Message& message) const {
  if (ComesFromLeader(message) || Is<VoteRequest>(message)) return true;
  if (leader() == message.from || configurations_.MayBeMember(message.from)) return true;
  const auto* led = As<Leader>();
  return led && led->peers.contains(message.from);
}

// Enters the term of `message`. Returns false if the message is to be ignored instead.
bool Raft::Core::AdmitHigherTerm(const Message& message) {
  if (const auto* request = std::get_if<VoteRequest>(&message.body)) {
    // Ongaro §4.2.3: while a leader is heard, nobody can depose it by a vote request, be it
    // from a removed member or from a delayed message; unless the leader asked for it.
    if (!request->transfer && HearsLeader()) return false;
  }
  AdoptTerm(message.term);
  BecomeFollower(ComesFromLeader(message) ? std::optional(message.from) : std::nullopt);
  return true;
}

// Answers what an earlier term still says, where silence would leave the sender stuck.
void Raft::Core::StepStale(const Message& message) {
  std::visit(
      Overload{
          // The answer carries our term: a leader that cannot win us over steps down, and the
          // next one is elected above our term.
          [&](const AppendRequest& request) { RejectAppend(message.from, request.previous); },
          // It confirms no round: the sender may lead again by now, in our term, and must not
          // take an answer to its earlier self for one to itself.
          [&](const Heartbeat&) { Send(message.from, HeartbeatReply{Round()}); },
          [&](const VoteRequest& request) {
            SendAfterPersist(message.from, VoteReply{.campaign_term = request.campaign_term,
                                                     .granted = false,
                                                     .incarnation = request.incarnation});
          },
          // A voter of a lower term may well say that it would vote.
          [&](const VoteReply& reply) {
            if (reply.pre) HandleVoteReply(message, reply);
          },
          [&](const ReadRequest& request) {
            Send(message.from, ReadReply{request.id, request.incarnation, false, Index()});
          },
          [&](const ForwardProposals& forward) { RefuseForward(message.from, forward); },
          [&](const ProposalsDropped& dropped) { HandleDropped(dropped); },
          // What a snapshot holds is committed, whoever leads by now.
          [&](const InstallSnapshot& install) { HandleInstallSnapshot(message, install); },
          [](const AppendReply&) {},
          [](const HeartbeatReply&) {},
          [](const ReadReply&) {},
          [](const TimeoutNow&) {},
      },
      message.body);
}

void Raft::Core::Dispatch(const Message& message) {
  std::visit(Overload{
                 [&](const AppendRequest& request) { HandleAppend(message, request); },
                 [&](const AppendReply& reply) { HandleAppendReply(message, reply); },
                 [&](const Heartbeat& heartbeat) { HandleHeartbeat(message, heartbeat); },
                 [&](const HeartbeatReply& reply) { HandleHeartbeatReply(message, reply); },
                 [&](const VoteRequest& request) { HandleVoteRequest(message, request); },
                 [&](const VoteReply& reply) { HandleVoteReply(message, reply); },
                 [&](const ReadRequest& request) { HandleReadRequest(message, request); },
                 [&](const ReadReply& reply) { HandleReadReply(message, reply); },
                 [&](const ForwardProposals& forward) { HandleForward(message, forward); },
                 [&](const ProposalsDropped& dropped) { HandleDropped(dropped); },
                 [&](const TimeoutNow&) { HandleTimeoutNow(message); },
                 [&](const InstallSnapshot& install) { HandleInstallSnapshot(message, install); },
             },
             message.body);
}

void Raft::Core::AdoptTerm(Term term) {
  GAVEL_CHECK(term > term_) << term.value() << term_.value();
  term_ = term;
  // The only place a vote is forgotten. Stepping down inside one term keeps it, or this member
  // could vote twice and elect two leaders (Ongaro §3.4).
  voted_for_.reset();
  if (auto* follower = As<Follower>()) {
    FailForwardedReads(*follower);
    follower->leader.reset();
  }
  DropPendingPromises();
}

// Acknowledgements to a leader of an earlier term, and vote requests of an earlier campaign,
// are of no use to anyone; and what they speak for may be gone before the batch is written.
void Raft::Core::DropPendingPromises() {
  std::erase_if(pending_.send_after_persist, [this](const Message& message) {
    return message.term < term_ && (Is<AppendReply>(message) || Is<VoteRequest>(message));
  });
}

void Raft::Core::BecomeFollower(std::optional<NodeId> leader) {
  if (auto* led = As<Leader>()) {
    FailReads(*led);
    ResetElectionTimer(false);
  } else if (auto* follower = As<Follower>()) {
    if (follower->leader == leader) return;
    FailForwardedReads(*follower);
  }
  role_ = Follower{leader, {}};
}

void Raft::Core::BecomeLeader() {
  GAVEL_CHECK(As<Candidate>() != nullptr);
  Leader leader;
  leader.uncommitted_bytes = log_.BytesAfter(commit_);
  role_ = std::move(leader);
  led_ = Led{term_, {}};
  heard_leader_ = true;
  leader_lost_ = false;
  SyncPeers(*As<Leader>());
  if (log_.last().index.is_none()) {
    // The first entry of all names the founders. Members that join later are told nothing but
    // the log, and must still know the configuration at every index of it.
    AppendAsLeader(EntryKind::kConfiguration,
                   std::make_shared<const std::string>(EncodeConfiguration(configuration())));
  }
  // Ongaro §6.4: an entry of the own term, so that the commit index becomes known.
  AppendAsLeader(EntryKind::kEmpty, nullptr);
  As<Leader>()->first_of_term = log_.last().index;
}

// A leader of our term has spoken: follows it and waits anew before campaigning. Returns false if
// another one is known to lead this term: then nothing that `from` says is taken.
bool Raft::Core::OnLeaderMessage(NodeId from) {
  if (const auto known = leader(); known && *known != from) {
    Refute(from, Index());
    return false;
  }
  BecomeFollower(from);
  heard_leader_ = true;
  leader_lost_ = false;
  ticks_since_leader_ = 0;
  ResetElectionTimer(false);
  return true;
}

void Raft::Core::Refute(NodeId from, Index index) {
  contradiction_ = Contradiction{contradiction_.count + 1, term_, from, leader(), index};
}

void Raft::Core::Send(NodeId to, MessageBody body) {
  pending_.send_now.push_back(Message{options_.id, to, term_, std::move(body)});
}

void Raft::Core::SendAfterPersist(NodeId to, MessageBody body) {
  pending_.send_after_persist.push_back(Message{options_.id, to, term_, std::move(body)});
}

std::optional<NodeId> Raft::Core::leader() const {
  if (As<Leader>()) return options_.id;
  if (const auto* follower = As<Follower>()) return follower->leader;
  return std::nullopt;
}

Role Raft::Core::role() const {
  return std::visit(Overload{
                        [](const Follower&) { return Role::kFollower; },
                        [](const PreCandidate&) { return Role::kPreCandidate; },
                        [](const Candidate&) { return Role::kCandidate; },
                        [](const Leader&) { return Role::kLeader; },
                    },
                    role_);
}

Status Raft::Core::status() const {
  Status status{.id = options_.id,
                .role = role(),
                .term = term_,
                .leader = leader(),
                .voted_for = voted_for_,
                .commit = commit_,
                .applied = applied_,
                .last = log_.last().index,
                .persisted = log_.persisted(),
                .replicated_everywhere = ReplicatedEverywhere(),
                .missing = missing_,
                .contradiction = contradiction_,
                .peers = {}};
  if (const auto* led = As<Leader>()) {
    for (const auto& [id, peer] : led->peers) {
      if (peer.departing) continue;
      status.peers.push_back(PeerProgress{.id = id,
                                          .state = peer.state,
                                          .match = peer.match,
                                          .next = peer.next,
                                          .recently_active = peer.recently_active,
                                          .inflight_messages = peer.window.messages()});
    }
  }
  return status;
}

std::optional<Entry> Raft::Core::EntryAt(Index index) const {
  if (!log_.Has(index)) return std::nullopt;
  return log_.At(index);
}

}  // namespace gavel::raft
