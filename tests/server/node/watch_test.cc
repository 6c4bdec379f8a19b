// Watches on members: every member tells the same, over faults, changes of leader and restarts.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "tests/server/node/node_cluster.h"

namespace gavel::testing {
namespace {

using server::GateResult;
using server::WatchNews;
using server::WatchOptions;
using storage::Revision;

// What a member tells of everything, from a revision on.
class Watcher {
 public:
  void Begin(server::Node& node, Revision start) {
    WatchOptions options;
    options.range_end = std::string("\0", 1);
    options.start = start;
    watch_ = node.gate().watches().Watch(options, [this](const WatchNews& news) {
      EXPECT_LT(news.compacted, 0);
      for (const storage::KeyChange* change : news.changes) {
        events.push_back(std::to_string(change->id.main) + change->key + "=" + change->value);
        last = change->id.main;
      }
    });
  }
  void End() { watch_.reset(); }

  std::vector<std::string> events;
  Revision last = 0;

 private:
  std::unique_ptr<server::LocalWatch> watch_;
};

TEST(NodeWatchTest, EveryMemberTellsTheSameWhateverTheNetworkDoes) {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    SCOPED_TRACE(seed);
    NodeCluster cluster(3, seed);
    cluster.StartAll();
    cluster.AwaitLeader();
    std::vector<Watcher> watchers(3);
    for (int i = 0; i < 3; ++i) watchers[static_cast<size_t>(i)].Begin(cluster.node(i), 1);
    cluster.SetFaults({.delay_max_ms = 10, .drop_one_in = 20});
    int ended = 0;
    for (int i = 0; i < 150; ++i) {
      cluster.Put(i % 3, "k" + std::to_string(i % 7), std::to_string(i),
                  [&](server::ProposeResult) { ++ended; });
      if (i % 40 == 20) cluster.SetCut(0, 1 + i % 2, true);
      if (i % 40 == 39) {
        cluster.SetCut(0, 1, false);
        cluster.SetCut(0, 2, false);
      }
      cluster.Run(30);
    }
    cluster.SetFaults({});
    cluster.SetCut(0, 1, false);
    cluster.SetCut(0, 2, false);
    ASSERT_TRUE(cluster.RunUntil([&] { return ended == 150; }));
    cluster.AwaitLeader();
    ASSERT_EQ(cluster.PutAndWait(1, "last", "x").result, GateResult::kOk);
    const auto all = [&] {
      return watchers[0].last == watchers[1].last && watchers[1].last == watchers[2].last &&
             watchers[0].events.back().ends_with("last=x");
    };
    ASSERT_TRUE(cluster.RunUntil(all));
    EXPECT_EQ(watchers[0].events, watchers[1].events);
    EXPECT_EQ(watchers[0].events, watchers[2].events);
    // Each put is a revision, and none is missing.
    EXPECT_EQ(watchers[0].last, static_cast<Revision>(watchers[0].events.size()) + 1);
  }
}

// A client whose member died goes on at the next revision, there or elsewhere (W5).
TEST(NodeWatchTest, AWatchGoesOnAfterTheMembersRestart) {
  NodeCluster cluster(3, 7);
  cluster.StartAll();
  cluster.AwaitLeader();
  Watcher steady;
  Watcher interrupted;
  steady.Begin(cluster.node(0), 1);
  interrupted.Begin(cluster.node(2), 1);
  for (int round = 0; round < 4; ++round) {
    for (int i = 0; i < 20; ++i) cluster.PutAndWait(0, "k", std::to_string(round * 100 + i));
    interrupted.End();
    cluster.Crash(2, CrashMode::kTearBy512);
    for (int i = 0; i < 20; ++i) cluster.PutAndWait(0, "k", std::to_string(round * 100 + 50 + i));
    ASSERT_TRUE(cluster.Start(2).ok());
    interrupted.Begin(cluster.node(2), interrupted.last + 1);
  }
  ASSERT_TRUE(cluster.RunUntil([&] { return interrupted.last == steady.last; }));
  EXPECT_EQ(interrupted.events, steady.events);
  EXPECT_EQ(steady.last, 161);
}

TEST(NodeWatchTest, AWriterIsAnsweredBeforeItsEventIsTold) {
  NodeCluster cluster(1, 3);
  cluster.StartAll();
  cluster.AwaitLeader();
  bool answered = false;
  bool told = false;
  WatchOptions options;
  options.key = "k";
  const auto watch = cluster.gate(0).watches().Watch(options, [&](const WatchNews&) {
    EXPECT_TRUE(answered);
    told = true;
  });
  cluster.Put(0, "k", "v", [&](server::ProposeResult) {
    EXPECT_FALSE(told);
    answered = true;
  });
  EXPECT_TRUE(cluster.RunUntil([&] { return told; }));
}

TEST(NodeWatchTest, TheHubIsShownInTheMetrics) {
  NodeCluster cluster(1, 3);
  cluster.StartAll();
  cluster.AwaitLeader();
  Watcher watcher;
  watcher.Begin(cluster.node(0), 0);
  cluster.PutAndWait(0, "k", "v");
  const std::string text = cluster.MetricsText(0);
  EXPECT_NE(text.find("etcd_debugging_mvcc_watcher_total 1\n"), std::string::npos);
  EXPECT_NE(text.find("etcd_debugging_mvcc_watch_stream_total 1\n"), std::string::npos);
  EXPECT_NE(text.find("etcd_debugging_mvcc_slow_watcher_total 0\n"), std::string::npos);
  EXPECT_NE(text.find("etcd_debugging_mvcc_pending_events_total 0\n"), std::string::npos);
  EXPECT_NE(text.find("etcd_debugging_mvcc_events_total 1\n"), std::string::npos);
  EXPECT_NE(text.find("gavel_watch_lag_revisions 0\n"), std::string::npos);
  // What only grows is a counter, and being asked twice adds nothing.
  EXPECT_NE(text.find("# TYPE etcd_debugging_mvcc_events_total counter\n"), std::string::npos);
  EXPECT_NE(text.find("# TYPE gavel_watch_sent_bytes_total counter\n"), std::string::npos);
  cluster.PutAndWait(0, "k", "v");
  const std::string later = cluster.MetricsText(0);
  EXPECT_NE(later.find("etcd_debugging_mvcc_events_total 2\n"), std::string::npos);
}

}  // namespace
}  // namespace gavel::testing
