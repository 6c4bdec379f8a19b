// History reads back as it was told when it was made, from anywhere, in steps of any size.

#include "storage/mvcc/change_scan.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "tests/storage/mvcc/random_requests.h"
#include "tests/storage/state/store.h"

namespace gavel::testing {
namespace {

using storage::ChangeId;
using storage::ChangeScan;
using storage::KeyChange;
using storage::Revision;
using storage::ScanBudget;

// A store whose changes are kept as they are told.
class ToldStore {
 public:
  explicit ToldStore(uint64_t seed) : requests_(seed) {
    for (const int64_t lease : RandomRequests::kLeases) store.AddLease(lease);
  }

  void Step() {
    const Revision newest = store.machine().view()->revision;
    std::vector<raft::Entry> entries;
    for (uint64_t n = requests_.random().Between(1, 3); n > 0; --n) {
      entries.push_back(CommandEntry(store.machine().applied().value() + 1 + entries.size(),
                                     requests_.Command(newest, /*compactions=*/true)));
    }
    auto result = store.machine().Apply(entries, {raft::NodeId(1), raft::Incarnation(1), true});
    ASSERT_TRUE(result.ok());
    told.insert(told.end(), result->changes.begin(), result->changes.end());
  }

  // What is told of revisions from `from` to `through`.
  std::vector<KeyChange> Expected(ChangeId from, Revision through) const {
    std::vector<KeyChange> expected;
    for (const KeyChange& change : told) {
      if (change.id >= from && change.id.main <= through) expected.push_back(change);
    }
    return expected;
  }

  raft::Random& random() { return requests_.random(); }

  Store store;
  std::vector<KeyChange> told;

 private:
  RandomRequests requests_;
};

std::vector<KeyChange> Read(const storage::Engine& engine, ChangeId from, Revision through,
                            raft::Random& random) {
  std::vector<KeyChange> changes;
  while (true) {
    // Each step begins anew, as it would if another thread went on.
    ChangeScan scan(engine, from, through);
    ScanBudget budget{static_cast<int64_t>(random.Between(1, 9)), 1000000};
    ChangeScan::Result result = scan.Next(budget);
    for (; result == ChangeScan::Result::kRow; result = scan.Next(budget)) {
      KeyChange change;
      change.id = scan.id();
      change.tombstone = scan.tombstone();
      change.key = scan.user_key();
      if (!change.tombstone) {
        const absl::Status read = storage::ReadChangedValue(engine, &change);
        EXPECT_TRUE(read.ok()) << read;
      }
      changes.push_back(std::move(change));
    }
    from = scan.position();
    if (result == ChangeScan::Result::kBudget) continue;
    EXPECT_EQ(result, ChangeScan::Result::kEnd) << scan.status();
    return changes;
  }
}

void ExpectSame(const std::vector<KeyChange>& actual, const std::vector<KeyChange>& expected) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i) {
    ASSERT_EQ(actual[i].id, expected[i].id);
    EXPECT_EQ(actual[i].key, expected[i].key);
    ASSERT_EQ(actual[i].tombstone, expected[i].tombstone);
    if (actual[i].tombstone) continue;
    EXPECT_EQ(actual[i].value, expected[i].value);
    EXPECT_EQ(actual[i].create, expected[i].create);
    EXPECT_EQ(actual[i].version, expected[i].version);
    EXPECT_EQ(actual[i].lease, expected[i].lease);
  }
}

TEST(ChangeScanTest, ReadsWhatWasToldWhateverHasBeenCollected) {
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    SCOPED_TRACE(seed);
    ToldStore told(seed);
    for (int round = 0; round < 120; ++round) {
      told.Step();
      if (told.random().OneIn(4)) told.store.CollectStep(5);
      const auto view = told.store.machine().view();
      // At the compacted revision everything is still there.
      const Revision oldest = std::max<Revision>(view->compacted, 0);
      const Revision main = oldest + static_cast<Revision>(told.random().Below(
                                         static_cast<uint64_t>(view->revision - oldest + 1)));
      const ChangeId from{main, static_cast<int32_t>(told.random().Below(2))};
      const Revision through =
          std::max<Revision>(0, view->revision - static_cast<Revision>(told.random().Below(4)));
      ExpectSame(Read(*told.store.engine(), from, through, told.random()),
                 told.Expected(from, through));
    }
  }
}

TEST(ChangeScanTest, AValueThatWasCollectedIsNotFound) {
  Store store;
  store.Do(Put("a", "1"));  // 2
  store.Do(Put("a", "2"));  // 3
  KeyChange change;
  change.id = {2, 0};
  change.key = "a";
  ASSERT_TRUE(storage::ReadChangedValue(*store.engine(), &change).ok());
  EXPECT_EQ(change.value, "1");
  store.Do(Compact(3));
  store.CollectAll();
  EXPECT_TRUE(absl::IsNotFound(storage::ReadChangedValue(*store.engine(), &change)));
}

TEST(PreviousValueTest, IsTheNewestBeforeTheRevisionUnlessThatIsCompacted) {
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    SCOPED_TRACE(seed);
    ToldStore told(seed);
    for (int round = 0; round < 100; ++round) {
      told.Step();
      if (told.random().OneIn(4)) told.store.CollectStep(5);
      if (told.told.empty()) continue;
      const KeyChange& change = told.told[told.random().Below(told.told.size())];
      std::optional<KeyChange> expected;
      for (const KeyChange& before : told.told) {
        if (before.key != change.key || before.id.main >= change.id.main) continue;
        expected.reset();
        if (!before.tombstone) expected = before;
      }
      const auto view = told.store.machine().view();
      if (view->compacted > change.id.main - 1) expected.reset();
      KeyChange previous;
      const auto found = storage::ReadPreviousValue(*view, change.key, change.id.main, &previous);
      ASSERT_TRUE(found.ok()) << found.status();
      ASSERT_EQ(*found, expected.has_value());
      if (expected) ExpectSame({previous}, {*expected});
    }
  }
}

}  // namespace
}  // namespace gavel::testing
