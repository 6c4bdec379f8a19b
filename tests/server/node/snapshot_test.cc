// A member that needs more than the log still holds is brought up by a snapshot.

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/server/node/node_cluster.h"
#include "tests/support/matchers.h"

namespace gavel::testing {
namespace {

using server::GateResult;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

// The log keeps so little that a member which misses a few hundred entries needs a snapshot.
void KeepLittle(server::NodeOptions& options) {
  options.place.wal_segment_bytes = 16 << 10;
  options.apply.flush.entries_max = 50;
  options.apply.catchup_entries = 10;
  options.apply.lag.entries_max = 50;
  options.recent_bytes_max = 16 << 10;
}

class SnapshotTest : public ::testing::Test {
 protected:
  // One of three members misses what the others write.
  void LeaveBehind(NodeCluster& cluster) {
    cluster.StartAll();
    leader_ = cluster.AwaitLeader();
    ASSERT_EQ(cluster.PutAndWait(leader_, "first", "1").result, GateResult::kOk);
    sleeper_ = (leader_ + 1) % 3;
    cluster.Crash(sleeper_, CrashMode::kLoseAll);
    Write(cluster, 400);
  }

  void Write(NodeCluster& cluster, int entries) {
    const std::string value(2000, 'x');
    for (int i = 0; i < entries; ++i) {
      const auto put = cluster.PutAndWait(leader_, absl::StrCat("k", ++keys_), value);
      ASSERT_EQ(put.result, GateResult::kOk);
    }
  }

  bool Agrees(NodeCluster& cluster) {
    return cluster.running(sleeper_) && cluster.Hash(sleeper_) == cluster.Hash(leader_);
  }

  int leader_ = 0;
  int sleeper_ = 0;
  int keys_ = 0;
};

TEST_F(SnapshotTest, AMemberThatLagsTooFarIsBroughtUp) {
  NodeCluster cluster(3, 21, KeepLittle);
  LeaveBehind(cluster);
  ASSERT_OK(cluster.Start(sleeper_));
  ASSERT_TRUE(cluster.RunUntil([&] { return Agrees(cluster); }));
  EXPECT_EQ(cluster.installs(sleeper_), 1u);
  // It is a member like any other.
  EXPECT_EQ(cluster.PutAndWait(sleeper_, "last", "2").result, GateResult::kOk);
  EXPECT_EQ(cluster.GetAndWait(sleeper_, "first").value, "1");
  cluster.Crash(leader_, CrashMode::kLoseAll);
  leader_ = cluster.AwaitLeader();
  EXPECT_EQ(cluster.PutAndWait(sleeper_, "after", "3").result, GateResult::kOk);
  EXPECT_THAT(cluster.failures(), IsEmpty());
}

TEST_F(SnapshotTest, WritesGoOnMeanwhile) {
  NodeCluster cluster(3, 22, KeepLittle);
  LeaveBehind(cluster);
  ASSERT_OK(cluster.Start(sleeper_));
  Write(cluster, 300);
  ASSERT_TRUE(cluster.RunUntil([&] { return Agrees(cluster); }));
  EXPECT_GE(cluster.installs(sleeper_), 1u);
  EXPECT_THAT(cluster.failures(), IsEmpty());
}

TEST_F(SnapshotTest, LostAndLatePiecesAreSentAgain) {
  NodeCluster cluster(3, 23, KeepLittle);
  LeaveBehind(cluster);
  cluster.SetFaults({.delay_max_ms = 30, .drop_one_in = 4});
  ASSERT_OK(cluster.Start(sleeper_));
  ASSERT_TRUE(cluster.RunUntil([&] { return cluster.installs(sleeper_) > 0; }, 120000));
  cluster.SetFaults({});
  leader_ = cluster.AwaitLeader();
  ASSERT_TRUE(cluster.RunUntil([&] { return Agrees(cluster); }));
}

TEST_F(SnapshotTest, TheNextLeaderSendsItsOwn) {
  NodeCluster cluster(3, 24, [](server::NodeOptions& options) {
    KeepLittle(options);
    options.snapshots.bytes_per_second = 20'000;  // So that there is a middle of it.
  });
  LeaveBehind(cluster);
  ASSERT_OK(cluster.Start(sleeper_));
  cluster.Run(500);
  EXPECT_EQ(cluster.installs(sleeper_), 0u);
  cluster.node(leader_).HandOver();
  ASSERT_TRUE(cluster.RunUntil([&] { return cluster.Leader().value_or(leader_) != leader_; }));
  leader_ = cluster.AwaitLeader();
  ASSERT_TRUE(cluster.RunUntil([&] { return Agrees(cluster); }, 120000));
  EXPECT_EQ(cluster.installs(sleeper_), 1u);
}

// A disk that fails while a snapshot arrives is not tried again: the member stops, and says why.
TEST_F(SnapshotTest, ADiskThatFailsMeanwhileEndsTheMember) {
  NodeCluster cluster(3, 25, KeepLittle);
  LeaveBehind(cluster);
  ASSERT_OK(cluster.Start(sleeper_));
  cluster.disk(sleeper_).DenyAccess("/data/member/snapshots");
  ASSERT_TRUE(cluster.RunUntil([&] { return !cluster.failures().empty(); }));
  EXPECT_THAT(cluster.failures(), ElementsAre(AllOf(StartsWith(absl::StrCat("m", sleeper_, ": ")),
                                                    HasSubstr("/data/member/snapshots"))));
  EXPECT_EQ(cluster.installs(sleeper_), 0u);
  cluster.disk(sleeper_).DenyAccess("");
  cluster.Crash(sleeper_, CrashMode::kLoseAll);
  ASSERT_OK(cluster.Start(sleeper_));
  EXPECT_TRUE(cluster.RunUntil([&] { return Agrees(cluster); }));
  EXPECT_EQ(cluster.installs(sleeper_), 1u);
}

// Power may go at any operation on the disk: what is left is the state of before or the new one.
TEST_F(SnapshotTest, ACrashAtAnyMomentLeavesOneStateOrTheOther) {
  int finished = 0;
  for (uint64_t operations = 0; operations < 120 && finished < 5; ++operations) {
    SCOPED_TRACE(absl::StrCat("crash after ", operations, " operations"));
    NodeCluster cluster(3, 1000 + operations, KeepLittle);
    ASSERT_NO_FATAL_FAILURE(LeaveBehind(cluster));
    ASSERT_OK(cluster.Start(sleeper_));
    cluster.disk(sleeper_).CrashAfter(operations);
    const bool crashed = cluster.RunUntil([&] { return cluster.disk(sleeper_).crashed(); }, 3000);
    if (!crashed) ++finished;
    cluster.Crash(sleeper_, operations % 2 == 0 ? CrashMode::kLoseAll : CrashMode::kTearBy512);
    ASSERT_OK(cluster.Start(sleeper_));
    ASSERT_TRUE(cluster.RunUntil([&] { return Agrees(cluster); }));
  }
  EXPECT_EQ(finished, 5) << "crashes must have reached past the end of an install";
}

}  // namespace
}  // namespace gavel::testing
