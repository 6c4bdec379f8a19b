// The hub's rules one by one: where a watch begins, what is shared, who falls behind and how they
// come back.

#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "tests/server/watch/hub_world.h"

namespace gavel::testing {
namespace {

using server::WatchId;
using server::WatchLimits;
using server::WatchOptions;
using storage::Revision;

const std::string kAll("\0", 1);

WatchOptions Watch(const std::string& key, Revision start = 0) {
  WatchOptions options;
  options.key = key;
  options.start = start;
  return options;
}

WatchOptions WatchAll(Revision start = 0) {
  WatchOptions options = Watch(kAll, start);
  options.range_end = kAll;
  return options;
}

TEST(HubTest, ChangesAreAskedForOnlyWhileSomebodyWatches) {
  HubWorld world;
  EXPECT_FALSE(world.hub->wants_changes());
  LoggedStream stream = world.Open();
  EXPECT_FALSE(world.hub->wants_changes());
  stream.Create(Watch("a"));
  EXPECT_TRUE(world.hub->wants_changes());
  stream.Cancel(0);
  EXPECT_FALSE(world.hub->wants_changes());
}

// Apply asked, then the watcher came, then the batch was handed over without its changes.
TEST(HubTest, AWatcherThatComesDuringABatchReadsItFromHistory) {
  HubWorld world;
  LoggedStream stream = world.Open();
  world.ApplyOnly({Put("a", "1")});
  // Of a revision that is published, but of which the hub knows nothing.
  stream.Create(Watch("a", 2));
  world.HandOver();
  world.RunAllBackground();
  EXPECT_EQ(stream.log->events(), 1u);
  stream.log->ExpectComplete();
}

TEST(HubTest, AWatcherFromNowBeginsAfterWhatIsPublished) {
  HubWorld world;
  LoggedStream stream = world.Open();
  stream.Create(Watch("b"));  // So that changes are asked for.
  world.ApplyOnly({Put("a", "1")});
  stream.Create(Watch("a"));
  world.HandOver();
  EXPECT_EQ(stream.log->events(), 0u);
  world.Put("a", "2");
  EXPECT_EQ(stream.log->events(), 1u);
  stream.log->ExpectComplete();
}

TEST(HubTest, ABatchOfManyRevisionsIsOneResponse) {
  HubWorld world;
  LoggedStream stream = world.Open();
  stream.Create(Watch("a"));
  world.Apply({Put("a", "1"), Put("b", "1"), Put("a", "2"), Put("a", "3")});
  EXPECT_EQ(stream.log->events(), 3u);
  EXPECT_EQ(stream.log->watchers().at(0).responses, 1u);
}

// A sink that keeps where the bytes were.
class Addresses final : public server::WatchSink {
 public:
  void OnCreated(WatchId, Revision) override {}
  void OnRefused(server::WatchRefusal, Revision) override {}
  server::WatchSent OnEvents(const server::WatchDelivery& delivery) override {
    for (const server::WatchPart& part : delivery.parts) {
      delivery.batch.ForEachRun(part, [&](uint32_t begin, uint32_t end) {
        bytes.push_back(delivery.batch.Events(false)->Get(begin, end).data());
      });
    }
    return {};
  }
  void OnCanceled(WatchId, Revision) override {}
  void OnCompacted(WatchId, Revision) override {}
  void OnProgress(WatchId, Revision) override {}
  void OnFailed(const absl::Status&) override {}

