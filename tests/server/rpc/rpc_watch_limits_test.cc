// What a client of the Watch service can make the member do or hold is bounded, and what it does
// not read is not lost.

#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "proto/etcdserverpb/watch.pb.h"
#include "server/rpc/error_map.h"
#include "tests/server/rpc/watch_caller.h"

namespace gavel::testing {
namespace {

using etcdserverpb::WatchResponse;
using mvccpb::Event;

class RpcWatchLimitsTest : public ::testing::Test {
 protected:
  void Put(const std::string& key, const std::string& value) { caller_.gate.Fill(key, value); }

  static void ExpectRefused(const WatchResponse& response, const std::string& reason) {
    EXPECT_EQ(response.watch_id(), -1);
    EXPECT_TRUE(response.created());
    EXPECT_TRUE(response.canceled());
    EXPECT_EQ(response.cancel_reason(), reason);
  }

  ServiceCaller caller_;
};

TEST_F(RpcWatchLimitsTest, ManyWatchesOnOneStreamAreAllServed) {
  WatchCaller watch(caller_);
  constexpr int kWatches = 100000;
  for (int i = 0; i < kWatches; ++i) watch.Create("k" + std::to_string(i % 1000));
  EXPECT_EQ(watch.Take().size(), static_cast<size_t>(kWatches));
  Put("k7", "x");
  std::set<int64_t> ids;
  for (const WatchResponse& response : watch.Take()) ids.insert(response.watch_id());
  EXPECT_EQ(ids.size(), 100u);
  EXPECT_EQ(*ids.rbegin() % 1000, 7);
  EXPECT_EQ(caller_.gate.watches().counts().watchers, static_cast<uint64_t>(kWatches));
  watch.handler->OnCancel();
  EXPECT_EQ(caller_.gate.watches().counts().watchers, 0u);
  EXPECT_EQ(caller_.gate.watches().counts().streams, 0u);
}

TEST_F(RpcWatchLimitsTest, BeyondALimitAWatchIsRefusedByItsName) {
  server::WatchLimits limits;
  limits.stream_watchers_max = 2;
  limits.watchers_max = 3;
  caller_.gate.SetWatchLimits(limits);
  WatchCaller first(caller_);
  WatchCaller second(caller_);
  for (int i = 0; i < 2; ++i) first.Create("a");
  first.Take();
  first.Create("a");
  ExpectRefused(first.TakeOne(), server::WatchRefusalText(server::WatchRefusal::kStreamLimit));
  second.Create("a");
  second.Take();
  second.Create("a");
  ExpectRefused(second.TakeOne(), server::WatchRefusalText(server::WatchRefusal::kTotalLimit));
  first.Cancel(0);
  second.Create("a");
  EXPECT_TRUE(second.TakeOne().created());
}

// Ids that are held cost memory, so they count.
TEST_F(RpcWatchLimitsTest, AWatchEndedByACompactionCountsUntilItIsCanceled) {
  server::WatchLimits limits;
  limits.stream_watchers_max = 1;
  caller_.gate.SetWatchLimits(limits);
  for (int i = 0; i < 3; ++i) Put("a", "v");
  caller_.gate.Compact(3);
  WatchCaller watch(caller_);
  watch.Create("a", "", 1);
  EXPECT_EQ(watch.Take().size(), 2u);
  watch.Create("a");
  ExpectRefused(watch.TakeOne(), server::WatchRefusalText(server::WatchRefusal::kStreamLimit));
  watch.Cancel(0);
  EXPECT_TRUE(watch.TakeOne().canceled());
  watch.Create("a");
  EXPECT_FALSE(watch.TakeOne().canceled());
}

// What a client does not read costs no memory, and nothing of it is lost: it falls behind, and
// reads on from history.
TEST_F(RpcWatchLimitsTest, AClientThatDoesNotReadFallsBehindAndMissesNothing) {
  WatchCaller watch(caller_, {}, /*high=*/10000);
  watch.Create("a");
  for (int i = 0; i < 1000; ++i) Put("a", std::string(1000, 'v'));
  size_t queued = 0;
  for (const std::string& message : watch.writer->messages) queued += message.size();
  EXPECT_LT(queued, 20000u);
  EXPECT_EQ(caller_.gate.watches().counts().catching_up, 1u);
  EXPECT_GT(caller_.gate.watches().counts().lag_revisions, 900);
  int64_t expected = 2;
  for (int rounds = 0; rounds < 1000 && expected < 1002; ++rounds) {
    for (const WatchResponse& response : watch.Take()) {
      for (const Event& event : response.events()) {
        ASSERT_EQ(event.kv().mod_revision(), expected++);
      }
    }
    watch.Drain();
  }
  EXPECT_EQ(expected, 1002);
  EXPECT_EQ(caller_.gate.watches().counts().catching_up, 0u);
  Put("a", "now");
  EXPECT_EQ(watch.TakeOne().events(0).kv().value(), "now");
}

TEST_F(RpcWatchLimitsTest, AClientThatReadsTooLateIsCanceledWithTheCompactedRevision) {
  server::WatchLimits limits;
  limits.recent_bytes_max = 0;
  caller_.gate.SetWatchLimits(limits);
  WatchCaller watch(caller_, {}, /*high=*/5000);
  watch.Create("a");
  for (int i = 0; i < 100; ++i) Put("a", std::string(1000, 'v'));
  caller_.gate.Compact(90);
  std::vector<WatchResponse> all;
  for (int rounds = 0; rounds < 100; ++rounds) {
    for (WatchResponse& response : watch.Take()) all.push_back(std::move(response));
    watch.Drain();
  }
  ASSERT_GT(all.size(), 2u);
  EXPECT_TRUE(all.back().canceled());
  EXPECT_EQ(all.back().compact_revision(), 90);
  int64_t last = 1;
  for (const WatchResponse& response : all) {
    for (const Event& event : response.events()) EXPECT_EQ(event.kv().mod_revision(), ++last);
  }
  EXPECT_LT(last, 90);
}

TEST_F(RpcWatchLimitsTest, AClientThatGoesLeavesNothingBehind) {
  {
    WatchCaller watch(caller_, {}, /*high=*/1000);
    watch.Create("a");
    for (int i = 0; i < 100; ++i) Put("a", std::string(1000, 'v'));
  }
  const server::WatchCounts counts = caller_.gate.watches().counts();
  EXPECT_EQ(counts.streams, 0u);
  EXPECT_EQ(counts.watchers, 0u);
  EXPECT_EQ(counts.pending_events, 0u);
  EXPECT_FALSE(caller_.gate.watches().wants_changes());
}

}  // namespace
}  // namespace gavel::testing
