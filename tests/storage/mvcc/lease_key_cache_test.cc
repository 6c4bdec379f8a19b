// The cache stays within its bounds, and what it tells of a lease is all that hangs on it.

#include <map>
#include <set>
#include <string>

#include "gtest/gtest.h"

#include "raft/random.h"
#include "storage/mvcc/lease_key_cache.h"

namespace gavel::storage {
namespace {

TEST(LeaseKeyCacheTest, TellsAllKeysOfALeaseOrNothing) {
  for (const size_t bytes_max : {size_t{0}, size_t{400}, size_t{4000}, size_t{1} << 20}) {
    LeaseKeyCache cache(bytes_max);
    std::map<int64_t, std::set<std::string>> leases;
    raft::Random random(bytes_max);
    int found = 0;
    for (int step = 0; step < 50000; ++step) {
      const auto lease = static_cast<int64_t>(random.Below(50));
      const std::string key(random.Between(1, 60), static_cast<char>('a' + random.Below(3)));
      std::set<std::string>& keys = leases[lease];
      switch (random.Below(5)) {
        case 0:
          keys.clear();
          cache.Set(lease, {});
          break;
        case 1:
          keys.clear();
          cache.Erase(lease);
          ASSERT_EQ(cache.Find(lease), nullptr);
          break;
        case 2:
          keys.insert(key);
          cache.Attach(lease, key);
          break;
        case 3:
          keys.erase(key);
          cache.Detach(lease, key);
          break;
        default:
          if (const LeaseKeyCache::Keys* known = cache.Find(lease)) {
            ++found;
            ASSERT_EQ(*known, LeaseKeyCache::Keys(keys.begin(), keys.end()));
          }
      }
      ASSERT_LE(cache.bytes(), bytes_max);
    }
    EXPECT_EQ(found > 0, bytes_max > 0);
  }
}

// A lease with many keys would make room for itself at the cost of all others.
TEST(LeaseKeyCacheTest, ALeaseWithManyKeysIsNotKept) {
  LeaseKeyCache cache(1 << 20);
  cache.Set(1, {});
  for (int key = 0; key < 1000; ++key) cache.Attach(1, std::to_string(key));
  EXPECT_EQ(cache.Find(1), nullptr);
  EXPECT_EQ(cache.bytes(), 0u);
}

}  // namespace
}  // namespace gavel::storage
