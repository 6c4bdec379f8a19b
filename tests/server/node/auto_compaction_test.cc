// Automatic compaction: to which revision and when, by etcd's rules; and that the leader does it.

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "server/node/auto_compaction.h"
#include "tests/server/node/node_cluster.h"

namespace gavel::server {
namespace {

using Mode = AutoCompactionOptions::Mode;
using ::testing::ElementsAre;
using testing::NodeCluster;
using ::testing::Pair;

constexpr MonotonicNs kMinute = 60 * kNsPerSecond;
constexpr MonotonicNs kHour = 60 * kMinute;

// One revision a minute; the minutes at which it compacted within `minutes`, and to what revision.
std::vector<std::pair<int64_t, storage::Revision>> Compactions(const AutoCompactionOptions& options,
                                                               int64_t minutes) {
  AutoCompaction compaction(options, 0, 0);
  std::vector<std::pair<int64_t, storage::Revision>> compactions;
  for (MonotonicNs now = compaction.interval(); now <= minutes * kMinute;
       now += compaction.interval()) {
    if (const auto revision = compaction.Look(now, now / kMinute)) {
      compactions.emplace_back(now / kMinute, *revision);
      compaction.OnCompacted(*revision, now);
    }
  }
  return compactions;
}

TEST(AutoCompactionTest, AShortPeriodIsKeptAndCompactedOnceInAPeriod) {
  // The first compaction is to what was the newest at the start, which is nothing here.
  EXPECT_THAT(Compactions({Mode::kPeriodic, 10 * kMinute, 0}, 40),
              ElementsAre(Pair(11, 1), Pair(21, 11), Pair(31, 21)));
}

TEST(AutoCompactionTest, ALongPeriodIsCompactedOnceAnHour) {
  EXPECT_THAT(Compactions({Mode::kPeriodic, 5 * kHour, 0}, 9 * 60),
              ElementsAre(Pair(306, 6), Pair(366, 66), Pair(426, 126), Pair(486, 186)));
}

TEST(AutoCompactionTest, WhatIsYoungerThanThePeriodIsNeverGivenUp) {
  for (const MonotonicNs period :
       {MonotonicNs{1}, kNsPerMs, 95 * kNsPerMs, 7 * kNsPerSecond, kHour + 1, 100 * kMinute}) {
    AutoCompaction compaction({Mode::kPeriodic, period, 0}, 0, 0);
    ASSERT_GE(compaction.interval(), 10 * kNsPerMs);
    int compactions = 0;
    for (MonotonicNs now = compaction.interval(); now <= 4 * (period + kHour / 10);
         now += compaction.interval()) {
      const auto revision = compaction.Look(now, now);
      if (!revision) continue;
      ++compactions;
      EXPECT_LE(*revision, now - period);
      EXPECT_GE(*revision, now - period - 2 * compaction.interval());
      compaction.OnCompacted(*revision, now);
    }
    EXPECT_GE(compactions, 2) << period;
  }
}

TEST(AutoCompactionTest, NothingIsCompactedTwiceAndWhatFailedIsTriedAtTheNextLook) {
  AutoCompaction compaction({Mode::kPeriodic, 10 * kMinute, 0}, 0, 5);
  for (int minute = 1; minute < 10; ++minute) {
    EXPECT_EQ(compaction.Look(minute * kMinute, 5), std::nullopt) << minute;
  }
  EXPECT_EQ(compaction.Look(10 * kMinute, 9), 5);
  EXPECT_EQ(compaction.Look(11 * kMinute, 9), 5) << "nobody said that it was done";
  compaction.OnCompacted(5, 11 * kMinute);
  EXPECT_EQ(compaction.Look(12 * kMinute, 9), std::nullopt);
  for (int minute = 13; minute < 21; ++minute) compaction.Look(minute * kMinute, 9);
  EXPECT_EQ(compaction.Look(21 * kMinute, 9), 9);
  compaction.OnCompacted(9, 21 * kMinute);
  for (int minute = 22; minute < 60; ++minute) {
    EXPECT_EQ(compaction.Look(minute * kMinute, 9), std::nullopt) << "nothing was written";
  }
}

TEST(AutoCompactionTest, ByRevisionsTheNewestAreKeptAndEveryFiveMinutesIsALook) {
  EXPECT_THAT(Compactions({Mode::kRevision, 0, 12}, 26),
              ElementsAre(Pair(15, 3), Pair(20, 8), Pair(25, 13)));
  AutoCompaction compaction({Mode::kRevision, 0, 100}, 0, 0);
  EXPECT_EQ(compaction.Look(5 * kMinute, 100), std::nullopt);
  EXPECT_EQ(compaction.Look(10 * kMinute, 101), 1);
  EXPECT_EQ(compaction.Look(15 * kMinute, 101), 1);
  compaction.OnCompacted(1, 15 * kMinute);
  EXPECT_EQ(compaction.Look(20 * kMinute, 101), std::nullopt);
}

TEST(AutoCompactionTest, TheLeaderCompactsForAll) {
  NodeCluster cluster(
      3, 1, [](NodeOptions& options) { options.auto_compaction = {Mode::kRevision, 0, 10}; });
  cluster.StartAll();
  const int first = cluster.AwaitLeader();
  for (int i = 0; i < 30; ++i) {
    ASSERT_EQ(cluster.PutAndWait(first, "k", std::to_string(i)).result, GateResult::kOk);
  }
  const auto compacted = [&](storage::Revision revision) {
    for (int i = 0; i < 3; ++i) {
      if (cluster.running(i) && cluster.gate(i).view()->compacted != revision) return false;
    }
    return true;
  };
  ASSERT_TRUE(cluster.RunUntil([&] { return compacted(21); }, 310'000));
  EXPECT_EQ(cluster.gate(first).view()->revision, 31);

  // Who leads next goes on with it.
  cluster.Stop(first);
  const int second = cluster.AwaitLeader();
  ASSERT_NE(first, second);
  ASSERT_EQ(cluster.PutAndWait(second, "k", "more").result, GateResult::kOk);
  EXPECT_TRUE(cluster.RunUntil([&] { return compacted(22); }, 310'000));
  EXPECT_TRUE(cluster.failures().empty());
}

TEST(AutoCompactionTest, ByTimeAlso) {
  NodeCluster cluster(1, 1, [](NodeOptions& options) {
    options.auto_compaction = {Mode::kPeriodic, 2 * kNsPerSecond, 0};
  });
  cluster.StartAll();
  cluster.AwaitLeader();
  for (int i = 0; i < 5; ++i) {
    ASSERT_EQ(cluster.PutAndWait(0, "k", std::to_string(i)).result, GateResult::kOk);
  }
  cluster.Run(1000);
  EXPECT_EQ(cluster.gate(0).view()->compacted, -1);
  EXPECT_TRUE(cluster.RunUntil([&] { return cluster.gate(0).view()->compacted == 6; }, 10'000));
}

}  // namespace
}  // namespace gavel::server
