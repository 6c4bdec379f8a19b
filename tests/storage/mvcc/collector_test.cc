// The collector: what it deletes and what it must not, in steps of any size, over crashes.

#include "storage/mvcc/collector.h"

#include "gtest/gtest.h"

#include "storage/engine/map_engine.h"
#include "storage/mvcc/key_codec.h"
#include "tests/storage/mvcc/random_requests.h"
#include "tests/storage/state/store.h"

namespace gavel::testing {
namespace {

using Rows = std::set<Model::Row>;

TEST(CollectorTest, KeepsTheNewestVersionAtOrBelowTheCompactedRevision) {
  Store store;
  store.Do(Put("a", "1"));  // 2
  store.Do(Put("a", "2"));  // 3
  store.Do(Put("b", "1"));  // 4
  store.Do(Put("a", "3"));  // 5
  store.Do(Compact(4));
  store.CollectAll();
  EXPECT_EQ(StoredVersions(*store.engine()), (Rows{{"a", 3, 0}, {"b", 4, 0}, {"a", 5, 0}}));
  EXPECT_EQ(StoredChanges(*store.engine()), (Rows{{"b", 4, 0}, {"a", 5, 0}}));
  EXPECT_EQ(store.collector().collected(), 4);
}

TEST(CollectorTest, ATombstoneBelowTheCompactedRevisionGoes) {
  Store store;
  store.Do(Put("a", "1"));  // 2
  store.Do(Delete("a"));    // 3
  store.Do(Put("b", "1"));  // 4
  store.Do(Compact(4));
  store.CollectAll();
  EXPECT_EQ(StoredVersions(*store.engine()), (Rows{{"b", 4, 0}}));
}

// A watch that starts at the compacted revision must still see the deletion.
TEST(CollectorTest, ATombstoneAtTheCompactedRevisionStaysUntilTheNext) {
  Store store;
  store.Do(Put("a", "1"));  // 2
  store.Do(Delete("a"));    // 3
  store.Do(Put("b", "1"));  // 4
  store.Do(Compact(3));
  store.CollectAll(1);
  EXPECT_EQ(StoredVersions(*store.engine()), (Rows{{"a", 3, 0}, {"b", 4, 0}}));
  EXPECT_EQ(StoredChanges(*store.engine()), (Rows{{"a", 3, 0}, {"b", 4, 0}}));
  store.Do(Compact(4));
  store.CollectAll(1);
  EXPECT_EQ(StoredVersions(*store.engine()), (Rows{{"b", 4, 0}}));
}

// Sibling transactions may put and delete one key in one revision: two events, both kept at the
// compacted revision, both gone after the next.
TEST(CollectorTest, APutAndADeletionInOneRevisionStayTogether) {
  Store store;
  internal::Command command;
  auto* txn = command.mutable_txn();
  *txn->add_success()->mutable_request_txn()->add_success()->mutable_request_put() =
      Put("a", "1").put();
  *txn->add_success()->mutable_request_txn()->add_success()->mutable_request_delete_range() =
      Delete("a").delete_range();
  store.Do(command);        // 2
  store.Do(Put("b", "1"));  // 3
  store.Do(Compact(2));
  store.CollectAll(1);
  EXPECT_EQ(StoredVersions(*store.engine()), (Rows{{"a", 2, 0}, {"a", 2, 1}, {"b", 3, 0}}));
  store.Do(Compact(3));
  store.CollectAll(1);
  EXPECT_EQ(StoredVersions(*store.engine()), (Rows{{"b", 3, 0}}));
}

TEST(CollectorTest, ARecreatedKeyKeepsOnlyItsNewLife) {
  Store store;
  store.Do(Put("a", "1"));  // 2
  store.Do(Delete("a"));    // 3
  store.Do(Put("a", "2"));  // 4
  store.Do(Put("b", "1"));  // 5
  store.Do(Compact(5));
  store.CollectAll();
  EXPECT_EQ(StoredVersions(*store.engine()), (Rows{{"a", 4, 0}, {"b", 5, 0}}));
  EXPECT_EQ(store.Value("a"), "2");
}

TEST(CollectorTest, HasNothingToDoBeforeTheFirstCompactionAndAtRevisionZero) {
  Store store;
  store.Do(Put("a", "1"));
  EXPECT_FALSE(store.CollectStep(10));
  store.Do(Compact(0));
  EXPECT_FALSE(store.CollectStep(10));
}

TEST(CollectorTest, PlanningAgainPlansTheSame) {
  Store store;
  for (int i = 0; i < 10; ++i) store.Do(Put("a", std::to_string(i)));
  store.Do(Compact(9));
  const auto first = store.collector().Plan(9, 0, 3);
  const auto second = store.collector().Plan(9, 0, 3);
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(first->count(), second->count());
  EXPECT_EQ(first->bytes(), second->bytes());
  EXPECT_EQ(store.collector().collected(), 0);
}

TEST(CollectorTest, GoesOnWhereItWasAfterARestart) {
  Store store;
  for (int i = 0; i < 10; ++i) store.Do(Put("k" + std::to_string(i % 3), "v"));
  store.Do(Compact(9));
  ASSERT_TRUE(store.CollectStep(3));
  store.Reopen();
  store.CollectAll(3);
  EXPECT_EQ(StoredVersions(*store.engine()),
            (Rows{{"k2", 7, 0}, {"k0", 8, 0}, {"k1", 9, 0}, {"k2", 10, 0}, {"k0", 11, 0}}));
  EXPECT_EQ(StoredChanges(*store.engine()), (Rows{{"k1", 9, 0}, {"k2", 10, 0}, {"k0", 11, 0}}));
  EXPECT_EQ(store.collector().collected(), 9);
}

TEST(CollectorTest, DamagedProgressIsReported) {
  Store store;
  storage::WriteBatch batch;
  batch.Put(storage::Family::kMeta, "collected", "\x80");
  ASSERT_TRUE(store.engine()->Write(batch).ok());
  EXPECT_EQ(storage::Collector::Open(store.engine()).status().code(), absl::StatusCode::kDataLoss);
}

// Reads at and above the compacted revision are the same before, between and after all steps;
// at the end nothing is left that nobody can read.
TEST(CollectorTest, ReadsNeverChangeAndTheEndIsMinimal) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(seed);
    RandomRequests requests(seed);
    raft::Random& random = requests.random();
    Store store;
    Model model;
    for (int round = 0; round < 6; ++round) {
      for (int i = 0; i < 15; ++i) {
        const internal::Command command = requests.Command(model.revision(), false);
        model.Apply(command);
        store.Do(command);
      }
      // A new compaction may come while the round before is still under way.
      const internal::Command compact =
          Compact(model.revision() - static_cast<int64_t>(random.Below(std::min<uint64_t>(
                                         static_cast<uint64_t>(model.revision()), 12))));
      ASSERT_EQ(store.Do(compact).error, model.Apply(compact).error);
      for (uint64_t steps = random.Below(6); steps > 0; --steps) {
        store.CollectStep(static_cast<int64_t>(random.Between(1, 8)));
        for (int i = 0; i < 5; ++i) {
          const etcdserverpb::RangeRequest range = requests.Range(model.revision());
          const Model::RangeOutcome expected = model.Range(range);
          const Store::RangeOutcome outcome = store.Range(range);
          ASSERT_EQ(outcome.error, expected.error);
          ASSERT_EQ(outcome.response.ShortDebugString(), expected.response.ShortDebugString());
        }
      }
    }
    store.CollectAll(4);
    ASSERT_EQ(StoredVersions(*store.engine()), model.RetainedVersions());
    ASSERT_EQ(StoredChanges(*store.engine()), model.RetainedChanges());
  }
}

