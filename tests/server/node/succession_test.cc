// Who is handed the leadership, and when a leader gives way.

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "server/node/succession.h"

namespace gavel::server {
namespace {

using raft::NodeId;

constexpr MonotonicNs kWait = 10 * kNsPerSecond;

class SuccessionTest : public ::testing::Test {
 protected:
  // This member, the leader, is 1.
  SuccessionTest() {
    status_.id = NodeId(1);
    status_.role = raft::Role::kLeader;
    status_.last = raft::Index(1000);
    for (const uint64_t id : {1, 2, 3}) Member(id).id = NodeId(id);
    for (const uint64_t id : {2, 3}) Follows(id, 1000);
  }

  storage::MemberRecord& Member(uint64_t id) {
    if (members_.size() < id) members_.resize(id);
    return members_[id - 1];
  }
  raft::PeerProgress& Follows(uint64_t id, uint64_t match) {
    std::erase_if(status_.peers, [id](const auto& peer) { return peer.id == NodeId(id); });
    raft::PeerProgress& peer = status_.peers.emplace_back();
    peer.id = NodeId(id);
    peer.match = raft::Index(match);
    peer.recently_active = true;
    return peer;
  }
  // Looks once a second, to `now`; whom it first named, and when.
  std::optional<std::pair<uint64_t, int64_t>> Look(int64_t to) {
    for (; now_ <= to; ++now_) {
      const auto next = priority_.Next(status_, members_, now_ * kNsPerSecond);
      if (next.has_value()) return std::pair(next->value(), now_++);
    }
    return std::nullopt;
  }

  raft::Status status_;
  storage::MemberTable members_;
  LeaderPriority priority_{kWait};
  int64_t now_ = 0;
};

TEST_F(SuccessionTest, TheSuccessorHasCaughtUpThenPriorityThenTheLongerLog) {
  Follows(2, 999);
  EXPECT_EQ(BestSuccessor(status_, members_), NodeId(3));
  Member(2).leader_priority = 1;
  EXPECT_EQ(BestSuccessor(status_, members_), NodeId(2));
  Follows(2, 500);  // Lacks half of the log.
  EXPECT_EQ(BestSuccessor(status_, members_), NodeId(3));
  Follows(3, 400);
  EXPECT_EQ(BestSuccessor(status_, members_), NodeId(2));
}

TEST_F(SuccessionTest, WhoIsNotHeardFromOrHasNoVoteIsNoSuccessor) {
  Follows(2, 1000).recently_active = false;
  Member(3).learner = true;
  EXPECT_EQ(BestSuccessor(status_, members_), std::nullopt);
  Member(3).learner = false;
  EXPECT_EQ(BestSuccessor(status_, members_), NodeId(3));
}

TEST_F(SuccessionTest, EqualPrioritiesMoveNothing) {
  for (const uint64_t id : {1, 2, 3}) Member(id).leader_priority = 4;
  EXPECT_EQ(Look(1000), std::nullopt);
  Member(1).leader_priority = 5;
  EXPECT_EQ(Look(2000), std::nullopt);
}

TEST_F(SuccessionTest, ALeaderGivesWayToTheHighestThatHasBeenReadyForTheWait) {
  Member(2).leader_priority = 1;
  Member(3).leader_priority = 2;
  EXPECT_EQ(Look(100), std::pair(uint64_t{3}, int64_t{10}));
}

TEST_F(SuccessionTest, TheWaitBeginsAnewWhenTheOtherIsLost) {
  Member(2).leader_priority = 1;
  EXPECT_EQ(Look(8), std::nullopt);
  Follows(2, 1000).recently_active = false;
  EXPECT_EQ(Look(9), std::nullopt);
  Follows(2, 1000);
  EXPECT_EQ(Look(100), std::pair(uint64_t{2}, int64_t{20}));
}

TEST_F(SuccessionTest, WhoLagsIsNotGivenWayTo) {
  Member(2).leader_priority = 1;
  Follows(2, 500);
  EXPECT_EQ(Look(1000), std::nullopt);
}

TEST_F(SuccessionTest, AFollowerGivesNothing) {
  Member(2).leader_priority = 1;
  status_.role = raft::Role::kFollower;
  EXPECT_EQ(Look(1000), std::nullopt);
}

TEST_F(SuccessionTest, TheWaitDoublesWhileTheOtherDoesNotLead) {
  Member(2).leader_priority = 1;
  std::vector<int64_t> waits;
  int64_t last = 0;
  for (int i = 0; i < 7; ++i) {
    const auto named = Look(1000);
    ASSERT_TRUE(named.has_value());
    waits.push_back(named->second - last);
    last = named->second;
  }
  EXPECT_EQ(waits, (std::vector<int64_t>{10, 10, 20, 40, 80, 80, 80}));
  // It has led for long: what was is forgotten.
  status_.role = raft::Role::kFollower;
  EXPECT_EQ(Look(2000), std::nullopt);
  status_.role = raft::Role::kLeader;
  const int64_t since = now_;
  EXPECT_EQ(Look(3000), std::pair(uint64_t{2}, since + 80)) << "what it has waited for already";
  EXPECT_EQ(Look(3000), std::pair(uint64_t{2}, since + 90));
}

}  // namespace
}  // namespace gavel::server
