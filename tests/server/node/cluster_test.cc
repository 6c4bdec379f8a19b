// What a cluster promises, with every stage driven from one thread.

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "proto/etcdserverpb/kv.pb.h"
#include "tests/server/node/node_cluster.h"
#include "tests/support/matchers.h"

namespace gavel::testing {
namespace {

using server::GateResult;
using server::kNsPerMs;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(ClusterTest, OneMemberServesPutsAndReads) {
  NodeCluster cluster(1, 1);
  cluster.StartAll();
  cluster.AwaitLeader();
  EXPECT_EQ(cluster.PutAndWait(0, "a", "1").result, GateResult::kOk);
  const NodeCluster::ReadAnswer read = cluster.GetAndWait(0, "a");
  EXPECT_EQ(read.result, GateResult::kOk);
  EXPECT_EQ(read.value, "1");
}

// A lone client must not wait for others to share a turn; many share one.
TEST(ClusterTest, TheCoreRestsOnlyUnderLoad) {
  NodeCluster cluster(1, 1);
  cluster.StartAll();
  cluster.AwaitLeader();
  server::CoreDriver& core = cluster.node(0).core();
  cluster.clock().SetStep(1000);
  const auto put = [&] { cluster.Put(0, "a", "1", [](const server::ProposeResult&) {}); };
  put();
  EXPECT_TRUE(core.RunOnce());
  EXPECT_LT(core.RestUntil(), cluster.clock().Now());
  for (int i = 0; i < 100; ++i) put();
  EXPECT_TRUE(core.RunOnce());
  const server::MonotonicNs now = cluster.clock().Now();
  EXPECT_GT(core.RestUntil(), now + 10 * 1000) << "ten times as long as the turn";
  EXPECT_LE(core.RestUntil(), now + kNsPerMs);
  cluster.clock().SetStep(0);
}

// Who shares a member with few others must not wait as long as with many.
TEST(ClusterTest, ARestIsBoundedByWhatIsUnderWay) {
  NodeCluster cluster(1, 1);
  cluster.StartAll();
  cluster.AwaitLeader();
  server::CoreDriver& core = cluster.node(0).core();
  cluster.clock().SetStep(kNsPerMs);  // Each turn takes that long, or longer.
  const auto rest_after = [&](int puts) {
    for (int i = 0; i < puts; ++i) {
      cluster.Put(0, "a", "1", [](const server::ProposeResult&) {});
    }
    EXPECT_TRUE(core.RunOnce());
    return core.RestUntil() - (cluster.clock().Now() - kNsPerMs);
  };
  EXPECT_EQ(rest_after(16), kNsPerMs * 16 * 32 / 1000);
  EXPECT_EQ(rest_after(16), kNsPerMs * (32 + 16) * 32 / 1000) << "the first wait, in the log";
  EXPECT_EQ(rest_after(1000), 2 * kNsPerMs);
  cluster.clock().SetStep(0);
}

// A member alone must not confirm a write that is only in memory (reliability: its own log counts
// only once it is durable).
TEST(ClusterTest, OneMemberConfirmsNothingBeforeItsDisk) {
  NodeCluster cluster(1, 2);
  cluster.StartAll();
  cluster.AwaitLeader();
  cluster.SetLogHeld(0, true);
  bool done = false;
  cluster.Put(0, "a", "1", [&](const server::ProposeResult&) { done = true; });
  cluster.Run(300);
  EXPECT_FALSE(done);
  cluster.SetLogHeld(0, false);
  EXPECT_TRUE(cluster.RunUntil([&] { return done; }));
}

TEST(ClusterTest, EveryMemberTakesWritesAndReads) {
  NodeCluster cluster(3, 3);
  cluster.StartAll();
  cluster.AwaitLeader();
  for (int i = 0; i < 3; ++i) {
    const std::string key = absl::StrCat("k", i);
    EXPECT_EQ(cluster.PutAndWait(i, key, "v").result, GateResult::kOk);
    for (int reader = 0; reader < 3; ++reader) {
      EXPECT_EQ(cluster.GetAndWait(reader, key).value, "v");
    }
  }
  cluster.Run(300);
  EXPECT_EQ(cluster.Hash(0), cluster.Hash(1));
  EXPECT_EQ(cluster.Hash(0), cluster.Hash(2));
}

TEST(ClusterTest, MembersPublishTheirNamesAndUrls) {
  NodeCluster cluster(3, 4);
  cluster.StartAll();
  EXPECT_TRUE(cluster.RunUntil([&] {
    const auto members = cluster.gate(0).members();
    return std::all_of(members->begin(), members->end(), [](const storage::MemberRecord& member) {
      return !member.name.empty() && member.client_urls.size() == 1;
    });
  }));
}

TEST(ClusterTest, AWriteConfirmedBeforeTheLeaderDiesIsThereAfter) {
  NodeCluster cluster(3, 5);
  cluster.StartAll();
  const int leader = cluster.AwaitLeader();
  ASSERT_EQ(cluster.PutAndWait(leader, "a", "1").result, GateResult::kOk);
  cluster.Crash(leader, CrashMode::kLoseAll);
  const int other = (leader + 1) % 3;
  EXPECT_EQ(cluster.GetAndWait(other, "a").value, "1");
  ASSERT_OK(cluster.Start(leader));
  EXPECT_EQ(cluster.GetAndWait(leader, "a").value, "1");
}

// The failover of a leader that died visibly takes far less than an election timeout.
TEST(ClusterTest, ADeadLeaderIsReplacedBeforeTheElectionTimeout) {
  NodeCluster cluster(3, 6);
  cluster.StartAll();
  const int leader = cluster.AwaitLeader();
  cluster.Run(2000);
  cluster.Crash(leader, CrashMode::kLoseAll);
  const server::MonotonicNs began = cluster.clock().Now();
  EXPECT_EQ(cluster.PutAndWait((leader + 1) % 3, "a", "1").result, GateResult::kOk);
  EXPECT_LT(cluster.clock().Now() - began, 500 * kNsPerMs);
}

// A client whose member loses its leader before the command was appended anywhere is served by
// the next leader and sees no error.
TEST(ClusterTest, ACommandThatIsInNoLogIsProposedAgain) {
  NodeCluster cluster(3, 7);
  cluster.StartAll();
  const int leader = cluster.AwaitLeader();
  const int follower = (leader + 1) % 3;
  // The forwarded command never reaches the leader.
  cluster.SetCut(leader, follower, true);
  bool ok = false;
  cluster.Put(follower, "a", "1", [&](const server::ProposeResult& result) {
    EXPECT_EQ(result.result, GateResult::kOk);
    ok = result.result == GateResult::kOk;
  });
  cluster.Run(50);
  EXPECT_FALSE(ok);
  cluster.Crash(leader, CrashMode::kLoseAll);
  EXPECT_TRUE(cluster.RunUntil([&] { return ok; }, 6000));
  EXPECT_EQ(NodeCluster::Lookup(cluster.gate(follower).view(), "a")->version, 1);
}

// A command in the log of a leader that is cut off may yet be committed or not: the client is told
// that it is unknown, and never that it was dropped.
TEST(ClusterTest, ACommandInTheLogOfALeaderCutOffIsUnknown) {
  NodeCluster cluster(
      3, 8, [](server::NodeOptions& options) { options.gate.request_timeout = 500 * kNsPerMs; });
  cluster.StartAll();
  const int leader = cluster.AwaitLeader();
  for (int other = 0; other < 3; ++other) {
    if (other != leader) cluster.SetCut(leader, other, true);
  }
  EXPECT_EQ(cluster.PutAndWait(leader, "a", "1").result, GateResult::kTimedOut);
}

// The same when the connections are seen to break.
TEST(ClusterTest, AnUnknownOutcomeSaysThatTheConnectionsWereLost) {
  NodeCluster cluster(
      3, 8, [](server::NodeOptions& options) { options.gate.request_timeout = 500 * kNsPerMs; });
  cluster.StartAll();
  const int leader = cluster.AwaitLeader();
  for (int other = 0; other < 3; ++other) {
    if (other != leader) cluster.Disconnect(leader, other);
  }
  EXPECT_EQ(cluster.PutAndWait(leader, "a", "1").result, GateResult::kTimedOutDisconnected);
}

TEST(ClusterTest, WithoutAQuorumAWriteEndsAsCertainlyNotDone) {
  NodeCluster cluster(
      3, 9, [](server::NodeOptions& options) { options.gate.request_timeout = 3000 * kNsPerMs; });
  ASSERT_OK(cluster.Start(0));
  EXPECT_EQ(cluster.PutAndWait(0, "a", "1").result, GateResult::kNoLeader);
  EXPECT_EQ(cluster.GetAndWait(0, "a").result, GateResult::kNoLeader);
}

// A client that would wait for ever is answered too: a message that was lost is not sent again.
TEST(ClusterTest, ARequestEndsAtTheServersTimeLimitWhateverItsOwn) {
  NodeCluster cluster(
      3, 9, [](server::NodeOptions& options) { options.gate.request_timeout = 3000 * kNsPerMs; });
  ASSERT_OK(cluster.Start(0));
  const auto hours = cluster.clock().Now() + 7200 * server::kNsPerSecond;
  int ended = 0;
  cluster.gate(0).Propose(server::CommandField::kPut, "", hours,
                          [&](const server::ProposeResult&) { ++ended; });
  cluster.gate(0).Read(hours, [&](const server::ReadResult&) { ++ended; });
  EXPECT_TRUE(cluster.RunUntil([&] { return ended == 2; }, 5000));
}

TEST(ClusterTest, AnUnfinishedEndOfTheLogIsCutAndCounted) {
  int counted = 0;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    NodeCluster cluster(1, seed);
    cluster.StartAll();
    cluster.AwaitLeader();
    EXPECT_EQ(cluster.PutAndWait(0, "a", "1").result, GateResult::kOk);
    // The write is done, its sync is not.
    cluster.disk(0).CrashAfter(1);
    cluster.Put(0, "b", std::string(64 << 10, 'b'), [](const server::ProposeResult&) {});
    cluster.Run(100);
    cluster.Crash(0, CrashMode::kTearBy512);
    ASSERT_OK(cluster.Start(0));
    cluster.AwaitLeader();
    EXPECT_EQ(cluster.GetAndWait(0, "a").value, "1");
    if (cluster.MetricsText(0).find("\ngavel_log_ends_cut_total 1") != std::string::npos) ++counted;
  }
  EXPECT_GT(counted, 0);
}

// A leader that was stopped (SIGSTOP) while others elected a new one must not serve an old state
// to a reader when it goes on.
TEST(ClusterTest, APausedLeaderServesNoStaleRead) {
  for (uint64_t seed = 100; seed < 120; ++seed) {
    NodeCluster cluster(3, seed);
    cluster.StartAll();
    const int old_leader = cluster.AwaitLeader();
    ASSERT_EQ(cluster.PutAndWait(old_leader, "a", "old").result, GateResult::kOk);
    // A read is under way when the leader stops.
    std::optional<std::string> under_way;
    cluster.Read(old_leader, [&](server::ReadResult result) {
      if (result.view != nullptr) under_way = NodeCluster::Lookup(result.view, "a")->value;
    });
    cluster.SetPaused(old_leader, true);
    const int other = (old_leader + 1) % 3;
    ASSERT_EQ(cluster.PutAndWait(other, "a", "new").result, GateResult::kOk);
    cluster.SetPaused(old_leader, false);
    EXPECT_EQ(cluster.GetAndWait(old_leader, "a").value, "new") << "seed " << seed;
    // The first read began before the write: either answer is right for it.
    cluster.Run(2000);
    EXPECT_TRUE(under_way == "old" || under_way == "new");
  }
}

TEST(ClusterTest, TooFarBehindInApplyingAnswersTooManyRequests) {
  NodeCluster cluster(
      1, 10, [](server::NodeOptions& options) { options.gate.apply_backlog_entries_max = 20; });
  cluster.StartAll();
  cluster.AwaitLeader();
  cluster.SetApplyHeld(0, true);
  std::map<GateResult, int> results;
  for (int i = 0; i < 50; ++i) {
    cluster.Put(0, absl::StrCat("k", i), "v",
                [&](const server::ProposeResult& result) { ++results[result.result]; });
    cluster.Run(2);
  }
  EXPECT_GE(results[GateResult::kTooManyRequests], 20);
  cluster.SetApplyHeld(0, false);
  cluster.Run(100);
  EXPECT_EQ(results[GateResult::kOk] + results[GateResult::kTooManyRequests], 50);
}

// An engine that stalls makes apply wait, loses nothing and stops nobody.
TEST(ClusterTest, AStalledEngineOnlyDelays) {
  NodeCluster cluster(1, 11);
  cluster.StartAll();
  cluster.AwaitLeader();
  cluster.engine(0).SetStalled(true);
  bool done = false;
  cluster.Put(0, "a", "1", [&](const server::ProposeResult& result) {
    done = result.result == GateResult::kOk;
  });
  cluster.Run(300);
  EXPECT_FALSE(done);
  cluster.engine(0).SetStalled(false);
  EXPECT_TRUE(cluster.RunUntil([&] { return done; }, 100));
}

TEST(ClusterTest, TheLogIsCutBehindTheDurableState) {
  NodeCluster cluster(3, 12, [](server::NodeOptions& options) {
    options.apply.flush.entries_max = 200;
    options.apply.catchup_entries = 50;
  });
  cluster.StartAll();
  const int leader = cluster.AwaitLeader();
  const std::string value(64 << 10, 'x');
  for (int i = 0; i < 1200; ++i) {
    ASSERT_EQ(cluster.PutAndWait(leader, absl::StrCat("k", i % 10), value).result, GateResult::kOk);
  }
  cluster.Run(500);
  // 75 MiB were written; segments are of 16 MiB.
  for (int i = 0; i < 3; ++i) {
    const auto names = cluster.disk(i).List("/data/member/wal");
    ASSERT_OK(names);
    EXPECT_LT(names->size(), 7u) << "node " << i;
  }
  cluster.Crash(leader, CrashMode::kLoseAll);
  ASSERT_OK(cluster.Start(leader));
  EXPECT_EQ(cluster.GetAndWait(leader, "k7").value, value);
}

// A member that does not lag too far is brought up from the log.
TEST(ClusterTest, TheLogKeepsWhatASleepingMemberNeeds) {
  NodeCluster cluster(3, 13, [](server::NodeOptions& options) {
    options.apply.flush.entries_max = 100;
    options.apply.catchup_entries = 10;
  });
  cluster.StartAll();
  int leader = cluster.AwaitLeader();
  ASSERT_EQ(cluster.PutAndWait(leader, "first", "1").result, GateResult::kOk);
  const int sleeper = (leader + 1) % 3;
  cluster.Crash(sleeper, CrashMode::kLoseAll);
  const std::string value(128 << 10, 'x');
  for (int i = 0; i < 400; ++i) {
    ASSERT_EQ(cluster.PutAndWait(leader, absl::StrCat("k", i % 10), value).result, GateResult::kOk);
  }
  ASSERT_OK(cluster.Start(sleeper));
  EXPECT_EQ(cluster.GetAndWait(sleeper, "k9").value, value);
  EXPECT_TRUE(
      cluster.RunUntil([&] { return cluster.Hash(sleeper) == cluster.Hash(leader); }, 20000));
  EXPECT_EQ(cluster.installs(sleeper), 0u);
}

TEST(ClusterTest, ACleanStopLeavesNothingToApplyAgain) {
  NodeCluster cluster(1, 14);
  cluster.StartAll();
  cluster.AwaitLeader();
  for (int i = 0; i < 20; ++i) {
    ASSERT_EQ(cluster.PutAndWait(0, absl::StrCat("k", i), "v").result, GateResult::kOk);
  }
  const raft::Index applied = cluster.gate(0).status().applied;
  cluster.Stop(0);
  ASSERT_OK(cluster.Start(0));
  EXPECT_GE(cluster.gate(0).status().applied, applied);
}

TEST(ClusterTest, AFailedSyncStopsTheMemberForGood) {
  NodeCluster cluster(1, 15);
  cluster.StartAll();
  cluster.AwaitLeader();
  cluster.Run(200);
  cluster.disk(0).FailSync(1);
  bool answered = false;
  cluster.Put(0, "a", "1", [&](const server::ProposeResult&) { answered = true; });
  cluster.Run(100);
  ASSERT_EQ(cluster.failures().size(), 1u);
  EXPECT_THAT(cluster.failures()[0], HasSubstr("wal"));
  EXPECT_FALSE(answered);
  EXPECT_FALSE(cluster.node(0).failure().ok());
}

TEST(ClusterTest, ADirectoryOfAnotherClusterIsRefused) {
  NodeCluster cluster(1, 16);
  cluster.StartAll();
  cluster.AwaitLeader();
  cluster.Crash(0, CrashMode::kKeepAll);
  cluster.options().place.token = "other";
  EXPECT_THAT(cluster.Start(0), StatusIs(absl::StatusCode::kFailedPrecondition));
  cluster.options().place.token = "test";
  EXPECT_OK(cluster.Start(0));
}

TEST(ClusterTest, ALostLogIsReportedAndNotReplaced) {
  NodeCluster cluster(1, 17);
  cluster.StartAll();
  cluster.AwaitLeader();
  cluster.Stop(0);
  const auto names = cluster.disk(0).List("/data/member/wal");
  ASSERT_OK(names);
  for (const std::string& name : *names) {
    ASSERT_OK(cluster.disk(0).Remove("/data/member/wal/" + name));
  }
  EXPECT_THAT(cluster.Start(0),
              StatusIs(absl::StatusCode::kDataLoss,
                       AllOf(HasSubstr("add it again with an empty data directory"),
                             HasSubstr("--wal-dir"))));
}

// A member whose data is gone begins its first life again; the others remember a later one and
// refuse it, since it may have forgotten votes and confirmations.
TEST(ClusterTest, AMemberThatLostItsDataIsRefused) {
  NodeCluster cluster(3, 19);
  cluster.StartAll();
  const int leader = cluster.AwaitLeader();
  const int lost = (leader + 1) % 3;
  cluster.Crash(lost, CrashMode::kKeepAll);
  ASSERT_OK(cluster.Start(lost));
  cluster.Run(500);
  const server::FrameAddress old_life{cluster.gate(lost).cluster_id(),
                                      cluster.gate(lost).member_id(),
                                      cluster.gate(leader).member_id(), raft::Incarnation(1)};
  absl::Status refused;
  for (int i = 0; i <= server::FrameReceiver::kOldLifeFramesMax; ++i) {
    EXPECT_OK(refused);
    refused = cluster.Receive(leader, server::EncodeFrame(old_life, {}));
  }
  EXPECT_THAT(refused, StatusIs(absl::StatusCode::kFailedPrecondition,
                                HasSubstr("its data directory was lost")));
}

// Clients may ask a member who it is before the log says so, or while it still says what was so
// before the last start.
TEST(ClusterTest, AMemberKnowsItsOwnClientUrlsFromItsStart) {
  NodeCluster cluster(3, 31);
  ASSERT_OK(cluster.Start(0));
  const auto urls = [&](int of) {
    const auto members = cluster.gate(0).members();
    for (const storage::MemberRecord& member : *members) {
      if (member.name == absl::StrCat("m", of)) return member.client_urls;
    }
    return std::vector<std::string>{"no such member"};
  };
  EXPECT_THAT(urls(0), ElementsAre("http://127.0.0.1:2379"));
  EXPECT_THAT(urls(1), IsEmpty());
}

// What a compaction lets go is deleted in the background, and counted under etcd's names.
TEST(ClusterTest, CollectedHistoryIsCounted) {
  NodeCluster cluster(1, 29);
  cluster.StartAll();
  cluster.AwaitLeader();
  for (const char* value : {"1", "2", "3"}) {
    EXPECT_EQ(cluster.PutAndWait(0, "k", value).result, GateResult::kOk);
  }
  etcdserverpb::CompactionRequest request;
  request.set_revision(4);
  cluster.gate(0).Propose(server::CommandField::kCompact, request.SerializeAsString(), std::nullopt,
                          [](server::ProposeResult) {});
  EXPECT_TRUE(cluster.RunUntil([&] {
    return cluster.MetricsText(0).find("db_compaction_total_duration_milliseconds_count 1\n") !=
           std::string::npos;
  }));
  EXPECT_THAT(cluster.MetricsText(0),
              HasSubstr("etcd_debugging_mvcc_db_compaction_keys_total 2\n"));
}

// Who names no deadline waits for as long as it takes.
TEST(ClusterTest, WaitingForACollectionHasOnlyItsCallersDeadline) {
  NodeCluster cluster(1, 1);
  cluster.StartAll();
  cluster.AwaitLeader();
  for (const char* value : {"1", "2"}) cluster.PutAndWait(0, "a", value);
  const storage::Revision revision = cluster.gate(0).view()->revision;
  std::vector<GateResult> patient;
  std::vector<GateResult> hurried;
  cluster.gate(0).WhenCollected(revision, std::nullopt,
                                [&](GateResult result) { patient.push_back(result); });
  cluster.gate(0).WhenCollected(revision, cluster.clock().Now() + server::kNsPerSecond,
                                [&](GateResult result) { hurried.push_back(result); });
  cluster.Run(60'000);
  EXPECT_THAT(hurried, ElementsAre(GateResult::kTimedOut));
  EXPECT_THAT(patient, IsEmpty());
  etcdserverpb::CompactionRequest request;
  request.set_revision(revision);
  cluster.gate(0).Propose(server::CommandField::kCompact, request.SerializeAsString(), std::nullopt,
                          [](const server::ProposeResult&) {});
  ASSERT_TRUE(cluster.RunUntil([&] { return !patient.empty(); }));
  EXPECT_THAT(patient, ElementsAre(GateResult::kOk));
}

// In its first life nobody can tell it by its life. The leader, which goes on naming what it
// confirmed, makes it know and say so.
TEST(ClusterTest, AMemberThatLostItsFirstLifeSaysSo) {
  NodeCluster cluster(3, 23);
  cluster.StartAll();
  const int leader = cluster.AwaitLeader();
  const int lost = (leader + 1) % 3;
  EXPECT_EQ(cluster.PutAndWait(leader, "k", "v").result, server::GateResult::kOk);
  cluster.Run(500);
  cluster.Crash(lost, CrashMode::kLoseAll);
  ASSERT_OK(cluster.Start(lost));
  cluster.Run(1000);
  EXPECT_THAT(cluster.errors(), IsEmpty()) << "a crash loses nothing that was confirmed";

  NodeCluster wiped(3, 23);
  wiped.StartAll();
  ASSERT_EQ(wiped.AwaitLeader(), leader);
  EXPECT_EQ(wiped.PutAndWait(leader, "k", "v").result, server::GateResult::kOk);
  wiped.Run(500);
  wiped.Wipe(lost);
  ASSERT_OK(wiped.Start(lost));
  wiped.Run(1000);
  EXPECT_THAT(wiped.errors(),
              ElementsAre("this member has confirmed entries that its log does not hold"));
}

}  // namespace
}  // namespace gavel::testing
