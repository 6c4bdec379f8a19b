// Membership, transfer and reads: one test per rule (Ongaro §4.1, §4.2.2, §4.3, §3.10, §6.4).
#include <gtest/gtest.h>

#include "tests/raft/cluster.h"

namespace gavel::raft {
namespace {

// §4.3: in the joint configuration both halves must agree; here the old one is cut off.
TEST(MembershipTest, JointConfigurationNeedsBothHalves) {
  Cluster cluster(Voters({1, 2, 3}));
  cluster.Add(Id(4));
  cluster.Add(Id(5));
  cluster.Elect(1);
  ASSERT_TRUE(cluster.Change(1, Voters({1, 4, 5})));
  cluster.Crash(2);
  cluster.Crash(3);
  cluster.Deliver();
  cluster.Tick(1, 4);
  cluster.Deliver();
  EXPECT_TRUE(cluster.core(1).configuration().joint());
  EXPECT_EQ(cluster.core(1).status().commit, Index(2)) << "1, 4, 5 hold it, of 1, 2, 3 only 1";
  cluster.Restart(2);
  cluster.Run(8);
  EXPECT_FALSE(cluster.core(1).configuration().joint());
  EXPECT_EQ(cluster.core(1).configuration().voters, Voters({1, 4, 5}).voters);
}

// §4.3: nobody is elected in the joint configuration without both halves.
TEST(MembershipTest, AJointConfigurationElectsWithBothHalves) {
  Cluster cluster(Voters({1, 2, 3}));
  cluster.Add(Id(4));
  cluster.Add(Id(5));
  cluster.Elect(1);
  ASSERT_TRUE(cluster.Change(1, Voters({1, 4, 5})));
  cluster.Crash(2);
  cluster.Crash(3);
  cluster.Deliver();
  cluster.Crash(1);
  ASSERT_TRUE(cluster.core(4).configuration().joint());
  cluster.Run(40);
  EXPECT_EQ(cluster.Leader(), std::nullopt) << "of 1, 2, 3 none";
  cluster.Restart(2);
  cluster.Run(40);
  EXPECT_EQ(cluster.Leader(), std::nullopt) << "of 1, 2, 3 only one";
  cluster.Restart(3);
  cluster.Run(40);
  EXPECT_NE(cluster.Leader(), std::nullopt);
}

// §4.1: a configuration counts for whoever has it in the log, committed or not.
TEST(MembershipTest, AConfigurationIsAdoptedAsItIsAppended) {
  Cluster cluster(Voters({1, 2, 3}));
  cluster.Add(Id(4));
  cluster.Add(Id(5));
  cluster.Elect(1);
  const Index commit = cluster.core(1).status().commit;
  ASSERT_TRUE(cluster.Change(1, Voters({1, 4, 5})));
  EXPECT_TRUE(cluster.core(1).configuration().joint());
  EXPECT_FALSE(cluster.core(2).configuration().joint());
  cluster.Deliver([](const Message& message) { return message.to == Id(2); });
  EXPECT_TRUE(cluster.core(2).configuration().joint());
  EXPECT_FALSE(cluster.core(3).configuration().joint());
  EXPECT_EQ(cluster.core(1).status().commit, commit);
  EXPECT_EQ(cluster.core(2).status().commit, commit);
}

// §4.1: one change at a time.
TEST(MembershipTest, ChangeIsRefusedWhileAnotherIsUnderWay) {
  Cluster cluster(Voters({1, 2, 3}));
  cluster.Elect(1);
  EXPECT_TRUE(cluster.Change(1, Voters({1, 2})));
  EXPECT_FALSE(cluster.Change(1, Voters({1, 3})));
  cluster.Deliver();
  EXPECT_TRUE(cluster.Change(1, Voters({1, 2, 3})));
}

// What is no change, or no configuration, is refused with nothing changed.
TEST(MembershipTest, ImpossibleChangesAreRefused) {
  Cluster cluster(Voters({1, 2, 3}));
  cluster.Elect(1);
  const Index last = cluster.core(1).status().last;
  EXPECT_FALSE(cluster.Change(2, Voters({1, 2}))) << "no leader";
  EXPECT_FALSE(cluster.Change(1, Voters({}, {1, 2}))) << "no voter";
  Configuration stranger = Voters({1, 2});
  stranger.voters.push_back(Id(9));
  EXPECT_FALSE(cluster.Change(1, stranger)) << "a voter that is no member";
  Configuration joint = Voters({1, 2});
  joint.outgoing_voters = {Id(1)};
  EXPECT_FALSE(cluster.Change(1, joint));
  EXPECT_EQ(cluster.core(1).status().last, last);
}

// §4.2.1: a learner receives the log and counts in no quorum.
TEST(MembershipTest, LearnerIsNotCounted) {
  Cluster cluster(Voters({1, 2}, {3, 4, 5}));
  cluster.Elect(1);
  cluster.Crash(2);
  cluster.Propose(1, "x");
  cluster.Deliver();
  EXPECT_EQ(cluster.core(3).status().last, Index(3));
  EXPECT_EQ(cluster.core(1).status().commit, Index(2));
}

// New peer URLs of a member need no joint step, and reach everyone.
TEST(MembershipTest, PeerUrlsChangeWithoutAJointStep) {
  Cluster cluster(Voters({1, 2, 3}));
  cluster.Elect(1);
  Configuration moved = Voters({1, 2, 3});
  moved.members[1].peer_urls = {"http://elsewhere"};
  EXPECT_TRUE(cluster.Change(1, moved));
  EXPECT_FALSE(cluster.core(1).configuration().joint());
  cluster.Deliver();
  EXPECT_EQ(cluster.core(3).configuration(), moved);
}

// A voter that becomes a learner stays a member; one that is not named leaves.
TEST(MembershipTest, DemotedStaysRemovedLeaves) {
  Cluster cluster(Voters({1, 2, 3}));
  cluster.Elect(1);
  ASSERT_TRUE(cluster.Change(1, Voters({1}, {2})));
  cluster.Deliver();
  const Configuration& configuration = cluster.core(1).configuration();
  EXPECT_TRUE(configuration.IsLearner(Id(2)));
  EXPECT_EQ(configuration.Find(Id(3)), nullptr);
  EXPECT_EQ(configuration.voters, Voters({1}).voters);
}

// §3.10: the target is brought up to date and elected, without a pause for an election timeout.
TEST(TransferTest, TargetIsElectedAtOnce) {
  Cluster cluster(Voters({1, 2, 3}));
  cluster.Elect(1);
  cluster.Propose(1, "x");
  cluster.Transfer(1, 3);
  cluster.Deliver();
  EXPECT_EQ(cluster.core(3).status().role, Role::kLeader);
  EXPECT_EQ(cluster.core(3).status().term, Term(2));
  EXPECT_EQ(cluster.core(1).status().leader, Id(3));
}

// §3.10: learners and strangers cannot take over, nor does a follower give anything away.
TEST(TransferTest, OnlyToAnotherVoter) {
  Cluster cluster(Voters({1, 2}, {3}));
  cluster.Elect(1);
  cluster.Transfer(1, 3);
  cluster.Transfer(1, 9);
  cluster.Transfer(1, 1);
  cluster.Transfer(2, 2);
  cluster.Propose(1, "x");
  cluster.Deliver();
  EXPECT_EQ(cluster.core(1).status().commit, Index(3)) << "proposals are still taken";
  EXPECT_EQ(cluster.core(1).status().role, Role::kLeader);
}

// §6.4: a read is granted at an index that covers every write finished before it was asked.
TEST(ReadTest, ReadCoversEveryFinishedWrite) {
  Cluster cluster(Voters({1, 2, 3}));
  cluster.Elect(1);
  cluster.Propose(1, "x");
  cluster.Deliver();
  for (uint64_t id : {1, 2, 3}) cluster.Read(id, id);
  cluster.Deliver();
  for (uint64_t id : {1, 2, 3}) {
    ASSERT_EQ(cluster.member(id).reads.size(), 1u);
    EXPECT_EQ(cluster.member(id).reads[0].index, Index(3));
    EXPECT_EQ(cluster.member(id).applied, Index(3)) << "told of the commit it waits for";
  }
}

// §6.4: without a quorum there is no read.
TEST(ReadTest, NoQuorumNoRead) {
  Cluster cluster(Voters({1, 2, 3}));
  cluster.Elect(1);
  cluster.Isolate(1);
  cluster.Read(1, 1);
  cluster.Tick(1, 20);
  EXPECT_TRUE(cluster.member(1).reads.empty());
  EXPECT_EQ(cluster.member(1).failed_reads, std::vector<ReadId>{ReadId(1)});
}

// A read fails at once where no leader is known.
TEST(ReadTest, NoLeaderNoRead) {
  Cluster cluster(Voters({1, 2, 3}));
  cluster.Read(2, 1);
  EXPECT_EQ(cluster.member(2).failed_reads, std::vector<ReadId>{ReadId(1)});
}

// A forwarded read whose messages are lost is given up after an election timeout.
TEST(ReadTest, LostForwardedReadIsGivenUp) {
  Cluster cluster(Voters({1, 2, 3}));
  cluster.Elect(1);
  cluster.Run(2);
  cluster.Read(2, 1);
  cluster.Drop([](const Message& m) { return std::holds_alternative<ReadRequest>(m.body); });
  cluster.Run(12);
  EXPECT_EQ(cluster.member(2).failed_reads, std::vector<ReadId>{ReadId(1)});
}

}  // namespace
}  // namespace gavel::raft
