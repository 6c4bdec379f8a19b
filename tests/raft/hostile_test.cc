// What a peer says must not harm this member, however little sense it makes: numbers beyond all
// bounds.
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

}  // namespace
}  // namespace gavel::raft
