// The table of leases against a plain map.

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>
#include <set>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "raft/random.h"
#include "server/lease/lease_table.h"
#include "storage/state/lease_row.h"

namespace gavel::server {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<int64_t> Ids(const std::vector<DueLease>& due) {
  std::vector<int64_t> ids;
  for (const DueLease& lease : due) ids.push_back(lease.id);
  return ids;
}

constexpr size_t kAll = 1000000;

// Those that have been due the longest come first.
TEST(LeaseTableTest, TakesWhatIsDueInOrder) {
  LeaseTable table;
  table.Set(1, {900, raft::Index(1)});
  table.Set(2, {100, raft::Index(2)});
  table.Set(3, {500, raft::Index(3)});
  table.Set(4, {5000, raft::Index(4)});
  EXPECT_FALSE(table.has_due());
  EXPECT_TRUE(table.Walk(2000, kAll));
  EXPECT_TRUE(table.has_due());
  EXPECT_THAT(Ids(table.TakeDue(2)), ElementsAre(2, 3));
  EXPECT_THAT(Ids(table.TakeDue(2)), ElementsAre(1));
  EXPECT_FALSE(table.has_due());
  table.Return(3);
  EXPECT_THAT(Ids(table.TakeDue(2)), ElementsAre(3));
  EXPECT_EQ(table.size(), 4u);
}

TEST(LeaseTableTest, ARenewedLeaseIsNotDue) {
  LeaseTable table;
  table.Set(1, {100, raft::Index(1)});
  table.Set(1, {3000, raft::Index(2)});
  EXPECT_TRUE(table.Walk(2000, kAll));
  EXPECT_FALSE(table.has_due());
  // Also once it was found due.
  table.Walk(4000, kAll);
  ASSERT_TRUE(table.has_due());
  table.Set(1, {9000, raft::Index(3)});
  EXPECT_FALSE(table.has_due());
  // Or taken.
  table.Walk(10000, kAll);
  ASSERT_THAT(Ids(table.TakeDue(1)), ElementsAre(1));
  table.Set(1, {15000, raft::Index(4)});
  table.Return(1);
  EXPECT_FALSE(table.has_due());
  table.Walk(16000, kAll);
  EXPECT_TRUE(table.has_due());
}

// A walk does no more than it is allowed to, and goes on where it stopped.
TEST(LeaseTableTest, AWalkIsBounded) {
  LeaseTable table;
  for (int64_t id = 1; id <= 1000; ++id) table.Set(id, {50, raft::Index(1)});
  for (int i = 0; i < 9; ++i) {
    EXPECT_FALSE(table.Walk(10000, 100));
    EXPECT_FALSE(table.has_due());
  }
  table.Walk(10000, 100);
  EXPECT_TRUE(table.Walk(10000, 1));
  EXPECT_EQ(table.TakeDue(kAll).size(), 1000u);
}

// A leader that is deposed has run ahead of the log's clock; what it found due need not be so.
TEST(LeaseTableTest, RewindForgetsWhatIsDue) {
  LeaseTable table;
  table.Set(1, {3000, raft::Index(1)});
  table.Walk(4000, kAll);
  ASSERT_TRUE(table.has_due());
  table.Set(2, {2500, raft::Index(1)});
  table.Rewind(1900);
  table.Set(3, {2500, raft::Index(1)});
  EXPECT_FALSE(table.has_due());
  EXPECT_TRUE(table.Walk(2000, kAll));
  EXPECT_FALSE(table.has_due());
  table.Walk(4000, kAll);
  EXPECT_THAT(Ids(table.TakeDue(9)), ElementsAre(3, 2, 1));
}

// A lease for longer than is looked ahead, up to the longest that there is.
TEST(LeaseTableTest, FarDeadlines) {
  LeaseTable table;
  const int64_t far = storage::kLeaseTtlSecondsMax * 1000;
  table.Set(1, {far, raft::Index(1)});
  table.Set(2, {24 * 3600 * 1000, raft::Index(1)});
  for (int64_t ms = 0; ms < 24 * 3600 * 1000; ms += 60000) {
    ASSERT_TRUE(table.Walk(ms, 10));
    ASSERT_FALSE(table.has_due()) << ms;
  }
  table.Walk(24 * 3600 * 1000 + 100, 10);
  EXPECT_THAT(Ids(table.TakeDue(9)), ElementsAre(2));
  table.Walk(far + 100, 1000);
  EXPECT_THAT(Ids(table.TakeDue(9)), ElementsAre(1));
}

// What the table does, one look at everything at a time.
class NaiveTable {
 public:
  void Set(int64_t id, const KeptLease& lease) { leases_[id] = lease; }
  void Erase(int64_t id) {
    leases_.erase(id);
    taken_.erase(id);
  }
  void Take(int64_t id) { taken_.insert(id); }
  void Return(int64_t id) { taken_.erase(id); }
  bool IsTaken(int64_t id) const { return taken_.contains(id); }
  const std::map<int64_t, KeptLease>& leases() const { return leases_; }
  const std::set<int64_t>& taken() const { return taken_; }

