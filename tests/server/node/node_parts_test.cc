// The small parts of a node: ids, log history, flush policy, queues, background jobs.

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

#include "proto/internal/command.pb.h"
#include "server/node/background.h"
#include "server/node/cluster_ids.h"
#include "server/node/command_bytes.h"
#include "server/node/flush_policy.h"
#include "server/node/inbox.h"
#include "server/node/log_history.h"
#include "tests/server/node/manual_clock.h"
#include "tests/support/matchers.h"

namespace gavel::server {
namespace {

using testing::StatusIs;

// The ids that every etcd with default flags has.
TEST(ClusterIdsTest, AreThoseOfEtcd) {
  const raft::NodeId member = MemberIdOf({"http://localhost:2380"}, "etcd-cluster");
  EXPECT_EQ(member.value(), 0x8e9e05c52164694du);
  EXPECT_EQ(ClusterIdOf({member}), 0xcdf818194e3a8c32u);
}

TEST(ClusterIdsTest, DoNotDependOnTheOrderGiven) {
  EXPECT_EQ(MemberIdOf({"http://a:1", "http://b:1"}, "t"),
            MemberIdOf({"http://b:1", "http://a:1"}, "t"));
  EXPECT_EQ(ClusterIdOf({raft::NodeId(1), raft::NodeId(2)}),
            ClusterIdOf({raft::NodeId(2), raft::NodeId(1)}));
}

// The core tells by it what must be dated, whoever encoded the command.
TEST(CommandBytesTest, TheFieldOfTheBodyIsFound) {
  const raft::RequestId id{raft::NodeId(~0ULL), raft::Incarnation(3), 1ULL << 40};
  for (const CommandField field :
       {CommandField::kPut, CommandField::kLeaseGrant, CommandField::kRenewLeases,
        CommandField::kLeaseClock, CommandField::kPublishMember, CommandField::kChangeAlarm,
        CommandField::kSetQuota, CommandField::kReportDigest, CommandField::kSetLeaderPriority}) {
    std::string bytes = EncodeCommandHeader(field, id);
    EXPECT_EQ(CommandFieldOf(bytes), 0) << "there is no body yet";
    AppendCommandBody(field, "", &bytes);
    EXPECT_EQ(CommandFieldOf(bytes), static_cast<int>(field));
    AppendCommandBody(field, "request", &bytes);
    EXPECT_EQ(CommandFieldOf(bytes), static_cast<int>(field));
  }
  internal::Command command;
  command.mutable_renew_leases()->add_ids(-1);
  EXPECT_EQ(CommandFieldOf(command.SerializeAsString()), 16);
  for (const std::string_view bad : {"", "\x08", "\x08\xff", "\xff",
                                     "\x09"
                                     "12345678"}) {
    EXPECT_EQ(CommandFieldOf(bad), 0);
  }
}

raft::Entry Entry(uint64_t index, uint64_t term) {
  return {raft::Index(index), raft::Term(term), raft::EntryKind::kEmpty, nullptr};
}

raft::Entry ConfigurationEntry(uint64_t index, uint64_t term, const raft::Configuration& value) {
  return {raft::Index(index), raft::Term(term), raft::EntryKind::kConfiguration,
          std::make_shared<const std::string>(raft::EncodeConfiguration(value))};
}

raft::Configuration Voters(std::vector<uint64_t> ids) {
  raft::Configuration configuration;
  for (const uint64_t id : ids) {
    configuration.members.push_back({raft::NodeId(id), {"http://h:1"}});
    configuration.voters.push_back(raft::NodeId(id));
  }
  return configuration;
}

TEST(LogHistoryTest, KnowsTermAndConfigurationOfEveryIndex) {
  LogHistory history({raft::Index(10), raft::Term(2), Voters({1})});
  EXPECT_OK(history.Append(
      {Entry(11, 2), Entry(12, 3), ConfigurationEntry(13, 3, Voters({1, 2})), Entry(14, 3)}));
  ASSERT_OK_AND_ASSIGN(const raft::SnapshotMeta before, history.MarkAt(raft::Index(12)));
  EXPECT_EQ(before.term, raft::Term(3));
  EXPECT_EQ(before.configuration, Voters({1}));
  ASSERT_OK_AND_ASSIGN(const raft::SnapshotMeta after, history.MarkAt(raft::Index(13)));
  EXPECT_EQ(after.configuration, Voters({1, 2}));
  ASSERT_OK_AND_ASSIGN(const raft::SnapshotMeta start, history.MarkAt(raft::Index(10)));
  EXPECT_EQ(start.term, raft::Term(2));
  EXPECT_THAT(history.MarkAt(raft::Index(15)), StatusIs(absl::StatusCode::kOutOfRange));
  EXPECT_THAT(history.MarkAt(raft::Index(9)), StatusIs(absl::StatusCode::kOutOfRange));
}

// A configuration that was adopted and then overwritten must not appear in a later mark.
TEST(LogHistoryTest, ForgetsWhatWasOverwritten) {
  LogHistory history({raft::Index(), raft::Term(), Voters({1})});
  EXPECT_OK(history.Append({Entry(1, 1), ConfigurationEntry(2, 1, Voters({1, 2})), Entry(3, 1)}));
  EXPECT_OK(history.Append({Entry(2, 5)}));
  EXPECT_EQ(history.last(), raft::Index(2));
  ASSERT_OK_AND_ASSIGN(const raft::SnapshotMeta mark, history.MarkAt(raft::Index(2)));
  EXPECT_EQ(mark.term, raft::Term(5));
  EXPECT_EQ(mark.configuration, Voters({1}));
}

TEST(LogHistoryTest, KeepsWhatIsInForceWhereItIsCut) {
  LogHistory history({raft::Index(), raft::Term(), Voters({1})});
  EXPECT_OK(history.Append({ConfigurationEntry(1, 1, Voters({1, 2})), Entry(2, 4), Entry(3, 4)}));
  history.CutTo(raft::Index(3));
  EXPECT_THAT(history.MarkAt(raft::Index(2)), StatusIs(absl::StatusCode::kOutOfRange));
  ASSERT_OK_AND_ASSIGN(const raft::SnapshotMeta mark, history.MarkAt(raft::Index(3)));
  EXPECT_EQ(mark.term, raft::Term(4));
  EXPECT_EQ(mark.configuration, Voters({1, 2}));
}

TEST(FlushPolicyTest, WantsAFlushAtEachLimit) {
  const FlushLimits limits{.log_bytes_max = 100, .entries_max = 10, .age_max = 1000};
  FlushPolicy bytes(limits);
  EXPECT_FALSE(bytes.Wanted(5000)) << "nothing to flush";
  bytes.OnApplied(1, 99, 0);
  EXPECT_FALSE(bytes.Wanted(0));
  bytes.OnApplied(1, 1, 0);
  EXPECT_TRUE(bytes.Wanted(0));

  FlushPolicy entries(limits);
  entries.OnApplied(10, 0, 0);
  EXPECT_TRUE(entries.Wanted(0));

  FlushPolicy age(limits);
  age.OnApplied(1, 0, 50);
  EXPECT_EQ(age.WantedAt(), 1050);
  EXPECT_FALSE(age.Wanted(1049));
  EXPECT_TRUE(age.Wanted(1050));
}

TEST(FlushPolicyTest, CountsWhatComesDuringAFlushForTheNext) {
  FlushPolicy policy({.log_bytes_max = 100, .entries_max = 1000, .age_max = 1000000});
  policy.OnApplied(1, 100, 0);
  policy.OnStarted(0);
  EXPECT_FALSE(policy.Wanted(0)) << "one at a time";
  policy.OnApplied(1, 100, 1);
  EXPECT_FALSE(policy.Wanted(1));
  policy.OnFinished();
  EXPECT_TRUE(policy.Wanted(1));
}

TEST(InboxTest, GivesEverythingInOrderAndIsBounded) {
  Inbox<int> inbox(2);
  EXPECT_TRUE(inbox.TryPush(1));
  EXPECT_TRUE(inbox.TryPush(2));
  EXPECT_FALSE(inbox.TryPush(3));
  inbox.Push(4);
  EXPECT_EQ(inbox.TakeAll(), (std::vector<int>{1, 2, 4}));
  EXPECT_TRUE(inbox.empty());
}

TEST(InboxTest, LosesNoWakeBetweenThreads) {
  constexpr int kItems = 20000;
  Inbox<int> inbox(kItems);
  std::thread producer([&inbox] {
    for (int i = 0; i < kItems; ++i) inbox.Push(i);
  });
  int next = 0;
  while (next < kItems) {
    inbox.Wait(std::chrono::seconds(20));
    const std::vector<int> items = inbox.TakeAll();
    ASSERT_FALSE(items.empty()) << "a wake was lost";
    for (const int item : items) ASSERT_EQ(item, next++);
  }
  producer.join();
}

TEST(InboxTest, WakeAndCloseEndAWait) {
  Inbox<int> inbox(1);
  inbox.Wake();
  inbox.Wait(std::nullopt);
  EXPECT_TRUE(inbox.TakeAll().empty());
  std::thread closer([&inbox] { inbox.Close(); });
  inbox.Wait(std::nullopt);
  EXPECT_TRUE(inbox.closed());
  closer.join();
}

TEST(BackgroundTest, JobsTakeTurns) {
  testing::ManualClock clock;
  Background background(clock);
  std::string order;
  for (const char name : {'a', 'b'}) {
    background.Add([&order, name, steps = 0]() mutable {
      order += name;
      return ++steps < 3;
    });
  }
  while (background.RunOnce()) {
  }
  EXPECT_EQ(order, "ababab");
}

TEST(BackgroundTest, AJobForLaterWaitsForItsTime) {
  testing::ManualClock clock;
  Background background(clock);
  bool ran = false;
  background.AddAt(clock.Now() + 5, [&ran] {
    ran = true;
    return false;
  });
  EXPECT_FALSE(background.RunOnce());
  clock.Advance(5);
  EXPECT_TRUE(background.RunOnce());
  EXPECT_TRUE(ran);
}

}  // namespace
}  // namespace gavel::server
