// Elections: one test per rule of the thesis (Ongaro §3.4, §3.6.1, §4.2.2, §4.2.3, §6.2, §9.6).
#include <gtest/gtest.h>

#include <set>

#include "tests/raft/cluster.h"

namespace gavel::raft {
namespace {

Restored WithLog(const Configuration& configuration, std::vector<uint64_t> terms, uint64_t term) {
  Restored restored;
  restored.hard_state.term = Term(term);
  restored.start.configuration = configuration;
  restored.first_stored = Index(1);
  for (size_t i = 0; i < terms.size(); ++i) {
    restored.entries.push_back(
        Entry{Index(i + 1), Term(terms[i]), EntryKind::kCommand,
              std::make_shared<const std::string>(std::to_string(terms[i]))});
  }
  return restored;
}

Message Vote(uint64_t from, uint64_t to, uint64_t term, EntryId last = {}) {
  return Message{Id(from), Id(to), Term(term),
                 VoteRequest{false, Term(term), last, false, Incarnation(1)}};
}

bool Granted(Cluster& cluster, uint64_t voter) {
  const Message reply = cluster.network().back();
  EXPECT_EQ(reply.from, Id(voter));
  return std::get<VoteReply>(reply.body).granted;
}

// §3.4: members begin as followers.
TEST(ElectionTest, MembersBeginAsFollowers) {
  Cluster cluster(Voters({1, 2, 3}));
  EXPECT_EQ(cluster.core(1).status().role, Role::kFollower);
  EXPECT_EQ(cluster.core(1).status().term, Term(0));
}

// §3.4: a follower that hears a leader within its election timeout does not campaign.
TEST(ElectionTest, FollowerThatHearsALeaderDoesNotCampaign) {
  Cluster cluster(Voters({1, 2, 3}));
  cluster.Elect(1);
  cluster.Run(100);
  EXPECT_EQ(cluster.core(1).status().role, Role::kLeader);
  EXPECT_EQ(cluster.core(2).status().term, Term(1));
}

// §3.4: a candidate raises its term and votes for itself.
TEST(ElectionTest, CandidateRaisesItsTermAndVotesForItself) {
  Cluster cluster(Voters({1, 2, 3}));
  cluster.Campaign(1);
  cluster.Deliver([](const Message& m) {
    return std::holds_alternative<VoteRequest>(m.body) && std::get<VoteRequest>(m.body).pre;
  });
  cluster.Deliver([](const Message& m) { return m.to == Id(1); }, 1);
  EXPECT_EQ(cluster.core(1).status().role, Role::kCandidate);
  EXPECT_EQ(cluster.core(1).status().term, Term(1));
  EXPECT_EQ(cluster.core(1).status().voted_for, Id(1));
}

// §3.4: the votes of a majority make a leader, in clusters of every size.
TEST(ElectionTest, MajorityOfVotesMakesALeader) {
  for (uint64_t size = 1; size <= 7; ++size) {
    std::vector<uint64_t> voters;
    for (uint64_t id = 1; id <= size; ++id) voters.push_back(id);
    Cluster cluster(Voters(voters));
    for (uint64_t id = size / 2 + 2; id <= size; ++id) cluster.Crash(id);
    cluster.Elect(1);
    EXPECT_EQ(cluster.core(1).status().role, Role::kLeader) << size;
  }
}

// §3.4: less than a majority does not.
TEST(ElectionTest, MinorityElectsNobody) {
  Cluster cluster(Voters({1, 2, 3, 4}));
  cluster.Crash(3);
  cluster.Crash(4);
  cluster.Run(100);
  EXPECT_EQ(cluster.core(1).status().term, Term(0));
  EXPECT_EQ(cluster.core(2).status().term, Term(0));
}

// §3.4: each member votes for at most one candidate in a term, first come, first served.
TEST(ElectionTest, RejectIfAlreadyVoted) {
  Cluster cluster(Voters({1, 2, 3}));
  cluster.Step(Vote(1, 3, 1));
  EXPECT_TRUE(Granted(cluster, 3));
  cluster.Step(Vote(2, 3, 1));
  EXPECT_FALSE(Granted(cluster, 3));
  cluster.Step(Vote(1, 3, 1));
  EXPECT_TRUE(Granted(cluster, 3)) << "the same candidate may ask again";
}

// §3.4: the vote outlives a restart.
TEST(ElectionTest, VoteIsRememberedAfterARestart) {
  Cluster cluster(Voters({1, 2, 3}));
  cluster.Step(Vote(1, 3, 1));
  cluster.Crash(3);
  cluster.Restart(3);
  cluster.Step(Vote(2, 3, 1));
  EXPECT_FALSE(Granted(cluster, 3));
}

// §3.6.1: a vote is refused to a candidate whose log is less up to date.
TEST(ElectionTest, VoteGoesOnlyToAnUpToDateLog) {
  struct Case {
    EntryId last;
    bool granted;
  };
  const Case cases[] = {
      {EntryId{Index(3), Term(2)}, true},   // The same.
      {EntryId{Index(4), Term(2)}, true},   // Longer.
      {EntryId{Index(1), Term(3)}, true},   // Shorter, of a later term.
      {EntryId{Index(2), Term(2)}, false},  // Shorter.
      {EntryId{Index(9), Term(1)}, false},  // Longer, of an earlier term.
  };
  for (const Case& c : cases) {
    const Configuration configuration = Voters({1, 2, 3});
    Cluster cluster(Configuration{});
    cluster.Add(Id(3), WithLog(configuration, {1, 1, 2}, 2));
    cluster.Step(Vote(1, 3, 4, c.last));
    EXPECT_EQ(Granted(cluster, 3), c.granted) << c.last.index.value();
  }
}

// §3.4: a message of a higher term turns a candidate or leader into a follower.
TEST(ElectionTest, HigherTermTurnsALeaderIntoAFollower) {
  Cluster cluster(Voters({1, 2, 3}));
  cluster.Elect(1);
  cluster.Step(Message{Id(2), Id(1), Term(5), AppendReply{}});
  EXPECT_EQ(cluster.core(1).status().role, Role::kFollower);
  EXPECT_EQ(cluster.core(1).status().term, Term(5));
  EXPECT_EQ(cluster.core(1).status().voted_for, std::nullopt);
}

// §3.4: a candidate that hears the leader of its term follows it, and keeps its vote.
TEST(ElectionTest, CandidateFollowsTheLeaderOfItsTerm) {
  Cluster cluster(Voters({1, 2, 3}));
  cluster.Step(Vote(2, 1, 1));
  cluster.Campaign(1);
  cluster.Step(Message{Id(2), Id(1), Term(1), Heartbeat{}});
  EXPECT_EQ(cluster.core(1).status().role, Role::kFollower);
  EXPECT_EQ(cluster.core(1).status().leader, Id(2));
  EXPECT_EQ(cluster.core(1).status().voted_for, Id(2));
}

// §3.4: a request of an earlier term is refused, and the answer carries the current term.
TEST(ElectionTest, RequestOfAnEarlierTermIsRefused) {
  Cluster cluster(Voters({1, 2, 3}));
  cluster.Step(Message{Id(2), Id(1), Term(4), Heartbeat{}});
  cluster.network().clear();
  cluster.Step(Vote(3, 1, 2, EntryId{Index(9), Term(2)}));
  EXPECT_FALSE(Granted(cluster, 1));
  EXPECT_EQ(cluster.network().back().term, Term(4));
}

// §3.4: election timeouts are drawn at random from an interval, so that split votes are rare.
TEST(ElectionTest, ElectionTimeoutsAreRandomWithinTheirInterval) {
  std::set<int> seen;
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    Cluster::Settings settings;
    settings.seed = seed;
    Cluster cluster(Voters({1, 2, 3}), settings);
    cluster.Step(Message{Id(2), Id(1), Term(1), Heartbeat{}});
    int ticks = 0;
    for (; cluster.core(1).status().role == Role::kFollower && ticks < 100; ++ticks)
      cluster.Tick(1);
    EXPECT_GE(ticks, 10);
    EXPECT_LT(ticks, 20);
    seen.insert(ticks);
  }
  EXPECT_GE(seen.size(), 8u);
}

// §4.2.3: a member that hears a leader ignores vote requests, whatever their term.
TEST(ElectionTest, VoteRequestIsIgnoredWhileALeaderIsHeard) {
  Cluster cluster(Voters({1, 2, 3}));
  cluster.Elect(1);
  cluster.Step(Vote(3, 2, 9, EntryId{Index(9), Term(9)}));
  EXPECT_EQ(cluster.core(2).status().term, Term(1));
  cluster.Step(Vote(3, 1, 9, EntryId{Index(9), Term(9)}));
  EXPECT_EQ(cluster.core(1).status().role, Role::kLeader);
}

// §6.2: a leader without a quorum steps down within two election timeouts.
TEST(ElectionTest, LeaderWithoutAQuorumStepsDown) {
  Cluster cluster(Voters({1, 2, 3}));
  cluster.Elect(1);
  cluster.Isolate(1);
  cluster.Tick(1, 20);
  EXPECT_NE(cluster.core(1).status().role, Role::kLeader);
}

// §9.6: a pre-candidate does not raise its term, and one that was cut off does not disturb.
TEST(ElectionTest, PreVoteDoesNotRaiseTheTerm) {
  Cluster cluster(Voters({1, 2, 3}));
  cluster.Elect(1);
  cluster.Isolate(3);
  cluster.Run(100);
  EXPECT_EQ(cluster.core(3).status().term, Term(1));
  cluster.Heal();
  cluster.Run(10);
  EXPECT_EQ(cluster.core(1).status().role, Role::kLeader);
  EXPECT_EQ(cluster.core(3).status().leader, Id(1));
}

// §9.6: whoever hears a leader refuses a pre-vote, and a granted pre-vote is no vote.
TEST(ElectionTest, PreVoteIsRefusedWhileALeaderIsHeardAndIsNoVote) {
  Cluster cluster(Voters({1, 2, 3}));
  const Message ask{Id(3), Id(2), Term(1),
                    VoteRequest{true, Term(2), EntryId{Index(9), Term(1)}, false, Incarnation(1)}};
  cluster.Elect(1);
  cluster.network().clear();
  cluster.Step(ask);
  EXPECT_FALSE(Granted(cluster, 2));
  cluster.Tick(2, 10);
  cluster.network().clear();
  cluster.Step(ask);
  EXPECT_TRUE(Granted(cluster, 2));
  EXPECT_EQ(cluster.core(2).status().term, Term(1));
  EXPECT_EQ(cluster.core(2).status().voted_for, Id(1));
}

// A learner does not campaign, but votes when it is asked.
TEST(ElectionTest, LearnerVotesButDoesNotCampaign) {
  Cluster cluster(Voters({1, 2}, {3}));
  cluster.Tick(3, 100);
  EXPECT_EQ(cluster.core(3).status().role, Role::kFollower);
  cluster.Step(Vote(1, 3, 1));
  EXPECT_TRUE(Granted(cluster, 3));
}

}  // namespace
}  // namespace gavel::raft
