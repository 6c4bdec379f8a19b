// What a peer says must not harm this member, however little sense it makes: numbers beyond all
// bounds, strangers, two leaders of a term.
#include <gtest/gtest.h>

#include <limits>
#include <utility>
#include <vector>

#include "raft/limits.h"
#include "raft/well_formed.h"
#include "tests/raft/cluster.h"

namespace gavel::raft {
namespace {

constexpr uint64_t kHighest = std::numeric_limits<uint64_t>::max();

using MessageBody = decltype(Message::body);

Message From(uint64_t from, uint64_t to, Term term, MessageBody body) {
  return Message{Id(from), Id(to), term, std::move(body)};
}

Entry Empty(Index index, Term term) { return Entry{index, term, EntryKind::kEmpty, nullptr}; }

// A term after which there is no other is not entered, whatever the message.
TEST(HostileTest, ATermBeyondTheLastIsNotEntered) {
  const Configuration configuration = Voters({1, 2, 3});
  for (const Term term : {kTermMax.Next(), Term(kHighest)}) {
    const std::vector<MessageBody> bodies = {
        AppendRequest{},
        AppendReply{},
        Heartbeat{},
        HeartbeatReply{},
        VoteRequest{false, term, {}, true, Incarnation(1)},
        VoteReply{},
        ReadRequest{},
        ReadReply{},
        ForwardProposals{},
        ProposalsDropped{},
        TimeoutNow{},
        InstallSnapshot{SnapshotMeta{Index(9), Term(1), configuration}},
    };
    ASSERT_EQ(bodies.size(), std::variant_size_v<MessageBody>);
    for (const MessageBody& body : bodies) {
      SCOPED_TRACE(body.index());
      Cluster cluster(configuration);
      cluster.Step(From(2, 1, term, body));
      EXPECT_EQ(cluster.core(1).status().term, Term(0));
      cluster.Elect(1);
      EXPECT_EQ(cluster.core(1).status().term, Term(1));
    }
  }
}

// In the last term there is no campaign any more: a member that is stopped and started again finds
// a term on its disk that it takes.
TEST(HostileTest, AfterTheLastTermNobodyCampaigns) {
  Cluster cluster(Voters({1, 2, 3}));
  cluster.Step(From(2, 1, kTermMax, Heartbeat{}));
  EXPECT_EQ(cluster.core(1).status().term, kTermMax);
  cluster.Step(From(2, 1, kTermMax, TimeoutNow{}));
  cluster.Tick(1, 100);
  EXPECT_EQ(cluster.core(1).status().term, kTermMax);
  EXPECT_EQ(cluster.core(1).status().role, Role::kFollower);
}

// Entries whose indexes wrap around do not follow each other.
TEST(HostileTest, IndexesBeyondTheLastAreRefused) {
  Cluster cluster(Voters({1, 2, 3}));
  cluster.Elect(2);
  const EntryId last{Index(kHighest), Term(1)};
  cluster.Step(From(
      2, 1, Term(1),
      AppendRequest{
          last, {Empty(Index(0), Term(1)), Empty(Index(1), Term(1))}, Index(kHighest), Index(1)}));
  EXPECT_EQ(cluster.core(1).status().last, cluster.core(2).status().last);
  const std::vector<MessageBody> bodies = {
      AppendRequest{{kIndexMax.Next(), Term(1)}, {}, Index(), Index()},
      AppendRequest{{kIndexMax, Term(1)}, {Empty(kIndexMax.Next(), Term(1))}, Index(), Index()},
      AppendRequest{{}, {}, kIndexMax.Next(), Index()},
      AppendRequest{{}, {}, Index(), kIndexMax.Next()},
      AppendReply{true, kIndexMax.Next(), Index(), {}},
      AppendReply{false, Index(), kIndexMax.Next(), {}},
      AppendReply{false, Index(), Index(1), {kIndexMax.Next(), Term(1)}},
      Heartbeat{Round(1), kIndexMax.Next(), Index()},
      Heartbeat{Round(1), Index(), kIndexMax.Next()},
      VoteRequest{true, Term(2), {kIndexMax.Next(), Term(1)}, false, Incarnation(1)},
      VoteRequest{true, kTermMax.Next(), {}, false, Incarnation(1)},
      ReadReply{ReadId(1), Incarnation(1), true, kIndexMax.Next()},
      InstallSnapshot{SnapshotMeta{kIndexMax.Next(), Term(1), Voters({1, 2, 3})}},
  };
  for (size_t i = 0; i < bodies.size(); ++i) {
    EXPECT_FALSE(IsWellFormed(From(2, 1, Term(1), bodies[i]))) << i;
  }
}

// Somebody claims the term of the leader that is known. Nothing of it is taken, and both are named.
TEST(HostileTest, ASecondLeaderOfATermIsRefusedAndNamed) {
  Cluster cluster(Voters({1, 2, 3}));
  cluster.invariants().ExpectContradictions();
  cluster.Elect(1);
  const Index last = cluster.core(1).status().last;
  const std::vector<MessageBody> bodies = {
      Heartbeat{Round(1), last, last},
      AppendRequest{{last, Term(1)}, {Empty(last.Next(), Term(1))}, last.Next(), last},
  };
  uint64_t count = 0;
  for (const MessageBody& body : bodies) {
    ++count;
    for (const uint64_t member : {1, 2}) {
      SCOPED_TRACE(member);
      cluster.Step(From(3, member, Term(1), body));
      const Status status = cluster.core(member).status();
      EXPECT_EQ(status.leader, Id(1));
      EXPECT_EQ(status.last, last);
      EXPECT_EQ(status.contradiction.count, count);
      EXPECT_EQ(status.contradiction.term, Term(1));
      EXPECT_EQ(status.contradiction.from, Id(3));
      EXPECT_EQ(status.contradiction.leader, Id(1));
      EXPECT_TRUE(cluster.network().empty()) << "nothing is answered";
    }
  }
  cluster.Propose(1, "a");
  cluster.Run(3);
  EXPECT_EQ(cluster.core(3).status().last, last.Next()) << "the cluster goes on";
}

// A leader that has another entry where one is committed is not followed there.
TEST(HostileTest, WhatContradictsACommittedEntryIsRefused) {
  Cluster cluster(Voters({1, 2, 3}));
  cluster.invariants().ExpectContradictions();
  cluster.Elect(1);
  cluster.Propose(1, "a");
  cluster.Run(3);
  const Status before = cluster.core(2).status();
  ASSERT_EQ(before.commit, before.last);
  cluster.network().clear();
  const Index previous = before.last.Previous();
  cluster.Step(From(
      3, 2, Term(7),
      AppendRequest{{previous, Term(1)}, {Empty(before.last, Term(7))}, before.last, Index()}));
  const Status after = cluster.core(2).status();
  EXPECT_EQ(after.last, before.last);
  EXPECT_EQ(after.contradiction.count, 1u);
  EXPECT_EQ(after.contradiction.index, before.last);
  EXPECT_EQ(cluster.core(2).EntryAt(before.last)->term, Term(1));
  EXPECT_TRUE(cluster.network().empty());
  cluster.Run(100);
  ASSERT_TRUE(cluster.Leader().has_value()) << "the cluster goes on";
  EXPECT_EQ(cluster.core(2).status().leader, Id(*cluster.Leader()));
}

// A snapshot that a leader lacks was never committed.
TEST(HostileTest, ALeaderInstallsNothing) {
  Cluster cluster(Voters({1, 2, 3}));
  cluster.invariants().ExpectContradictions();
  cluster.Elect(1);
  const Status before = cluster.core(1).status();
  cluster.core(1).Step(From(2, 1, Term(1), InstallSnapshot{{Index(99), Term(1), Voters({2})}}));
  EXPECT_EQ(cluster.core(1).status().last, before.last);
  EXPECT_EQ(cluster.core(1).status().contradiction.count, 1u);
}

// Ongaro §4.1: leaders and candidates are heard whoever they are; all else only from members of a
// configuration that is known here, and from the leader that is followed.
TEST(HostileTest, AStrangerIsHeardOnlyAsLeaderOrCandidate) {
  const Term later(9);
  const RequestId request{Id(7), Incarnation(1), 1};
  const std::vector<MessageBody> unheard = {
      AppendReply{},
      HeartbeatReply{},
      VoteReply{false, later, true, Incarnation(1)},
      ReadRequest{ReadId(1), Incarnation(1)},
      ReadReply{ReadId(1), Incarnation(1), true, Index(1)},
      ForwardProposals{Term(1), {{request, std::make_shared<const std::string>("x")}}},
      ProposalsDropped{{request}, {}},
      TimeoutNow{},
  };
  for (const MessageBody& body : unheard) {
    SCOPED_TRACE(body.index());
    Cluster cluster(Voters({1, 2, 3}));
    cluster.Elect(1);
    const Index last = cluster.core(1).status().last;
    for (const uint64_t member : {1, 2}) {
      for (const Term term : {Term(1), later}) {
        cluster.Step(From(7, member, term, body));
        EXPECT_EQ(cluster.core(member).status().term, Term(1));
        EXPECT_EQ(cluster.core(member).status().last, last);
      }
    }
    EXPECT_EQ(cluster.core(1).status().role, Role::kLeader);
    EXPECT_TRUE(cluster.network().empty());
  }
  const std::vector<MessageBody> heard = {Heartbeat{}, AppendRequest{},
                                          VoteRequest{false, later, {}, true, Incarnation(1)}};
  for (const MessageBody& body : heard) {
    SCOPED_TRACE(body.index());
    Cluster cluster(Voters({1, 2, 3}));
    cluster.Elect(1);
    cluster.Step(From(7, 2, later, body));
    EXPECT_EQ(cluster.core(2).status().term, later);
  }
}

// A member that joins knows no configuration yet, and hears the answers of the leader it follows.
TEST(HostileTest, TheLeaderOfAnUnknownConfigurationIsHeard) {
  Cluster cluster{Configuration{}};
  cluster.Add(Id(5));
  cluster.Step(From(1, 5, Term(1), Heartbeat{}));
  cluster.Propose(5, "a");
  const RequestId id{Id(5), Incarnation(1), 1};
  cluster.Step(From(1, 5, Term(1), ProposalsDropped{{id}, {}}));
  ASSERT_EQ(cluster.member(5).outcomes.size(), 1u);
  EXPECT_EQ(cluster.member(5).outcomes[0].kind, ProposalOutcome::Kind::kDropped);
}

// What the leader's driver will never take is told apart from what may be proposed again.
TEST(HostileTest, ARefusalIsHandedOnWithItsReason) {
  Cluster cluster(Voters({1, 2, 3}));
  cluster.Elect(1);
  const RequestId id{Id(2), Incarnation(1), 1};
  cluster.Step(From(1, 2, Term(1), ProposalsDropped{{id}, "too large"}));
  ASSERT_EQ(cluster.member(2).outcomes.size(), 1u);
  EXPECT_EQ(cluster.member(2).outcomes[0].kind, ProposalOutcome::Kind::kRefused);
  EXPECT_EQ(cluster.member(2).outcomes[0].refusal, "too large");
}

// A read is granted by the leader that was asked, and by nobody else.
TEST(HostileTest, OnlyTheLeaderGrantsAReadOfAFollower) {
  Cluster cluster(Voters({1, 2, 3}));
  cluster.Elect(1);
  cluster.Read(2, 1);
  cluster.network().clear();
  const MessageBody grant = ReadReply{ReadId(1), Incarnation(1), true, Index(1)};
  cluster.core(2).Step(From(3, 2, Term(1), grant));
  EXPECT_FALSE(cluster.core(2).HasEffects());
  cluster.core(2).Step(From(1, 2, Term(1), grant));
  EXPECT_EQ(cluster.core(2).TakeEffects().reads.size(), 1u);
}

// A round that the leader has not begun confirms nothing, now or later.
TEST(HostileTest, ARoundThatHasNotBegunConfirmsNothing) {
  Cluster cluster(Voters({1, 2, 3}));
  cluster.Elect(1);
  cluster.network().clear();
  cluster.Step(From(2, 1, Term(1), HeartbeatReply{Round(kHighest)}));
  cluster.Read(1, 1);
  EXPECT_TRUE(cluster.member(1).reads.empty());
  cluster.Deliver();
  EXPECT_EQ(cluster.member(1).reads.size(), 1u);
}

// A member speaks for the proposals that it took itself, and for no other's.
TEST(HostileTest, ProposalsAreForwardedByTheirOwnMember) {
  Cluster cluster(Voters({1, 2, 3}));
  cluster.Elect(1);
  const Index last = cluster.core(1).status().last;
  cluster.Step(From(3, 1, Term(1), ForwardProposals{Term(1), {Command(2, 1, "x")}}));
  EXPECT_EQ(cluster.core(1).status().last, last);
  cluster.Step(From(2, 1, Term(1), ForwardProposals{Term(1), {Command(2, 1, "x")}}));
  EXPECT_EQ(cluster.core(1).status().last, last.Next());
}

}  // namespace
}  // namespace gavel::raft
