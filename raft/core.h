// The state of Raft::Core and the map of its methods; each group lives in the file named.
//
// Internal to raft/: everything outside includes raft/raft.h.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <variant>
#include <vector>

#include "raft/configuration_history.h"
#include "raft/log.h"
#include "raft/progress.h"
#include "raft/quorum.h"
#include "raft/raft.h"
#include "raft/read_rounds.h"
#include "raft/seen_proposals.h"

namespace gavel::raft {

using MessageBody = decltype(Message::body);

// Invariants:
//   applied_ <= handed_ <= commit_ <= log_.last().index
//   voted_for_ is cleared only where term_ rises
//   what is sent in send_after_persist is true of the disk once its batch is durable
class Raft::Core {
 public:
  Core(Options options, Restored restored, Random random);

  // core.cc
  void Tick();
  void Step(Message message);
  Status status() const;
  const Configuration& configuration() const { return configurations_.latest(); }
  std::optional<Entry> EntryAt(Index index) const;

  // proposals.cc
  void Propose(std::vector<Proposal> proposals);
  std::optional<EntryId> ProposeAsLeader(const Proposal& proposal);

  // membership.cc
  bool ProposeChange(const Configuration& target);

  // read_index.cc
  void RequestRead(ReadId id);

  // transfer.cc
  void TransferLeadership(NodeId target);

  // persistence.cc
  void OnPersisted(BatchNumber number);
  void OnApplied(Index index);
  void CompactTo(Index index);
  bool HasEffects();
  Effects TakeEffects();

  // older.cc
  void OnOlderEntries(NodeId to, Index from, std::vector<Entry> entries);
  void OnSnapshotSent(NodeId to, std::optional<Index> index);

  // connections.cc
  void OnPeerUnreachable(NodeId peer);
  void OnPeerConnectionLost(NodeId peer);
  void OnPeerConnected(NodeId peer);

 private:
  struct Follower {
    std::optional<NodeId> leader;
    std::map<ReadId, uint64_t> reads;  // Forwarded to the leader, with the tick they left.
  };
  struct PreCandidate {
    Ballot ballot;
  };
  struct Candidate {
    Ballot ballot;
  };
  struct Transfer {
    NodeId target;
    uint32_t ticks = 0;
    bool told = false;  // TimeoutNow has been sent.
    bool over = false;  // Ends with the next tick.
  };
  struct Leader {
    std::map<NodeId, Progress> peers;
    Index first_of_term;  // The empty entry this leader began with.
    ReadRounds reads;
    std::optional<Transfer> transfer;
    size_t uncommitted_bytes = 0;
    uint32_t ticks_since_heartbeat = 0;
    uint32_t ticks_since_quorum_check = 0;
  };
  // The last term this member led in this life, and the forwarded proposals it decided there.
  struct Led {
    Term term;
    SeenProposals seen;
  };
  // Hard state on its way to the disk.
  struct WrittenVote {
    BatchNumber number;
    Term term;
    std::optional<NodeId> voted_for;
  };

  // core.cc: dispatch and changes of role.
  bool IsHeard(const Message& message) const;
  bool AdmitHigherTerm(const Message& message);
  void StepStale(const Message& message);
  void Dispatch(const Message& message);
  void AdoptTerm(Term term);
  void BecomeFollower(std::optional<NodeId> leader);
  void BecomeLeader();
  bool OnLeaderMessage(NodeId leader);
  void Refute(NodeId from, Index index);
  void Send(NodeId to, MessageBody body);
  void SendAfterPersist(NodeId to, MessageBody body);
  void DropPendingPromises();
  std::optional<NodeId> leader() const;
  Role role() const;
  template <class R>
  R* As() {
    return std::get_if<R>(&role_);
  }
  template <class R>
  const R* As() const {
    return std::get_if<R>(&role_);
  }

  // election.cc
  void TickElection();
  void ResetElectionTimer(bool eager);
  bool HurriesElection() const;
  bool HearsLeader() const;
  bool IsUpToDate(EntryId last) const;
  bool MayCampaign() const;
  void StartPreVote();
  void StartElection(bool transfer);
  void HandleVoteRequest(const Message& message, const VoteRequest& request);
  void HandlePreVoteRequest(const Message& message, const VoteRequest& request);
  void YieldToBetterPreCandidate(NodeId rival, const VoteRequest& request);
  void HandleVoteReply(const Message& message, const VoteReply& reply);
  void CountPreVotes();
  void CountVotes();
  void CountOwnVote();

  // transfer.cc
  void HandleTimeoutNow(const Message& message);
  void TickTransfer(Leader& leader);
  void AdvanceTransfer(Leader& leader);
  void HandOverBeforeLeaving(Leader& leader);