 private:
  std::map<int64_t, KeptLease> leases_;
  std::set<int64_t> taken_;
};

class RandomTables {
 public:
  explicit RandomTables(uint64_t seed) : random_(seed) {}

  void Step() {
    const auto id = static_cast<int64_t>(random_.Below(60)) - 10;
    switch (random_.Below(12)) {
      case 0:
        table_.Erase(id);
        naive_.Erase(id);
        break;
      case 1:
        clock_ms_ += static_cast<int64_t>(random_.Below(2000));
        break;
      case 2:
        clock_ms_ += static_cast<int64_t>(random_.Below(20));
        break;
      case 3:
      case 4:
        table_.Walk(clock_ms_, random_.Below(8));
        return;
      case 5:
        TakeDue();
        break;
      case 6:
        ReturnOne();
        break;
      case 7:
        if (random_.OneIn(10)) Rewind();
        break;
      default:
        Set(id);
    }
  }

  // After a walk to the end: exactly what is due and not taken is offered.
  void CheckAll() {
    table_.Walk(clock_ms_, kAll);
    for (const auto& [id, lease] : naive_.leases()) ASSERT_EQ(table_.Find(id), lease);
    ASSERT_EQ(table_.size(), naive_.leases().size());
    std::set<int64_t> taken;
    for (const DueLease& due : table_.TakeDue(kAll)) {
      ASSERT_FALSE(naive_.IsTaken(due.id));
      ASSERT_TRUE(taken.insert(due.id).second);
      ASSERT_LE(naive_.leases().at(due.id).deadline_ms, clock_ms_);
    }
    for (const auto& [id, lease] : naive_.leases()) {
      // A bucket is past as a whole, or not at all.
      const int64_t bucket = lease.deadline_ms / LeaseTable::kBucketMs;
      const bool past = bucket < clock_ms_ / LeaseTable::kBucketMs;
      ASSERT_TRUE(!past || naive_.IsTaken(id) || taken.contains(id)) << "lease " << id << " is due";
    }
    for (const int64_t id : taken) table_.Return(id);
  }

 private:
  void Set(int64_t id) {
    const auto found = naive_.leases().find(id);
    const int64_t before = found == naive_.leases().end() ? 0 : found->second.deadline_ms;
    const auto ttl = static_cast<int64_t>(random_.OneIn(20) ? 5000000 : random_.Below(8000));
    const KeptLease lease{std::max(before, clock_ms_ + ttl), raft::Index(++index_)};
    table_.Set(id, lease);
    naive_.Set(id, lease);
  }

  void TakeDue() {
    for (const DueLease& due : table_.TakeDue(1 + random_.Below(5))) {
      const auto found = naive_.leases().find(due.id);
      ASSERT_NE(found, naive_.leases().end()) << "lease " << due.id << " has ended";
      ASSERT_FALSE(naive_.IsTaken(due.id));
      ASSERT_EQ(found->second.renewed, due.renewed);
      ASSERT_LE(found->second.deadline_ms, clock_ms_);
      naive_.Take(due.id);
    }
  }

  void ReturnOne() {
    if (naive_.taken().empty()) return;
    auto it = naive_.taken().begin();
    std::advance(it, static_cast<std::ptrdiff_t>(random_.Below(naive_.taken().size())));
    const int64_t id = *it;
    table_.Return(id);
    naive_.Return(id);
  }

  void Rewind() {
    clock_ms_ -= static_cast<int64_t>(random_.Below(3000));
    clock_ms_ = std::max<int64_t>(0, clock_ms_);
    while (!naive_.taken().empty()) ReturnOne();
    table_.Rewind(clock_ms_);
  }

  raft::Random random_;
  LeaseTable table_;
  NaiveTable naive_;
  int64_t clock_ms_ = 0;
  uint64_t index_ = 0;
};

// Random grants, renewals, ends and walks: nothing is offered early, twice or after its end, and
// nothing is forgotten.
TEST(LeaseTableTest, AgreesWithAPlainMap) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    RandomTables tables(seed);
    for (int round = 0; round < 30; ++round) {
      for (int i = 0; i < 100; ++i) tables.Step();
      tables.CheckAll();
      if (::testing::Test::HasFatalFailure()) return;
    }
  }
}

}  // namespace
}  // namespace gavel::server
