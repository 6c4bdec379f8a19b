// The cache of leases: bounded, and only ever of what was put into it.

#include "gtest/gtest.h"

#include "storage/state/lease_cache.h"

namespace gavel::storage {
namespace {

LeaseRow Row(int64_t n) { return {n, n * 1000, raft::Index(static_cast<uint64_t>(n))}; }

TEST(LeaseCacheTest, KnowsTheNewestRow) {
  LeaseCache cache(10);
  EXPECT_EQ(cache.Find(1), nullptr);
  cache.Set(1, Row(1));
  cache.Set(1, Row(2));
  ASSERT_NE(cache.Find(1), nullptr);
  EXPECT_EQ(*cache.Find(1), Row(2));
  cache.Erase(1);
  EXPECT_EQ(cache.Find(1), nullptr);
}

// What is used stays; an old row never comes back from the other half.
TEST(LeaseCacheTest, IsBoundedAndKeepsWhatIsUsed) {
  LeaseCache cache(10);
  for (int64_t id = 1; id <= 1000; ++id) {
    cache.Set(id, Row(id));
    EXPECT_LE(cache.rows(), 11u);
    if (id % 4 == 0) cache.Set(7, Row(id));
    if (id > 4) {
      ASSERT_NE(cache.Find(7), nullptr) << id;
      EXPECT_EQ(*cache.Find(7), id < 8 ? Row(id < 7 ? 4 : 7) : Row(id - id % 4)) << id;
    }
  }
  cache.Erase(7);
  EXPECT_EQ(cache.Find(7), nullptr);
}

TEST(LeaseCacheTest, MayHoldNothing) {
  LeaseCache cache(0);
  cache.Set(1, Row(1));
  EXPECT_EQ(cache.Find(1), nullptr);
  EXPECT_EQ(cache.rows(), 0u);
}

}  // namespace
}  // namespace gavel::storage
