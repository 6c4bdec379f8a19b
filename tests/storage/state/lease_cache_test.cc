// The cache of leases: bounded, and only ever of what was put into it.

#include <vector>

#include "gtest/gtest.h"

#include "storage/engine/map_engine.h"
#include "storage/state/lease_cache.h"
#include "storage/state/leases.h"

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

// What is kept of a batch is the same in every run: what it has changed last, not what comes last
// in the order of some hash.
TEST(LeaseCacheTest, OfABatchTheLastThatWereChangedAreKept) {
  const MapEngine engine;
  LeaseCache cache(4);
  LeaseRenewals renewals(10);
  Overlay overlay(engine, nullptr);
  WriteBatch batch;
  LeaseKeyCache key_cache(0);
  LeaseKeys keys(engine, key_cache, batch);
  Totals totals;
  Writer writer(engine, overlay, keys, batch, totals);
  MetaLeases state;
  std::vector<LeaseChange> changes;
  Leases leases({engine, cache, renewals, overlay, keys, writer, totals, batch, state, changes});
  for (int64_t id = 1; id <= 100; ++id) {
    etcdserverpb::LeaseGrantRequest grant;
    grant.set_id(id);
    grant.set_ttl(10);
    ASSERT_TRUE(leases.Grant(grant, raft::Index(1), nullptr).ok());
  }
  leases.Written();
  EXPECT_NE(cache.Find(100), nullptr);
  EXPECT_NE(cache.Find(99), nullptr);
}

}  // namespace
}  // namespace gavel::storage
