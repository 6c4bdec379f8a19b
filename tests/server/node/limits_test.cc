// The quota and the alarms in a cluster: whose quota counts, and how alarms come and go.

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "proto/internal/command.pb.h"
#include "storage/state/alarms.h"
#include "tests/server/node/node_cluster.h"

namespace gavel::server {
namespace {

using testing::CrashMode;
using ::testing::IsEmpty;
using testing::NodeCluster;

constexpr uint64_t kQuota = 20'000;

bool QuotaIs(NodeCluster& cluster, int64_t bytes) {
  for (int i = 0; i < cluster.size(); ++i) {
    if (cluster.running(i) && cluster.gate(i).limits()->quota_bytes != bytes) return false;
  }
  return true;
}

bool NoSpaceIs(NodeCluster& cluster, bool raised) {
  for (int i = 0; i < cluster.size(); ++i) {
    if (cluster.running(i) && cluster.gate(i).no_space() != raised) return false;
  }
  return true;
}

// Puts one key again and again until that is refused.
void FillUp(NodeCluster& cluster, int index) {
  for (int i = 0; i < 200; ++i) {
    const ProposeResult result = cluster.PutAndWait(index, "k", std::string(500, 'v'));
    if (result.result == GateResult::kRefused) {
      EXPECT_EQ(result.outcome.error, storage::RequestError::kNoSpace);
      return;
    }
    ASSERT_EQ(result.result, GateResult::kOk);
  }
  FAIL() << "nothing was refused";
}

void Compact(NodeCluster& cluster, int index) {
  etcdserverpb::CompactionRequest request;
  request.set_revision(cluster.gate(index).view()->revision);
  bool done = false;
  cluster.gate(index).Propose(CommandField::kCompact, request.SerializeAsString(), std::nullopt,
                              [&](const ProposeResult& result) {
                                EXPECT_EQ(result.result, GateResult::kOk);
                                done = true;
                              });
  ASSERT_TRUE(cluster.RunUntil([&] { return done; }));
}

TEST(LimitsTest, TheLeadersQuotaCountsAndStaysWithTheState) {
  NodeCluster cluster(3, 1, [](NodeOptions& options) { options.limits.quota_bytes = kQuota; });
  cluster.StartAll();
  const int first = cluster.AwaitLeader();
  ASSERT_TRUE(cluster.RunUntil([&] { return QuotaIs(cluster, kQuota); }));
  // The others come back with another flag, one of them leads.
  cluster.options().limits.quota_bytes = 3 * kQuota;
  for (int i = 0; i < 3; ++i) {
    if (i == first) continue;
    cluster.Stop(i);
    ASSERT_TRUE(cluster.Start(i).ok());
    cluster.AwaitLeader();
  }
  ASSERT_TRUE(cluster.RunUntil([&] { return cluster.Leader() == first; }));
  cluster.Run(5'000);
  EXPECT_TRUE(QuotaIs(cluster, kQuota)) << "followers have no say";
  cluster.Crash(first, CrashMode::kKeepAll);
  ASSERT_TRUE(cluster.RunUntil([&] { return cluster.Leader().has_value(); }));
  ASSERT_TRUE(cluster.RunUntil([&] { return QuotaIs(cluster, 3 * kQuota); }));
  ASSERT_TRUE(cluster.Start(first).ok());
  cluster.AwaitLeader();
  cluster.Run(5'000);
  ASSERT_TRUE(cluster.RunUntil([&] { return QuotaIs(cluster, 3 * kQuota); }));
}

TEST(LimitsTest, AFullQuotaIsSeenByAllAndEndsWithoutAnOperator) {
  NodeCluster cluster(3, 2, [](NodeOptions& options) { options.limits.quota_bytes = kQuota; });
  cluster.StartAll();
  const int leader = cluster.AwaitLeader();
  ASSERT_TRUE(cluster.RunUntil([&] { return QuotaIs(cluster, kQuota); }));
  const int follower = (leader + 1) % 3;
  FillUp(cluster, follower);
  ASSERT_TRUE(cluster.RunUntil([&] { return NoSpaceIs(cluster, true); }));
  EXPECT_EQ(cluster.gate(leader).limits()->alarms[0].member, cluster.node(follower).identity().id);
  EXPECT_NE(cluster.MetricsText(leader).find("etcd_debugging_server_alarms{"), std::string::npos);
  // A crash of all does not make it forgotten.
  for (int i = 0; i < 3; ++i) cluster.Crash(i, CrashMode::kLoseAll);
  cluster.StartAll();
  const int next = cluster.AwaitLeader();
  ASSERT_TRUE(cluster.RunUntil([&] { return NoSpaceIs(cluster, true); }));
  EXPECT_EQ(cluster.PutAndWait(next, "k", "v").outcome.error, storage::RequestError::kNoSpace);
  Compact(cluster, next);
  ASSERT_TRUE(cluster.RunUntil([&] { return NoSpaceIs(cluster, false); }));
  EXPECT_EQ(cluster.PutAndWait(next, "k", "v").result, GateResult::kOk);
  EXPECT_THAT(cluster.failures(), IsEmpty());
}

TEST(LimitsTest, WithoutAFlagThereIsNoQuota) {
  NodeCluster cluster(1, 3);
  cluster.StartAll();
  cluster.AwaitLeader();
  const uint64_t applied = cluster.gate(0).status().applied.value();
  cluster.Run(5'000);
  EXPECT_EQ(cluster.gate(0).limits()->quota_bytes, 0);
  EXPECT_LE(cluster.gate(0).status().applied.value(), applied + 2)
      << "no more than its name, and an agreement with itself on a semantics version";
}

TEST(LimitsTest, ADiskBelowItsReserveRaisesTheAlarmUntilThereIsSpace) {
  constexpr uint64_t kReserve = 10'000'000;
  NodeCluster cluster(3, 4,
                      [](NodeOptions& options) { options.limits.disk_reserve_bytes = kReserve; });
  cluster.StartAll();
  const int leader = cluster.AwaitLeader();
  const int full = (leader + 1) % 3;
  cluster.Run(3'000);
  EXPECT_TRUE(NoSpaceIs(cluster, false));
  cluster.disk(full).SetFreeBytes(kReserve - 1);
  ASSERT_TRUE(cluster.RunUntil([&] { return NoSpaceIs(cluster, true); }));
  const storage::AlarmTable alarms = cluster.gate(leader).limits()->alarms;
  ASSERT_EQ(alarms.size(), 1U);
  EXPECT_EQ(alarms[0].member, cluster.node(full).identity().id);
  EXPECT_EQ(alarms[0].causes, storage::Alarm::kDisk);
  EXPECT_EQ(cluster.PutAndWait(leader, "k", "v").outcome.error, storage::RequestError::kNoSpace);
  // A little more does not count, or the alarm would come and go.
  cluster.disk(full).SetFreeBytes(kReserve + 1);
  cluster.Run(5'000);
  EXPECT_TRUE(NoSpaceIs(cluster, true));
  cluster.disk(full).SetFreeBytes(2 * kReserve);
  ASSERT_TRUE(cluster.RunUntil([&] { return NoSpaceIs(cluster, false); }));
  EXPECT_EQ(cluster.PutAndWait(full, "k", "v").result, GateResult::kOk);
}

// What the log keeps for members that might lag goes first.
TEST(LimitsTest, ADiskThatIsFullOfLogHealsByItself) {
  constexpr uint64_t kReserve = 40'000'000;
  NodeCluster cluster(1, 6,
                      [](NodeOptions& options) { options.limits.disk_reserve_bytes = kReserve; });
  cluster.StartAll();
  cluster.AwaitLeader();
  const auto segments = [&] { return cluster.disk(0).List("/data/member/wal")->size(); };
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(cluster.PutAndWait(0, "k", std::string(1 << 20, 'v')).result, GateResult::kOk);
  }
  cluster.Run(500);
  ASSERT_GE(segments(), 7U) << "100 MB in segments of 16 MiB, of which none is given up";
  cluster.disk(0).SetFreeBytes(kReserve - 1);
  ASSERT_TRUE(cluster.RunUntil([&] { return NoSpaceIs(cluster, true); }));
  ASSERT_TRUE(cluster.RunUntil([&] { return NoSpaceIs(cluster, false); }));
  EXPECT_LE(segments(), 4U);
  EXPECT_EQ(cluster.PutAndWait(0, "k", "v").result, GateResult::kOk);
  // With space it keeps the margin again.
  cluster.disk(0).SetUnlimitedSpace();
  cluster.Run(3'000);
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(cluster.PutAndWait(0, "k", std::string(1 << 20, 'v')).result, GateResult::kOk);
  }
  cluster.Run(500);
  EXPECT_GE(segments(), 7U);
  cluster.Crash(0, CrashMode::kLoseAll);
  ASSERT_TRUE(cluster.Start(0).ok());
  EXPECT_EQ(cluster.GetAndWait(0, "k").value, std::string(1 << 20, 'v'));
}

// Ended by an operator, it comes back: there still is no space.
TEST(LimitsTest, AnAlarmOfADiskComesBackWhileThereIsNoSpace) {
  NodeCluster cluster(1, 5, [](NodeOptions& options) { options.limits.disk_reserve_bytes = 1000; });
  cluster.StartAll();
  cluster.AwaitLeader();
  cluster.disk(0).SetFreeBytes(10);
  ASSERT_TRUE(cluster.RunUntil([&] { return NoSpaceIs(cluster, true); }));
  internal::ChangeAlarm change;
  change.set_member(cluster.node(0).identity().id.value());
  change.set_alarm(storage::kAlarmNoSpace);
  bool ended = false;
  cluster.gate(0).Propose(CommandField::kChangeAlarm, change.SerializeAsString(), std::nullopt,
                          [&](const ProposeResult& result) {
                            EXPECT_EQ(result.result, GateResult::kOk);
                            EXPECT_TRUE(NoSpaceIs(cluster, false));
                            ended = true;
                          });
  ASSERT_TRUE(cluster.RunUntil([&] { return ended; }));
  ASSERT_TRUE(cluster.RunUntil([&] { return NoSpaceIs(cluster, true); }));
  // A member that does not look any more takes back what it has said.
  cluster.Stop(0);
  cluster.disk(0).SetUnlimitedSpace();
  cluster.options().limits.disk_reserve_bytes = 0;
  ASSERT_TRUE(cluster.Start(0).ok());
  ASSERT_TRUE(cluster.RunUntil([&] { return NoSpaceIs(cluster, false); }));
}

}  // namespace
}  // namespace gavel::server
