// The index finds exactly those who watch a key, whatever ranges there are, and looks at few
// others.

#include "server/watch/watch_index.h"

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "raft/random.h"
#include "server/watch/range_tree.h"
#include "tests/storage/mvcc/random_requests.h"

namespace gavel::testing {
namespace {

using server::RangeTree;
using server::WatchIndex;
using server::WatchIndexEntry;
using storage::KeyRange;

struct Named : WatchIndexEntry {
  std::string key;
  std::string range_end;
  KeyRange range() const { return KeyRange::FromRequest(key, range_end); }
};

std::set<const Named*> Find(const WatchIndex& index, const std::string& key) {
  std::set<const Named*> found;
  index.ForEachMatch(key, [&](WatchIndexEntry& entry) {
    EXPECT_TRUE(found.insert(static_cast<const Named*>(&entry)).second) << "found twice";
  });
  return found;
}

TEST(WatchIndexTest, FindsWhatANaiveSearchFinds) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    RandomRequests requests(seed);
    raft::Random& random = requests.random();
    WatchIndex index;
    std::vector<std::unique_ptr<Named>> all;
    const uint64_t many = random.Between(3, 300);
    for (int round = 0; round < 2000; ++round) {
      if (all.size() < many && random.OneIn(2)) {
        auto entry = std::make_unique<Named>();
        entry->key = requests.Key();
        if (random.OneIn(2)) entry->range_end = requests.Key();
        if (random.OneIn(8)) entry->range_end = std::string("\0", 1);
        const KeyRange range = entry->range();
        if (!range.single && range.end && range.begin >= *range.end) continue;
        index.Add(range, *entry);
        all.push_back(std::move(entry));
      } else if (!all.empty() && random.OneIn(3)) {
        std::swap(all[random.Below(all.size())], all.back());
        index.Remove(*all.back());
        index.Remove(*all.back());  // Does nothing.
        all.pop_back();
      }
      ASSERT_EQ(index.size(), all.size());
      const std::string key = requests.Key();
      std::set<const Named*> expected;
      for (const auto& entry : all) {
        if (entry->range().Contains(key)) expected.insert(entry.get());
      }
      ASSERT_EQ(Find(index, key), expected);
    }
    for (const auto& entry : all) index.Remove(*entry);
    EXPECT_EQ(index.size(), 0u);
    EXPECT_TRUE(Find(index, requests.Key()).empty());
  }
}

// Whoever chooses the ranges and their order cannot make the tree deep.
TEST(RangeTreeTest, StaysFlatInAnyOrder) {
  for (const int order : {1, -1, 7919}) {
    RangeTree tree;
    std::vector<RangeTree::Node*> nodes;
    constexpr int kRanges = 10000;
    for (int i = 0; i < kRanges; ++i) {
      const int number = 100000 + (order < 0 ? kRanges - i : i * order % kRanges);
      const std::string end = std::to_string(number + 1);
      nodes.push_back(&tree.Find(std::to_string(number), std::string_view(end)));
    }
    EXPECT_EQ(tree.size(), static_cast<size_t>(kRanges));
    EXPECT_LE(tree.height(), 20);  // 1.44 * log2(10000)
    for (int i = 0; i < kRanges; i += 2) tree.Erase(*nodes[static_cast<size_t>(i)]);
    EXPECT_LE(tree.height(), 18);
    EXPECT_EQ(tree.size(), static_cast<size_t>(kRanges / 2));
  }
}

TEST(RangeTreeTest, ARangeIsThereOnceHoweverManyWatchIt) {
  RangeTree tree;
  RangeTree::Node& node = tree.Find("a", std::string_view("b"));
  EXPECT_EQ(&tree.Find("a", std::string_view("b")), &node);
  EXPECT_NE(&tree.Find("a", std::nullopt), &node);
  EXPECT_NE(&tree.Find("a", std::string_view("c")), &node);
  EXPECT_EQ(tree.size(), 3u);
}

}  // namespace
}  // namespace gavel::testing
