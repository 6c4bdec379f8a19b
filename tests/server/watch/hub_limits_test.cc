// What a client may make the hub hold is bounded by limits with names.

#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "tests/server/watch/hub_world.h"

namespace gavel::testing {
namespace {

using server::WatchLimits;
using server::WatchOptions;
using server::WatchRefusal;

WatchOptions Watch(const std::string& key, storage::Revision start = 0) {
  WatchOptions options;
  options.key = key;
  options.start = start;
  return options;
}

TEST(HubLimitsTest, WatchersOfAStreamAndInAll) {
  WatchLimits limits;
  limits.stream_watchers_max = 3;
  limits.watchers_max = 5;
  HubWorld world(limits);
  LoggedStream first = world.Open();
  LoggedStream second = world.Open();
  for (int i = 0; i < 4; ++i) first.Create(Watch("a"));
  for (int i = 0; i < 3; ++i) second.Create(Watch("a"));
  EXPECT_EQ(first.log->refused(), (std::vector<WatchRefusal>{WatchRefusal::kStreamLimit}));
  EXPECT_EQ(second.log->refused(), (std::vector<WatchRefusal>{WatchRefusal::kTotalLimit}));
  first.Cancel(1);
  second.Create(Watch("a"));
  EXPECT_EQ(second.log->watchers().size(), 3u);
  EXPECT_EQ(world.hub->counts().watchers, 5u);
}

// What watchers name is kept for them, however many they are.
TEST(HubLimitsTest, KeysOfAllWatchersTogether) {
  WatchLimits limits;
  limits.watcher_key_bytes_max = 10000;
  HubWorld world(limits);
  LoggedStream stream = world.Open();
  for (int i = 0; i < 4; ++i) stream.Create(Watch(std::string(3000, 'k')));
  EXPECT_EQ(stream.log->refused(), (std::vector<WatchRefusal>{WatchRefusal::kTotalLimit}));
  stream.Create(Watch("short"));
  EXPECT_EQ(stream.log->watchers().size(), 4u);
  stream.Cancel(0);
  stream.Create(Watch(std::string(3000, 'k')));
  EXPECT_EQ(stream.log->watchers().size(), 4u);
  EXPECT_EQ(stream.log->refused().size(), 1u);
}

// Many watchers of one stream that all want a large batch: it comes in pieces, so that the stream
// can be full in between.
TEST(HubLimitsTest, ABatchThatIsLargeForAStreamComesInPieces) {
  WatchLimits limits;
  limits.stream_portion_bytes_max = 10000;
  limits.catch_up_bytes = 5000;
  HubWorld world(limits);
  LoggedStream stream = world.Open(nullptr, /*room=*/20000);
  for (int i = 0; i < 50; ++i) stream.Create(Watch("a"));
  std::vector<internal::Command> puts;
  for (int i = 0; i < 20; ++i) puts.push_back(Put("a", std::string(100, 'v')));
  world.Apply(puts);
  EXPECT_EQ(stream.log->events(), 0u);
  world.RunAllBackground();
  // Not all 1000 of them at once.
  EXPECT_GT(stream.log->events(), 50u);
  EXPECT_LT(stream.log->events(), 500u);
  for (int i = 0; i < 50; ++i) {
    stream.MakeRoom();
    world.RunAllBackground();
  }
  stream.log->ExpectComplete();
  EXPECT_EQ(stream.log->events(), 1000u);
}

// Apply's own thread and the I/O threads read few previous values; what is more is read in the
// background.
TEST(HubLimitsTest, ManyPreviousValuesAreReadInTheBackground) {
  HubWorld world;
  for (int i = 0; i < 200; ++i) world.Put("k" + std::to_string(i), "old");
  LoggedStream stream = world.Open();
  WatchOptions options = Watch("k");
  options.range_end = "l";
  options.prev_kv = true;
  stream.Create(options);
  std::vector<internal::Command> puts;
  for (int i = 0; i < 200; ++i) puts.push_back(Put("k" + std::to_string(i), "new"));
  world.Apply(puts);
  EXPECT_EQ(stream.log->events(), 0u);
  world.RunAllBackground();
  EXPECT_EQ(stream.log->events(), 200u);
  world.Put("k1", "newer");
  EXPECT_EQ(stream.log->events(), 201u);
}

// A revision of any size is whole, also where it is read in steps.
TEST(HubLimitsTest, AHugeRevisionIsOneResponseFromApplyAndFromHistory) {
  WatchLimits limits;
  limits.catch_up_rows = 16;
  limits.catch_up_bytes = 1000;
  limits.recent_bytes_max = 0;
  HubWorld world(limits);
  for (int i = 0; i < 3000; ++i) world.Put("k" + std::to_string(i), "x");
  LoggedStream stream = world.Open();
  WatchOptions options = Watch("k");
  options.range_end = "l";
  stream.Create(options);
  world.Apply({Delete("k", "l")});
  EXPECT_EQ(stream.log->watchers().at(0).responses, 1u);
  EXPECT_EQ(stream.log->events(), 3000u);
  options.start = world.revision();
  stream.Create(options);
  world.RunAllBackground();
  EXPECT_EQ(stream.log->watchers().at(1).responses, 1u);
  EXPECT_EQ(stream.log->events(), 6000u);
}

// No step does more than so much, however long the history is.
TEST(HubLimitsTest, HistoryIsReadInBoundedSteps) {
  WatchLimits limits;
  limits.catch_up_rows = 100;
  limits.recent_bytes_max = 0;
  HubWorld world(limits);
  for (int i = 0; i < 5000; ++i) world.Put(i == 2500 ? "b" : "a", "x");
  LoggedStream stream = world.Open();
  stream.Create(Watch("b", 1));
  int steps = 0;
  while (world.RunBackground()) ++steps;
  EXPECT_GE(steps, 50);
  EXPECT_EQ(stream.log->events(), 1u);
}

}  // namespace
}  // namespace gavel::testing
