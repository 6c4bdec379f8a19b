// The cache stays within its bounds and never tells an older thing than the last it was told.

#include <map>

#include "gtest/gtest.h"

#include "raft/random.h"
#include "storage/mvcc/newest_cache.h"

namespace gavel::storage {
namespace {

NewestVersion At(Revision revision) {
  NewestVersion newest;
  newest.id.main = revision;
  newest.live = true;
  return newest;
}

TEST(NewestCacheTest, NeverTellsAnythingOld) {
  for (const size_t bytes_max : {size_t{0}, size_t{500}, size_t{5000}, size_t{1} << 20}) {
    NewestCache cache(bytes_max);
    std::map<std::string, Revision> last;
    raft::Random random(bytes_max);
    int found = 0;
    for (Revision revision = 1; revision < 20000; ++revision) {
      const std::string key(random.Between(1, 40), static_cast<char>('a' + random.Below(3)));
      if (random.OneIn(2)) {
        cache.Set(key, At(revision));
        last[key] = revision;
      } else if (const NewestVersion* newest = cache.Find(key)) {
        ++found;
        ASSERT_EQ(newest->id.main, last[key]);
      }
      ASSERT_LE(cache.bytes(), bytes_max);
    }
    EXPECT_EQ(found > 0, bytes_max > 0);
  }
}

TEST(NewestCacheTest, KeysInUseOutliveOthers) {
  NewestCache cache(20000);
  cache.Set("hot", At(1));
  for (Revision revision = 2; revision < 1000; ++revision) {
    cache.Set("cold" + std::to_string(revision), At(revision));
    ASSERT_NE(cache.Find("hot"), nullptr) << revision;
  }
  EXPECT_EQ(cache.Find("cold2"), nullptr);
}

}  // namespace
}  // namespace gavel::storage
