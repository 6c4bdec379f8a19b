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

class LeaderPriorityTest : public LeadershipTest {
 protected:
  // Node 1 is to lead, or node 2 if that cannot.
  void Start() {
    cluster_.emplace(3, 1,
                     [](server::NodeOptions& options) { options.leader_priority_wait = kWait; });
    for (int i = 0; i < 3; ++i) StartOne(i);
  }
  void StartOne(int index) {
    constexpr uint32_t kPriorities[] = {0, 7, 5};
    cluster_->options().leader_priority = kPriorities[index];
    const absl::Status started = cluster_->Start(index);
    ASSERT_TRUE(started.ok()) << started;
  }
  bool AllKnown() {
    uint32_t sum = 0;
    const auto members = cluster_->gate(0).members();
    for (const auto& member : *members) sum += member.leader_priority;
    return sum == 12;
  }
  bool Leads(int index) { return cluster_->Leader() == index; }

  static constexpr MonotonicNs kWait = kNsPerSecond;
};

TEST_F(LeaderPriorityTest, LeadershipGoesWhereItIsToBe) {
  Start();
  ASSERT_TRUE(cluster_->RunUntil([this] { return Leads(1) && AllKnown(); }));
  EXPECT_EQ(cluster_->PutAndWait(0, "k", "v").result, GateResult::kOk);

  cluster_->Crash(1, testing::CrashMode::kLoseAll);
  ASSERT_TRUE(cluster_->RunUntil([this] { return Leads(2); }));
  EXPECT_EQ(cluster_->PutAndWait(0, "k", "w").result, GateResult::kOk);

  StartOne(1);
  cluster_->Run(kWait / kNsPerMs / 2);
  EXPECT_TRUE(Leads(2)) << "before the other has been back for a while";
  ASSERT_TRUE(cluster_->RunUntil([this] { return Leads(1); }));
  cluster_->Run(10 * kWait / kNsPerMs);
  EXPECT_TRUE(Leads(1));
  EXPECT_EQ(cluster_->Hash(0), cluster_->Hash(1));
}

TEST_F(LeaderPriorityTest, AnOperatorsMoveHoldsForTheWait) {
  Start();
  ASSERT_TRUE(cluster_->RunUntil([this] { return Leads(1); }));
  Move(1, 0);
  ASSERT_TRUE(cluster_->RunUntil([this] { return Ended(); }));
  EXPECT_EQ(result_, GateResult::kOk);
  EXPECT_TRUE(Leads(0));
  ASSERT_TRUE(cluster_->RunUntil([this] { return Leads(1); }));
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