  std::vector<const void*> bytes;
};

TEST(HubTest, AnEventIsEncodedOnceForAllWhoWatchIt) {
  HubWorld world;
  const auto one = std::make_shared<Addresses>();
  const auto other = std::make_shared<Addresses>();
  const auto executor = std::make_shared<HeldExecutor>();
  const auto first = world.hub->Open(one, executor);
  const auto second = world.hub->Open(other, executor);
  first->Create(Watch("a"));
  first->Create(WatchAll());
  second->Create(Watch("a"));
  world.Put("a", "1");
  while (executor->RunOne()) {
  }
  ASSERT_EQ(one->bytes.size(), 2u);
  ASSERT_EQ(other->bytes.size(), 1u);
  EXPECT_EQ(one->bytes[0], one->bytes[1]);
  EXPECT_EQ(one->bytes[0], other->bytes[0]);
}

TEST(HubTest, ABatchIsOneTaskForAnExecutorHoweverManyStreamsItHas) {
  HubWorld world;
  const auto executor = std::make_shared<HeldExecutor>();
  std::vector<LoggedStream> streams;
  for (int i = 0; i < 50; ++i) {
    streams.push_back(world.Open(executor));
    for (int j = 0; j < 3; ++j) streams.back().Create(Watch("a"));
  }
  while (executor->RunOne()) {
  }
  world.Put("a", "1");
  EXPECT_TRUE(executor->RunOne());
  EXPECT_FALSE(executor->RunOne());
  for (const LoggedStream& stream : streams) EXPECT_EQ(stream.log->events(), 3u);
  // What comes before the task has run joins it.
  for (int i = 0; i < 10; ++i) world.Put("a", "2");
  EXPECT_TRUE(executor->RunOne());
  EXPECT_FALSE(executor->RunOne());
  for (const LoggedStream& stream : streams) EXPECT_EQ(stream.log->events(), 33u);
}

TEST(HubTest, AStreamThatIsFullHoldsNobodyUp) {
  HubWorld world;
  LoggedStream slow = world.Open(nullptr, /*room=*/100);
  LoggedStream fast = world.Open();
  slow.Create(Watch("a"));
  fast.Create(Watch("a"));
  for (int i = 0; i < 100; ++i) world.Put("a", std::string(50, 'v'));
  EXPECT_EQ(fast.log->events(), 100u);
  EXPECT_LT(slow.log->events(), 5u);
  EXPECT_EQ(world.hub->counts().catching_up, 1u);
  for (int i = 0; i < 200 && !slow.log->complete(); ++i) {
    slow.MakeRoom();
    world.RunAllBackground();
  }
  slow.log->ExpectComplete();
  EXPECT_EQ(world.hub->counts().catching_up, 0u);
  // A watcher that begins in the past waits for no room of others.
  fast.Create(Watch("a", 1));
  world.RunAllBackground();
  fast.log->ExpectComplete();
}

// Nothing of a batch stays in memory for a stream that does not read.
TEST(HubTest, WhatIsNotDeliveredIsBoundedAndReadAgain) {
  WatchLimits limits;
  limits.undelivered_bytes_max = 10000;
  limits.recent_bytes_max = 0;
  HubWorld world(limits);
  const auto executor = std::make_shared<HeldExecutor>();
  LoggedStream stream = world.Open(executor);
  stream.Create(Watch("a"));
  for (int i = 0; i < 1000; ++i) world.Put("a", std::string(100, 'v'));
  EXPECT_LT(world.hub->counts().pending_events, 100u);
  EXPECT_EQ(stream.log->events(), 0u);
  for (int i = 0; i < 1000 && !stream.log->complete(); ++i) {
    executor->RunOne();
    world.RunBackground();
  }
  stream.log->ExpectComplete();
  EXPECT_EQ(stream.log->events(), 1000u);
}

// However fast apply goes on, a walk arrives.
TEST(HubTest, AWatcherCatchesUpWhileApplyGoesOn) {
  HubWorld world;
  for (int i = 0; i < 500; ++i) world.Put("a", "old");
  LoggedStream stream = world.Open();
  stream.Create(Watch("a", 2));
  int rounds = 0;
  for (; world.hub->counts().catching_up > 0 && rounds < 100; ++rounds) {
    world.Apply({Put("a", "1"), Put("a", "2"), Put("a", "3")});
    world.RunBackground();
    world.Apply({Put("a", "4")});
  }
  EXPECT_LT(rounds, 100);
  world.Put("a", "last");
  stream.log->ExpectComplete();
}

// Those who come later, and want to see older history, cannot keep the others from arriving.
TEST(HubTest, NewcomersDoNotKeepOthersFromCatchingUp) {
  WatchLimits limits;
  limits.catch_up_rows = 10;
  limits.recent_bytes_max = 0;
  HubWorld world(limits);
  for (int i = 0; i < 100; ++i) world.Put("a", "x");
  LoggedStream stream = world.Open();
  stream.Create(Watch("a", 60));
  for (int rounds = 0; rounds < 1000; ++rounds) {
    WatchOptions late = Watch("a", 2);
    late.id = 1000 + rounds;
    stream.Create(late);
    world.RunBackground();
    if (stream.log->watchers().at(0).events == 42) return;
  }
  FAIL() << "it was told of " << stream.log->watchers().at(0).events;
}

// E-15, E-16, E-20: the state is replaced by a newer one.
TEST(HubTest, AfterAnInstallEveryoneCatchesUpOnTheNewState) {
  HubWorld world;
  LoggedStream stream = world.Open();
  stream.Create(Watch("a"));       // 0
  stream.Create(Watch("a", 9));    // 1: the future.
  stream.Create(Watch("a", 100));  // 2: the future still.
  LoggedStream full = world.Open(nullptr, /*room=*/1);
  full.Create(Watch("a"));
  world.Put("a", "1");  // 2
  world.Put("a", "2");  // 3: skipped by the one that is full.
  // As if another member had sent it.
  for (int i = 0; i < 8; ++i) world.ApplyOnly({Put("a", "new")});  // 4 to 11
  world.hub->OnInstalled(*world.store.machine_view());
  world.RunAllBackground();
  stream.log->ExpectComplete();
  EXPECT_EQ(stream.log->watchers().at(0).events, 10u);
  EXPECT_EQ(stream.log->watchers().at(1).events, 3u);
  EXPECT_EQ(stream.log->watchers().at(2).events, 0u);
  // Below the new compacted revision: canceled, and never resumed in silence.
  world.ApplyOnly({Compact(11)});
  world.hub->OnInstalled(*world.store.machine_view());
  full.MakeRoom();
  world.RunAllBackground();
  ASSERT_EQ(full.log->compacted().size(), 1u);
  EXPECT_EQ(full.log->compacted()[0].second, 11);
  stream.log->ExpectComplete();
}

// The newest changes are kept in memory, with what has been read for others.
TEST(HubTest, WhatIsCompactedIsNoPreviousValueEvenIfItIsStillKnown) {
  HubWorld world;
  WatchOptions options = Watch("a");
  options.prev_kv = true;
  LoggedStream before = world.Open();
  before.Create(options);
  world.Put("a", "1");  // 2
  world.Put("a", "2");  // 3
  world.Apply({Compact(3)});
  options.start = 3;
  LoggedStream after = world.Open();
  after.Create(options);
  world.RunAllBackground();
  world.Put("a", "3");  // 4: here it is not.
  before.log->ExpectComplete();
  after.log->ExpectComplete();
  EXPECT_EQ(after.log->events(), 2u);
}

TEST(HubTest, AReadThatFailsEndsTheStream) {
  HubWorld world;
  for (int i = 0; i < 10; ++i) world.Put("a", "x");
  // A row that is damaged.
  storage::WriteBatch batch;
  batch.Put(storage::Family::kChanges, storage::ChangeKey({5, 0}), "nonsense");
  ASSERT_TRUE(world.store.engine()->Write(batch).ok());
  LoggedStream stream = world.Open();
  LoggedStream other = world.Open();
  stream.Create(Watch("a", 2));
  other.Create(Watch("a"));
  world.RunAllBackground();
  ASSERT_EQ(stream.log->failures().size(), 1u);
  EXPECT_TRUE(absl::IsDataLoss(stream.log->failures()[0]));
  world.Put("a", "y");
  EXPECT_EQ(stream.log->events(), 0u);
  EXPECT_EQ(other.log->events(), 1u);
}

TEST(HubTest, AClosedStreamIsToldNothingMore) {
  HubWorld world;
  const auto executor = std::make_shared<HeldExecutor>();
  LoggedStream stream = world.Open(executor);
  stream.Create(Watch("a"));
  while (executor->RunOne()) {
  }
  world.Put("a", "1");
  const std::shared_ptr<WatchLog> log = stream.log;
  stream.stream.reset();
  while (executor->RunOne()) {
  }
  EXPECT_EQ(log->events(), 0u);
  EXPECT_EQ(world.hub->counts().pending_events, 0u);
}

TEST(HubTest, AStreamMayOutliveTheHub) {
  HubWorld world;
  LoggedStream stream = world.Open();
  stream.Create(Watch("a"));
  world.hub.reset();
  stream.stream->Cancel(0);
  stream.stream->RequestProgress();
  stream.stream->OnWritable();
  stream.stream.reset();
  EXPECT_TRUE(stream.log->canceled().empty());
}

// Many watchers of one stream, so that it is closed in the background.
TEST(HubTest, AStreamOfManyWatchersIsClosedInSteps) {
  HubWorld world;
  {
    LoggedStream stream = world.Open();
    for (int i = 0; i < 20000; ++i) {
      stream.Create(Watch("k" + std::to_string(i)));
    }
  }
  EXPECT_EQ(world.hub->counts().streams, 0u);
  EXPECT_GT(world.hub->counts().watchers, 0u);
  world.Put("k1", "x");
  world.RunAllBackground();
  EXPECT_EQ(world.hub->counts().watchers, 0u);
}

}  // namespace
}  // namespace gavel::testing
