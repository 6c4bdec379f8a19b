// Progress is never ahead of events, and comes when nothing else does (E-14, E-16, E-23).

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "tests/server/watch/hub_world.h"

namespace gavel::testing {
namespace {

using server::kWholeStream;
using server::WatchId;
using server::WatchLimits;
using server::WatchOptions;
using storage::Revision;

using Progress = std::vector<std::pair<WatchId, Revision>>;

WatchOptions Watch(const std::string& key, Revision start = 0, bool progress = false) {
  WatchOptions options;
  options.key = key;
  options.start = start;
  options.progress = progress;
  return options;
}

WatchLimits EverySecond() {
  WatchLimits limits;
  limits.progress_interval = server::kNsPerSecond;
  limits.recent_bytes_max = 0;
  return limits;
}

TEST(HubProgressTest, ItStandsBehindTheEventsThatAreOnTheirWay) {
  HubWorld world;
  const auto executor = std::make_shared<HeldExecutor>();
  LoggedStream stream = world.Open(executor);
  stream.Create(Watch("a"));
  world.Put("a", "1");
  stream.stream->RequestProgress();
  world.Put("a", "2");
  while (executor->RunOne()) {
  }
  // The log would have failed, had it come too early.
  EXPECT_EQ(stream.log->progress(), (Progress{{kWholeStream, 2}}));
  EXPECT_EQ(stream.log->events(), 2u);
}

TEST(HubProgressTest, AStreamWithAWatcherThatCatchesUpIsAnsweredOnceItHas) {
  HubWorld world;
  for (int i = 0; i < 10; ++i) world.Put("a", "x");
  LoggedStream stream = world.Open();
  stream.Create(Watch("a"));
  stream.Create(Watch("a", 2));
  stream.stream->RequestProgress();
  stream.stream->RequestProgress();
  EXPECT_TRUE(stream.log->progress().empty());
  world.RunAllBackground();
  EXPECT_EQ(stream.log->progress(), (Progress{{kWholeStream, 11}}));
}

TEST(HubProgressTest, AWatcherThatIsCanceledIsWaitedForNoLonger) {
  HubWorld world;
  for (int i = 0; i < 10; ++i) world.Put("a", "x");
  LoggedStream stream = world.Open();
  stream.Create(Watch("a"));
  stream.Create(Watch("a", 2));
  stream.stream->RequestProgress();
  stream.Cancel(1);
  EXPECT_EQ(stream.log->progress(), (Progress{{kWholeStream, 11}}));
  stream.Create(Watch("a", 50));
  stream.Cancel(2);
  stream.stream->RequestProgress();
  EXPECT_EQ(stream.log->progress().size(), 2u);
}

TEST(HubProgressTest, ItIsNeverBeforeTheStart) {
  HubWorld world;
  LoggedStream stream = world.Open();
  stream.Create(Watch("a"));
  stream.Create(Watch("a", 3));
  stream.Create(Watch("a", 4));
  stream.stream->RequestProgress();
  world.Put("b", "1");
  stream.stream->RequestProgress();
  world.Put("b", "1");
  stream.stream->RequestProgress();
  EXPECT_TRUE(stream.log->progress().empty());
  world.Put("b", "1");
  stream.stream->RequestProgress();
  EXPECT_EQ(stream.log->progress(), (Progress{{kWholeStream, 4}}));
}

// Created at a revision that is published and not handed over yet.
TEST(HubProgressTest, ItIsNeverBeforeWhatTheWatchWasCreatedAt) {
  HubWorld world;
  LoggedStream stream = world.Open();
  stream.Create(Watch("b"));
  world.ApplyOnly({Put("a", "1")});
  stream.Create(Watch("a"));
  stream.stream->RequestProgress();
  EXPECT_TRUE(stream.log->progress().empty());
  world.HandOver();
  EXPECT_EQ(stream.log->progress(), (Progress{{kWholeStream, 2}}));
}

TEST(HubProgressTest, AStreamThatIsFullIsAnsweredOnceItHasReadAll) {
  HubWorld world;
  LoggedStream stream = world.Open(nullptr, /*room=*/10);
  stream.Create(Watch("a"));
  for (int i = 0; i < 5; ++i) world.Put("a", "xxxxxxxxxxxx");
  stream.stream->RequestProgress();
  EXPECT_TRUE(stream.log->progress().empty());
  for (int i = 0; i < 50; ++i) {
    stream.MakeRoom();
    world.RunAllBackground();
  }
  EXPECT_EQ(stream.log->events(), 5u);
  EXPECT_EQ(stream.log->progress(), (Progress{{kWholeStream, 6}}));
}

// The request was queued behind events that had to be skipped.
TEST(HubProgressTest, ItIsNotToldInPlaceOfEventsThatWereSkipped) {
  HubWorld world;
  const auto executor = std::make_shared<HeldExecutor>();
  LoggedStream stream = world.Open(executor, /*room=*/10);
  stream.Create(Watch("a"));
  for (int i = 0; i < 3; ++i) world.Put("a", "xxxxxxxxxxxx");
  stream.stream->RequestProgress();
  for (int i = 0; i < 50; ++i) {
    while (executor->RunOne()) {
    }
    EXPECT_TRUE(stream.log->progress().empty() || stream.log->events() == 3u);
    stream.MakeRoom();
    world.RunAllBackground();
  }
  EXPECT_EQ(stream.log->progress(), (Progress{{kWholeStream, 4}}));
}

TEST(HubProgressTest, InTimeItComesToQuietWatchersAlone) {
  HubWorld world(EverySecond());
  LoggedStream stream = world.Open();
  stream.Create(Watch("a", 0, true));    // 0
  stream.Create(Watch("b", 0, true));    // 1
  stream.Create(Watch("c"));             // 2: wants none.
  stream.Create(Watch("a", 100, true));  // 3: has not begun.
  world.PassTime(900 * server::kNsPerMs);
  EXPECT_TRUE(stream.log->progress().empty());
  world.Put("a", "1");
  world.PassTime(201 * server::kNsPerMs);
  EXPECT_EQ(stream.log->progress(), (Progress{{1, 2}}));
  world.PassTime(server::kNsPerSecond);
  EXPECT_EQ(stream.log->progress(), (Progress{{1, 2}, {0, 2}, {1, 2}}));
  stream.Cancel(0);
  world.PassTime(server::kNsPerSecond);
  EXPECT_EQ(stream.log->progress().size(), 4u);
}

TEST(HubProgressTest, InTimeItDoesNotComeToWhoIsBehind) {
  HubWorld world(EverySecond());
  LoggedStream stream = world.Open(nullptr, /*room=*/10);
  stream.Create(Watch("a", 0, true));
  for (int i = 0; i < 3; ++i) world.Put("a", "xxxxxxxxxxxxx");
  world.PassTime(3 * server::kNsPerSecond);
  EXPECT_TRUE(stream.log->progress().empty());
  for (int i = 0; i < 20; ++i) {
    stream.MakeRoom();
    world.RunAllBackground();
  }
  world.PassTime(3 * server::kNsPerSecond);
  EXPECT_FALSE(stream.log->progress().empty());
}

TEST(HubProgressTest, ManyWatchersAreToldInSteps) {
  HubWorld world(EverySecond());
  LoggedStream stream = world.Open();
  for (int i = 0; i < 5000; ++i) stream.Create(Watch("a", 0, true));
  world.PassTime(1100 * server::kNsPerMs + 1);
  EXPECT_EQ(stream.log->progress().size(), 5000u);
}

TEST(HubProgressTest, StreamsThatAreGoneAreForgotten) {
  HubWorld world(EverySecond());
  for (int i = 0; i < 10; ++i) {
    LoggedStream stream = world.Open();
    stream.Create(Watch("a", 0, true));
  }
  world.PassTime(5 * server::kNsPerSecond);
  LoggedStream stream = world.Open();
  stream.Create(Watch("a", 0, true));
  world.PassTime(2 * server::kNsPerSecond);
  EXPECT_FALSE(stream.log->progress().empty());
}

}  // namespace
}  // namespace gavel::testing
