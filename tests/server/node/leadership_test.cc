// Moving the leadership: who asks is told once the other leads, and always told something.

#include <optional>

#include "gtest/gtest.h"

#include "tests/server/node/node_cluster.h"

namespace gavel::server {
namespace {

using testing::NodeCluster;

class LeadershipTest : public ::testing::Test {
 protected:
  void Start(int nodes) {
    cluster_.emplace(nodes, 1);
    cluster_->StartAll();
    leader_ = cluster_->AwaitLeader();
    other_ = (leader_ + 1) % nodes;
  }
  // Asks node `at` to have `target` lead; result_ says how that ended.
  void Move(int at, int target, std::optional<MonotonicNs> deadline = std::nullopt) {
    result_.reset();
    cluster_->gate(at).MoveLeader(cluster_->gate(target).member_id(), deadline,
                                  [this](GateResult result) {
                                    EXPECT_FALSE(result_.has_value()) << "told twice";
                                    result_ = result;
                                  });
  }
  bool Ended() const { return result_.has_value(); }

  std::optional<NodeCluster> cluster_;
  int leader_ = 0;
  int other_ = 0;
  std::optional<GateResult> result_;
};

TEST_F(LeadershipTest, EndsOnceTheOtherLeads) {
  Start(3);
  Move(leader_, other_);
  EXPECT_FALSE(Ended());
  ASSERT_TRUE(cluster_->RunUntil([this] { return Ended(); }));
  EXPECT_EQ(result_, GateResult::kOk);
  EXPECT_EQ(cluster_->Leader(), other_);
  EXPECT_EQ(cluster_->PutAndWait(leader_, "k", "v").result, GateResult::kOk);
  EXPECT_TRUE(cluster_->gate(leader_).idle());
}

TEST_F(LeadershipTest, WhoDoesNotLeadRefuses) {
  Start(3);
  Move(other_, other_);
  EXPECT_EQ(result_, GateResult::kNotLeader);
}

TEST_F(LeadershipTest, WhoLeadsAlreadyIsDone) {
  Start(1);
  Move(0, 0);
  EXPECT_EQ(result_, GateResult::kOk);
}

TEST_F(LeadershipTest, OneThatCannotBeReachedTakesNothingOver) {
  Start(3);
  cluster_->SetCut(leader_, other_, true);
  Move(leader_, other_, cluster_->clock().Now() + 300 * kNsPerMs);
  cluster_->Run(290);
  EXPECT_FALSE(Ended());
  cluster_->Run(100);
  EXPECT_EQ(result_, GateResult::kTimedOut);
  EXPECT_EQ(cluster_->Leader(), leader_);
  ASSERT_TRUE(cluster_->RunUntil(
      [this] { return cluster_->PutAndWait(leader_, "k", "v").result == GateResult::kOk; }));
}

TEST_F(LeadershipTest, WhoWaitsIsToldThatTheMemberStops) {
  Start(3);
  cluster_->SetCut(leader_, other_, true);
  Move(leader_, other_);
  EXPECT_FALSE(Ended());
  cluster_->Stop(leader_);
  EXPECT_EQ(result_, GateResult::kStopped);
}

}  // namespace
}  // namespace gavel::server
