// Replication and commitment: one test per rule of the thesis (Ongaro §3.5, §3.6.2, §10.2).
#include <gtest/gtest.h>

#include "tests/raft/cluster.h"

namespace gavel::raft {
namespace {

bool IsAppend(const Message& m) { return std::holds_alternative<AppendRequest>(m.body); }
bool IsAppendReply(const Message& m) { return std::holds_alternative<AppendReply>(m.body); }

// §3.5: the leader appends a command, and commits it once a majority holds it.
TEST(ReplicationTest, CommandIsCommittedByAMajority) {
  Cluster cluster(Voters({1, 2, 3, 4, 5}));
  cluster.Elect(1);
  cluster.Crash(4);
  cluster.Crash(5);
  cluster.Propose(1, "x");
  EXPECT_EQ(cluster.core(1).status().commit, Index(2));
  cluster.Deliver(IsAppend);
  cluster.Deliver(IsAppendReply, 1);
  EXPECT_EQ(cluster.core(1).status().commit, Index(2)) << "two of five";
  cluster.Deliver(IsAppendReply, 1);
  EXPECT_EQ(cluster.core(1).status().commit, Index(3)) << "three of five";
}

// §3.5: entries are applied in the order of the log, everywhere the same.
TEST(ReplicationTest, EveryMemberAppliesTheSameCommands) {
  Cluster cluster(Voters({1, 2, 3}));
  cluster.Elect(1);
  for (const char* text : {"a", "b", "c"}) cluster.Propose(1, text);
  cluster.Deliver();
  cluster.Run(3);
  for (uint64_t id : {1, 2, 3}) EXPECT_EQ(cluster.member(id).applied, Index(5));
  EXPECT_EQ(cluster.invariants().CommittedCommands(), (std::vector<std::string>{"a", "b", "c"}));
}

// §3.5: a follower refuses entries that do not fit its log, and tells where it may.
TEST(ReplicationTest, FollowerRefusesWhatDoesNotFit) {
  Cluster cluster(Voters({1, 2, 3}));
  cluster.Step(Message{Id(1), Id(2), Term(3),
                       AppendRequest{EntryId{Index(7), Term(2)}, {}, Index(7), Index()}});
  ASSERT_EQ(cluster.network().size(), 1u);
  const auto& reply = std::get<AppendReply>(cluster.network()[0].body);
  EXPECT_FALSE(reply.accepted);
  EXPECT_EQ(reply.rejected, Index(7));
  EXPECT_EQ(reply.hint.index, Index(0));
  EXPECT_EQ(cluster.core(2).status().commit, Index(0));
}

// §3.5: the follower's commit index never passes the last entry it knows to match.
TEST(ReplicationTest, CommitIsBoundedByWhatMatches) {
  Cluster cluster(Voters({1, 2, 3}));
  cluster.Elect(1);
  cluster.Isolate(1);
  cluster.Propose(1, "a");
  cluster.HealBoth(1, 3);
  cluster.Drop([](const Message&) { return true; });
  // The leader names a commit index of 3, but this append vouches for entry 2 only.
  Message append{Id(1), Id(3), Term(1),
                 AppendRequest{EntryId{Index(1), Term(1)},
                               {Entry{Index(2), Term(1), EntryKind::kEmpty, nullptr}},
                               Index(3),
                               Index()}};
  cluster.Step(append);
  EXPECT_EQ(cluster.core(3).status().commit, Index(2));
}

// §3.6.2: only entries of the leader's own term are committed by counting; earlier ones follow.
TEST(ReplicationTest, EarlierTermIsCommittedOnlyByAnEntryOfTheCurrentTerm) {
  Cluster cluster(Voters({1, 2, 3}));
  cluster.Elect(1);
  cluster.Propose(1, "old");
  cluster.Deliver(IsAppend);
  cluster.Crash(1);
  cluster.Drop([](const Message&) { return true; });
  cluster.Tick(3, 10);
  cluster.Campaign(2);
  cluster.Deliver([](const Message& m) { return !IsAppend(m); });
  EXPECT_EQ(cluster.core(2).status().role, Role::kLeader);
  EXPECT_EQ(cluster.core(2).status().commit, Index(2)) << "on two members, but of term 1";
  cluster.Deliver();
  EXPECT_EQ(cluster.core(2).status().commit, Index(4));
}

// §10.2.1: the leader replicates while it writes its own disk.
TEST(ReplicationTest, LeaderSendsBeforeItsOwnDiskIsDone) {
  Cluster cluster(Voters({1, 2, 3}));
  cluster.Elect(1);
  cluster.member(1).holds_disk = true;
  cluster.Propose(1, "x");
  EXPECT_EQ(cluster.network().size(), 2u);
  cluster.Deliver();
  EXPECT_EQ(cluster.core(1).status().commit, Index(3));
  EXPECT_EQ(cluster.member(1).applied, Index(2)) << "not durable here yet";
}

// §10.2.2: appends are pipelined, within a window of messages.
TEST(ReplicationTest, AppendsArePipelinedWithinTheWindow) {
  Cluster::Settings settings;
  settings.adjust = [](Options& options) { options.inflight_messages_max = 3; };
  Cluster cluster(Voters({1, 2}), settings);
  cluster.Elect(1);
  for (int i = 0; i < 10; ++i) cluster.Propose(1, "x");
  EXPECT_EQ(cluster.network().size(), 3u);
  cluster.Deliver();
  EXPECT_EQ(cluster.core(2).status().last, Index(12));
  EXPECT_EQ(cluster.core(1).status().peers[0].inflight_messages, 0u);
}

// All inputs of one round share one append for each follower.
TEST(ReplicationTest, ProposalsOfOneRoundShareAnAppend) {
  Cluster cluster(Voters({1, 2, 3}));
  cluster.Elect(1);
  cluster.Propose(1, {Command(1, 101, "a"), Command(1, 102, "b"), Command(1, 103, "c")});
  ASSERT_EQ(cluster.network().size(), 2u);
  EXPECT_EQ(std::get<AppendRequest>(cluster.network()[0].body).entries.size(), 3u);
}

// Every proposal on a leader has an outcome: where it stands, or that it is nowhere.
TEST(ReplicationTest, ProposalOutcomes) {
  Cluster cluster(Voters({1, 2, 3}));
  cluster.Propose(1, "nobody leads");
  ASSERT_EQ(cluster.member(1).outcomes.size(), 1u);
  EXPECT_EQ(cluster.member(1).outcomes[0].kind, ProposalOutcome::Kind::kDropped);
  cluster.Elect(1);
  cluster.Propose(1, "x");
  ASSERT_EQ(cluster.member(1).outcomes.size(), 2u);
  EXPECT_EQ(cluster.member(1).outcomes[1].kind, ProposalOutcome::Kind::kAppended);
  EXPECT_EQ(cluster.member(1).outcomes[1].entry, (EntryId{Index(3), Term(1)}));
}

// Only what moves the commit index alone may wait for the next sync.
Proposal Own(uint64_t sequence) {
  return {{Id(1), Incarnation(1), sequence}, std::make_shared<const std::string>("own")};
}

// What a leader proposes of its own accord is never forwarded, and does not wait behind a limit:
// what follows in the same turn may depend on it.
TEST(ReplicationTest, ALeadersOwnProposalIsAppendedOrNot) {
  Cluster::Settings settings;
  settings.adjust = [](Options& options) { options.uncommitted_bytes_max = 10; };
  Cluster cluster(Voters({1, 2, 3}), settings);
  EXPECT_EQ(cluster.core(2).ProposeAsLeader(Own(1)), std::nullopt);
  cluster.Elect(1);
  EXPECT_EQ(cluster.core(2).ProposeAsLeader(Own(2)), std::nullopt);
  EXPECT_FALSE(cluster.core(2).HasEffects()) << "nothing is sent to the leader";
  cluster.Isolate(1);
  cluster.Propose(1, std::string(100, 'x'));
  const Index before = cluster.core(1).status().last;
  cluster.Propose(1, "refused");
  EXPECT_EQ(cluster.core(1).status().last, before);
  EXPECT_EQ(cluster.core(1).ProposeAsLeader(Own(3)), (EntryId{before.Next(), Term(1)}));
  cluster.Transfer(1, 2);
  EXPECT_EQ(cluster.core(1).ProposeAsLeader(Own(4)), std::nullopt) << "it hands over";
}

// What was refused at the beginning of a turn is refused for all of it: what comes later may depend
// on it, as renewals do on the time that the leader reads into the log.
TEST(ReplicationTest, AHandOverThatIsGivenUpEndsWithATick) {
  Cluster cluster(Voters({1, 2, 3}));
  cluster.Elect(1);
  cluster.Isolate(1);
  cluster.Propose(1, "the target lacks it");
  const Index before = cluster.core(1).status().last;
  cluster.Transfer(1, 2);
  EXPECT_EQ(cluster.core(1).ProposeAsLeader(Own(1)), std::nullopt);
  cluster.core(1).OnPeerConnectionLost(Id(2));
  cluster.Propose(1, "of the same turn");
  EXPECT_EQ(cluster.core(1).status().last, before);
  EXPECT_EQ(cluster.core(1).ProposeAsLeader(Own(2)), std::nullopt);
  cluster.core(1).Tick();
  EXPECT_EQ(cluster.core(1).ProposeAsLeader(Own(3)), (EntryId{before.Next(), Term(1)}));
}

TEST(ReplicationTest, MustSyncIsFalseOnlyForTheCommitIndex) {
  Cluster cluster(Voters({1, 2, 3}));
  cluster.Elect(1);
  cluster.Propose(1, "x");
  cluster.Deliver();
  Raft& core = cluster.core(2);
  core.Step(Message{Id(1), Id(2), Term(1), Heartbeat{Round(1), Index(3), Index()}});
  Effects effects = core.TakeEffects();
  ASSERT_TRUE(effects.hard_state);
  EXPECT_EQ(effects.hard_state->commit, Index(3));
  EXPECT_FALSE(effects.must_sync);
  core.Step(Message{Id(1), Id(2), Term(1),
                    AppendRequest{EntryId{Index(3), Term(1)},
                                  {Entry{Index(4), Term(1), EntryKind::kEmpty, nullptr}},
                                  Index(3),
                                  Index()}});
  EXPECT_TRUE(core.TakeEffects().must_sync);
}

// A leader names no commit index beyond what this member has confirmed to it, so one beyond the end
// of the log says what the disk has lost. It is told, and commits nothing.
TEST(ReplicationTest, WhatTheDiskHasLostIsTold) {
  Cluster cluster(Voters({1, 2, 3}));
  cluster.Elect(1);
  cluster.Propose(1, "x");
  cluster.Deliver();
  Raft& core = cluster.core(2);
  const Status before = core.status();
  core.Step(Message{Id(1), Id(2), Term(1), Heartbeat{Round(1), before.last, Index()}});
  EXPECT_TRUE(core.status().missing.is_none());
  core.Step(Message{Id(1), Id(2), Term(1), Heartbeat{Round(2), before.last.Next(), Index()}});
  EXPECT_EQ(core.status().missing, before.last.Next());
  EXPECT_EQ(core.status().commit, before.last);
  core.TakeEffects();
}

// An empty batch needs no completion and takes no number.
TEST(ReplicationTest, EmptyBatchesTakeNoNumber) {
  Cluster cluster(Voters({1, 2, 3}));
  EXPECT_FALSE(cluster.core(1).HasEffects());
  const Effects effects = cluster.core(1).TakeEffects();
  EXPECT_TRUE(effects.empty());
  EXPECT_TRUE(effects.number.is_none());
}

// Nothing leaves memory before it is applied, however small the limits are.
TEST(ReplicationTest, MemoryKeepsWhatIsNotApplied) {
  Cluster::Settings settings;
  settings.adjust = [](Options& options) { options.recent_entries_max = 1; };
  Cluster cluster(Voters({1}), settings);
  cluster.Elect(1);
  cluster.member(1).holds_apply = true;
  for (int i = 0; i < 10; ++i) cluster.Propose(1, "x");
  EXPECT_TRUE(cluster.core(1).EntryAt(Index(3)));
  cluster.Apply(1);
  EXPECT_FALSE(cluster.core(1).EntryAt(Index(3)));
  EXPECT_TRUE(cluster.core(1).EntryAt(Index(12)));
}

}  // namespace
}  // namespace gavel::raft
