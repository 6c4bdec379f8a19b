// In-process watchers: told as things happen, from any start, until they go.

#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "tests/server/watch/hub_world.h"

namespace gavel::testing {
namespace {

using server::WatchNews;
using server::WatchOptions;

struct Kept {
  std::vector<std::string> events;
  storage::Revision revision = 0;
  storage::Revision compacted = -1;
  absl::Status failure;
  bool refused = false;

  server::WatchHub::Tell Tell() {
    return [this](const WatchNews& news) {
      for (const storage::KeyChange* change : news.changes) {
        events.push_back((change->tombstone ? "-" : "+") + change->key + change->value);
      }
      if (news.compacted >= 0) compacted = news.compacted;
      if (!news.failure.ok()) failure = news.failure;
      if (news.refused) refused = true;
      revision = std::max(revision, news.revision);
    };
  }
};

WatchOptions Prefix(const std::string& prefix, storage::Revision start = 0) {
  WatchOptions options;
  options.key = prefix;
  options.range_end = prefix;
  ++options.range_end.back();
  options.start = start;
  return options;
}

TEST(HubLocalTest, IsToldOfWhatItWatches) {
  HubWorld world;
  Kept kept;
  const auto watch = world.hub->Watch(Prefix("lock/"), kept.Tell());
  world.Put("lock/a", "1");
  world.Put("other", "1");
  world.Apply({Delete("lock/a")});
  EXPECT_EQ(kept.events, (std::vector<std::string>{"+lock/a1", "-lock/a"}));
  EXPECT_EQ(kept.revision, 4);
}

TEST(HubLocalTest, BeginsInThePastIfItIsAsked) {
  HubWorld world;
  for (int i = 0; i < 5; ++i) world.Put("lock/a", std::to_string(i));
  Kept kept;
  WatchOptions options = Prefix("lock/", 4);
  options.no_delete = true;
  const auto watch = world.hub->Watch(options, kept.Tell());
  world.RunAllBackground();
  world.Apply({Delete("lock/a")});
  world.Put("lock/b", "");
  EXPECT_EQ(kept.events, (std::vector<std::string>{"+lock/a2", "+lock/a3", "+lock/a4", "+lock/b"}));
}

TEST(HubLocalTest, IsToldThatThereAreTooMany) {
  server::WatchLimits limits;
  limits.watchers_max = 1;
  HubWorld world(limits);
  Kept first;
  Kept second;
  const auto watch = world.hub->Watch(Prefix("a"), first.Tell());
  const auto refused = world.hub->Watch(Prefix("a"), second.Tell());
  world.Put("a", "1");
  EXPECT_FALSE(first.refused);
  EXPECT_EQ(first.events, (std::vector<std::string>{"+a1"}));
  EXPECT_TRUE(second.refused);
  EXPECT_TRUE(second.events.empty());
}

TEST(HubLocalTest, IsToldThatItsHistoryIsGone) {
  HubWorld world;
  for (int i = 0; i < 5; ++i) world.Put("a", std::to_string(i));
  world.Apply({Compact(5)});
  Kept kept;
  const auto watch = world.hub->Watch(Prefix("a", 3), kept.Tell());
  world.RunAllBackground();
  EXPECT_EQ(kept.compacted, 5);
  EXPECT_TRUE(kept.events.empty());
}

TEST(HubLocalTest, IsToldOnItsExecutor) {
  HubWorld world;
  Kept kept;
  const auto executor = std::make_shared<HeldExecutor>();
  const auto watch = world.hub->Watch(Prefix("a"), kept.Tell(), executor);
  world.Put("a", "1");
  EXPECT_TRUE(kept.events.empty());
  while (executor->RunOne()) {
  }
  EXPECT_EQ(kept.events.size(), 1u);
}

TEST(HubLocalTest, IsToldNothingOnceItIsGone) {
  HubWorld world;
  Kept kept;
  const auto executor = std::make_shared<HeldExecutor>();
  auto watch = world.hub->Watch(Prefix("a"), kept.Tell(), executor);
  world.Put("a", "1");
  watch.reset();
  world.Put("a", "2");
  while (executor->RunOne()) {
  }
  EXPECT_TRUE(kept.events.empty());
  EXPECT_EQ(world.hub->counts().watchers, 0u);
}

// As a lock does that has been granted.
TEST(HubLocalTest, MayGoFromWithinItsOwnCall) {
  HubWorld world;
  int calls = 0;
  std::unique_ptr<server::LocalWatch> watch;
  watch = world.hub->Watch(Prefix("a"), [&](const WatchNews&) {
    ++calls;
    watch.reset();
  });
  world.Apply({Put("a", "1"), Put("a", "2")});
  world.Put("a", "3");
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(world.hub->counts().watchers, 0u);
}

// As a queue of locks does: each that goes wakes the next, which watches another key.
TEST(HubLocalTest, MayBeginAnotherFromWithinItsOwnCall) {
  HubWorld world;
  std::vector<std::unique_ptr<server::LocalWatch>> watches;
  std::vector<std::string> seen;
  std::function<void(const std::string&)> watch_for = [&](const std::string& key) {
    WatchOptions options;
    options.key = key;
    watches.push_back(world.hub->Watch(options, [&, key](const WatchNews&) {
      seen.push_back(key);
      if (key.size() < 4) watch_for(key + "x");
    }));
  };
  watch_for("x");
  for (const char* key : {"x", "xx", "xxx", "xxxx"}) world.Put(key, "");
  EXPECT_EQ(seen, (std::vector<std::string>{"x", "xx", "xxx", "xxxx"}));
}

}  // namespace
}  // namespace gavel::testing