// Files are only dropped where neither the compacted revision nor the collection that a crash
// leaves behind still needs them.
TEST(CollectorTest, DroppedFilesAreNotNeededAfterACrash) {
  for (const bool flush_compaction : {false, true}) {
    SCOPED_TRACE(flush_compaction);
    auto engine = std::make_shared<storage::MapEngine>();
    Store store(engine);
    for (int i = 0; i < 10; ++i) store.Do(Put("k" + std::to_string(i % 3), std::to_string(i)));
    ASSERT_TRUE(engine->Flush().ok());
    store.Do(Compact(9));
    // The compaction is durable, what the collector does after it is not.
    if (flush_compaction) {
      ASSERT_TRUE(engine->Flush().ok());
    }
    store.CollectAll();
    ASSERT_TRUE(store.collector().DropFiles().ok());

    std::shared_ptr<storage::MapEngine> crashed = engine->CrashKeeping(0);
    EXPECT_EQ(StoredChanges(*crashed).size(), 10u);
    store.Reopen(crashed);
    if (!flush_compaction) store.Do(Compact(9));
    store.CollectAll();
    EXPECT_EQ(StoredVersions(*crashed), StoredVersions(*engine));
    EXPECT_EQ(StoredChanges(*crashed), StoredChanges(*engine));

    // Once the collection is durable too, the files go.
    ASSERT_TRUE(crashed->Flush().ok());
    store.CollectAll();
    EXPECT_EQ(StoredChanges(*crashed->CrashKeeping(0)), StoredChanges(*crashed));
  }
}

}  // namespace
}  // namespace gavel::testing
