// HashKV: equal for members that agree, whatever they have collected; different otherwise.

#include "storage/mvcc/hash.h"

#include "gtest/gtest.h"

#include "storage/mvcc/key_codec.h"
#include "tests/storage/mvcc/random_requests.h"
#include "tests/storage/state/store.h"

namespace gavel::testing {
namespace {

using storage::Family;
using storage::RequestError;

TEST(HashTest, AFreshStoreHasACompactRevisionBelowZero) {
  Store store;
  const Store::Hash hash = store.HashKv();
  EXPECT_EQ(hash.error, RequestError::kNone);
  EXPECT_EQ(hash.compacted, -1);
}

TEST(HashTest, AtTheCompactedRevisionIsAllowedBelowIsNot) {
  Store store;
  for (int i = 0; i < 5; ++i) store.Do(Put("a", std::to_string(i)));
  store.Do(Compact(4));
  EXPECT_EQ(store.HashKv(4).error, RequestError::kNone);
  EXPECT_EQ(store.HashKv(3).error, RequestError::kCompacted);
  EXPECT_EQ(store.HashKv(6).error, RequestError::kNone);
  EXPECT_EQ(store.HashKv(7).error, RequestError::kFutureRevision);
  EXPECT_EQ(store.HashKv(0), store.HashKv(6));
  EXPECT_EQ(store.HashKv().compacted, 4);
}

TEST(HashTest, CoversOnlyWhatIsVisibleUpToTheRevision) {
  Store store;
  store.Do(Put("a", "1"));
  const Store::Hash before = store.HashKv(2);
  store.Do(Put("a", "2"));
  store.Do(Put("b", "1"));
  EXPECT_EQ(store.HashKv(2), before);
  EXPECT_NE(store.HashKv(3).hash, before.hash);
  EXPECT_NE(store.HashKv(4).hash, store.HashKv(3).hash);
}

// The collector may be anywhere: every step leaves the hash as it is, for every revision.
TEST(HashTest, CollectionDoesNotChangeIt) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    RandomRequests requests(seed);
    Store store;
    for (int i = 0; i < 100; ++i) {
      store.Do(requests.Command(store.machine().view()->revision, /*compactions=*/false));
    }
    const int64_t newest = store.machine().view()->revision;
    const int64_t compacted =
        static_cast<int64_t>(requests.random().Between(1, static_cast<uint64_t>(newest)));
    store.Do(Compact(compacted));
    std::vector<Store::Hash> before;
    for (int64_t revision = compacted; revision <= newest; ++revision) {
      before.push_back(store.HashKv(revision));
    }
    const auto check = [&] {
      for (int64_t revision = compacted; revision <= newest; ++revision) {
        ASSERT_EQ(store.HashKv(revision), before[static_cast<size_t>(revision - compacted)]);
      }
    };
    while (store.CollectStep(9)) check();
    check();
  }
}

// A hash under way keeps its compacted revision, and its result, while others move on.
TEST(HashTest, ACompactionMeanwhileDoesNotDisturbIt) {
  Store store;
  for (int i = 0; i < 20; ++i) store.Do(Put("k" + std::to_string(i % 4), std::to_string(i)));
  const Store::Hash expected = store.HashKv();
  storage::HashCursor cursor(store.machine().view(), 0);
  EXPECT_FALSE(cursor.Step(3));
  store.Do(Compact(15));
  store.CollectAll();
  while (!cursor.Step(3)) {
  }
  EXPECT_TRUE(cursor.status().ok());
  EXPECT_EQ(cursor.hash(), expected.hash);
  EXPECT_EQ(cursor.compact_revision(), -1);
}

// A view older than what has been collected still hashes what the newest compacted revision
// leaves, and says which that is.
TEST(HashTest, AnOldViewIsHashedAtTheNewestCompactedRevision) {
  Store store;
  for (int i = 0; i < 20; ++i) store.Do(Put("k" + std::to_string(i % 4), std::to_string(i)));
  const auto view = store.machine().view();
  store.Do(Compact(15));
  store.CollectAll();
  storage::HashCursor cursor(view, 18);
  while (!cursor.Step(3)) {
  }
  EXPECT_EQ(cursor.error(), RequestError::kNone);
  EXPECT_EQ(cursor.compact_revision(), 15);
  EXPECT_EQ(cursor.hash(), store.HashKv(18).hash);
}

// A tombstone at the compacted revision is still to be seen by a watch, so it counts.
TEST(HashTest, ATombstoneAtTheCompactedRevisionCounts) {
  Store store;
  store.Do(Put("a", "1"));
  store.Do(Delete("a"));
  store.Do(Compact(3));
  const uint32_t hash = store.HashKv().hash;
  storage::WriteBatch batch;
  batch.Delete(Family::kVersions, storage::VersionKey("a", {3, 0}));
  batch.Delete(Family::kVersions, storage::VersionKey("a", {2, 0}));
  ASSERT_TRUE(store.engine()->Write(batch).ok());
  EXPECT_NE(store.HashKv().hash, hash);
}

TEST(HashTest, EverySingleBitCounts) {
  Store store;
  store.Do(Put("a", "value"));
  store.Do(Put("b", "other"));
  const uint32_t hash = store.HashKv().hash;
  const std::string key = storage::VersionKey("a", {2, 0});
  std::string row = Dump(*store.engine(), Family::kVersions).at(key);
  for (size_t bit = 8 * (row.size() - 5); bit < 8 * row.size(); ++bit) {
    std::string changed = row;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << bit % 8));
    storage::WriteBatch batch;
    batch.Put(Family::kVersions, key, changed);
    ASSERT_TRUE(store.engine()->Write(batch).ok());
    EXPECT_NE(store.HashKv().hash, hash) << bit;
  }
}

}  // namespace
}  // namespace gavel::testing