  // append.cc: the follower's side of replication.
  void HandleAppend(const Message& message, const AppendRequest& request);
  void HandleHeartbeat(const Message& message, const Heartbeat& heartbeat);
  void HandleInstallSnapshot(const Message& message, const InstallSnapshot& install);
  std::optional<Index> FindContradiction(const std::vector<Entry>& entries) const;
  void AppendNewEntries(const std::vector<Entry>& entries);
  void RejectAppend(NodeId leader, EntryId previous);
  void AcceptAppend(NodeId leader, Index match);
  void Install(const SnapshotMeta& meta);

  // replication.cc: the leader's side.
  void TickLeader(Leader& leader);
  void CheckQuorum(Leader& leader);
  void SendHeartbeat(Leader& leader, NodeId to, Progress& peer);
  void HandleAppendReply(const Message& message, const AppendReply& reply);
  void HandleAccepted(Leader& leader, NodeId from, Progress& peer, Index match);
  void HandleRejected(Progress& peer, const AppendReply& reply);
  void HandleHeartbeatReply(const Message& message, const HeartbeatReply& reply);
  void FlushLeader();
  void FlushPeer(Leader& leader, NodeId to, Progress& peer);
  void FlushCommit(Leader& leader, NodeId to, Progress& peer);
  void SendAppend(NodeId to, Progress& peer, bool with_entries);
  void SendEntries(NodeId to, Progress& peer, EntryId previous, std::vector<Entry> entries);
  Progress NewProgress() const;
  Index ReplicatedEverywhere() const;
  void AppendAsLeader(EntryKind kind, Payload payload);

  // commit.cc
  void AdvanceCommit();
  void CommitTo(Index index);
  bool OwnTermCommitted(const Leader& leader) const;

  // older.cc
  void AskOlder(NodeId to, Progress& peer);
  void WantSnapshot(NodeId to, Progress& peer);
  bool CanFeedFrom(Index next) const;

  // membership.cc
  void AppendToLog(Entry entry);
  void AdoptConfiguration();
  void SyncPeers(Leader& leader);
  void OnConfigurationCommitted();
  void LeaveJoint();
  void DropDeparted(Leader& leader);

  // read_index.cc
  void HandleReadRequest(const Message& message, const ReadRequest& request);
  void HandleReadReply(const Message& message, const ReadReply& reply);
  void FlushReads(Leader& leader);
  void GrantConfirmedReads(Leader& leader);
  void Grant(Leader& leader, const ConfirmedRead& read);
  void FailReads(Leader& leader);
  void FailForwardedReads(Follower& follower);
  void TickForwardedReads(Follower& follower);

  // proposals.cc
  bool TakesProposals(const Leader& leader) const;
  void AppendProposals(Leader& leader, std::vector<Proposal> proposals);
  void ForwardToLeader(NodeId to, std::vector<Proposal> proposals);
  void DropProposals(const std::vector<Proposal>& proposals);
  void HandleForward(const Message& message, const ForwardProposals& forward);
  void RefuseForward(NodeId from, const ForwardProposals& forward);
  void HandleDropped(const ProposalsDropped& dropped);

  // persistence.cc
  void Flush();
  HardState hard_state() const;
  RoleChange role_change() const;
  bool HasSomethingToWrite() const;
  std::vector<Entry> TakeCommitted();

  const Options options_;
  Random random_;

  Term term_;
  std::optional<NodeId> voted_for_;
  Index commit_;
  Index handed_;   // Last entry handed out in Effects::committed.
  Index applied_;  // Last entry the driver has reported as applied.
  Log log_;
  ConfigurationHistory configurations_;
  Index first_stored_;           // Lowest index the driver can read back.
  Index replicated_everywhere_;  // As last told by a leader.
  Index missing_;                // See Status.
  Contradiction contradiction_;  // See Status.
  std::variant<Follower, PreCandidate, Candidate, Leader> role_;
  Led led_;

  uint64_t ticks_ = 0;
  uint32_t election_elapsed_ = 0;
  uint32_t election_timeout_ = 0;
  uint32_t ticks_since_leader_ = 0;
  bool heard_leader_ = false;  // Since the start.
  bool took_part_ = false;     // Voted or campaigned since the start.
  bool leader_lost_ = false;   // The connection to the leader closed; none heard since.
  std::set<NodeId> lost_;      // Peers whose connection closed and did not come back.

  Effects pending_;
  BatchNumber last_batch_;
  std::deque<WrittenVote> written_votes_;
  HardState emitted_hard_state_;
  RoleChange emitted_role_;
};

}  // namespace gavel::raft
