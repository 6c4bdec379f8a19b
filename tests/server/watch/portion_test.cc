// A batch is cut into portions between revisions only, and nothing of it is lost.

#include "server/watch/portion.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "proto/mvccpb/kv.pb.h"
#include "raft/random.h"
#include "tests/storage/state/store.h"

namespace gavel::testing {
namespace {

using server::CutIntoPortions;
using server::Portion;
using storage::KeyChange;

KeyChange Change(int64_t main, int32_t sub, size_t bytes) {
  KeyChange change;
  change.id = {main, sub};
  change.key = "k";
  change.value.assign(bytes, 'v');
  return change;
}

TEST(PortionTest, PortionsAreOfWholeRevisionsWithoutGaps) {
  raft::Random random(1);
  for (int round = 0; round < 300; ++round) {
    std::vector<KeyChange> changes;
    int64_t main = 10;
    for (uint64_t n = random.Between(1, 30); n > 0; --n) {
      main += static_cast<int64_t>(random.Between(1, 3));
      for (int32_t sub = 0; sub <= static_cast<int32_t>(random.Below(4)); ++sub) {
        changes.push_back(Change(main, sub, random.Below(100)));
      }
    }
    const std::vector<KeyChange> all = changes;
    const size_t bytes_max = random.Between(1, 500);
    const auto revisions_max = static_cast<int64_t>(random.Between(1, 20));
    const int64_t last = main + static_cast<int64_t>(random.Below(2));
    const auto portions = CutIntoPortions(std::move(changes), 11, last, bytes_max, revisions_max);
    int64_t next = 11;
    size_t at = 0;
    for (const auto& portion : portions) {
      EXPECT_EQ(portion->first(), next);
      next = portion->last() + 1;
      ASSERT_FALSE(portion->changes().empty());
      size_t before_last_revision = 0;
      for (const KeyChange& change : portion->changes()) {
        ASSERT_EQ(change.id, all[at++].id);
        EXPECT_GE(change.id.main, portion->first());
        EXPECT_LE(change.id.main, portion->last());
        if (change.id.main != portion->changes().back().id.main) {
          before_last_revision += change.key.size() + change.value.size();
        }
      }
      EXPECT_LT(before_last_revision, bytes_max) << "cut too late";
    }
    EXPECT_EQ(next, last + 1);
    EXPECT_EQ(at, all.size());
  }
}

TEST(PortionTest, PreviousValuesAreReadAndThenKept) {
  Store store;
  store.Do(Put("a", "old"));  // 2
  store.Do(Put("a", "new"));  // 3
  KeyChange change;
  change.id = {3, 0};
  change.key = "a";
  change.create = 2;
  KeyChange created = change;
  created.id = {2, 0};
  const Portion portion({created, change}, 2, 3);
  ASSERT_TRUE(portion.LoadPrevious(0, *store.machine().view()).ok());
  EXPECT_EQ(portion.Previous(0), "");
  ASSERT_TRUE(portion.LoadPrevious(1, *store.machine().view()).ok());
  mvccpb::KeyValue previous;
  ASSERT_TRUE(previous.ParseFromString(std::string(portion.Previous(1))));
  EXPECT_EQ(previous.value(), "old");
  EXPECT_EQ(previous.mod_revision(), 2);
  // Whatever happens to the history meanwhile.
  store.Do(Compact(3));
  store.CollectAll();
  ASSERT_TRUE(portion.LoadPrevious(1, *store.machine().view()).ok());
  EXPECT_NE(portion.Previous(1), "");
  const Portion late({change}, 3, 3);
  ASSERT_TRUE(late.LoadPrevious(0, *store.machine().view()).ok());
  EXPECT_EQ(late.Previous(0), "") << "it is compacted";
}

}  // namespace
}  // namespace gavel::testing
