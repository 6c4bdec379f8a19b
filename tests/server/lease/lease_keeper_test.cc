// The keeper's decisions, one by one.

#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "server/lease/lease_keeper.h"

namespace gavel::server {
namespace {

using storage::LeaseChange;
using ::testing::ElementsAre;
using Kind = LeaseChange::Kind;

constexpr raft::Term kTerm(3);

class LeaseKeeperTest : public ::testing::Test {
 protected:
  LeaseChange Change(Kind kind, int64_t id, int64_t deadline_ms, uint64_t renewed) {
    return {kind, id, {10, deadline_ms, raft::Index(renewed)}};
  }
  void Apply(uint64_t index, std::vector<LeaseChange> changes, raft::Term term = kTerm,
             int64_t clock_ms = 0) {
    keeper_.OnApplied({{raft::Index(index), term}, clock_ms, changes});
  }
  void Lead(MonotonicNs now) {
    keeper_.OnRole(kTerm);
    Apply(1, {});
    keeper_.Look(now);
  }
  static std::vector<int64_t> Ids(const std::optional<LeaseExpiries>& expiries) {
    std::vector<int64_t> ids;
    if (expiries) {
      for (const DueLease& lease : expiries->leases) ids.push_back(lease.id);
    }
    return ids;
  }

  static constexpr size_t kLeast = LeaseKeeper::kEntryLeasesMin;
  static constexpr size_t kLate = LeaseKeeper::kEntryLeasesLate;
  static constexpr size_t kMost = LeaseKeeper::kEntryLeasesMax;

  void GrantDueAt(int64_t deadline_ms, int64_t leases) {
    std::vector<LeaseChange> grants;
    for (int64_t id = 1; id <= leases; ++id) {
      grants.push_back(Change(Kind::kGranted, id, deadline_ms, 2));
    }
    Apply(++index_, grants);
  }
  // Ends what the keeper says at `at_ms`, which takes so long. Returns how many those are.
  size_t Entry(int64_t at_ms, int64_t took_ms) {
    const MonotonicNs now = at_ms * kNsPerMs;
    for (int turn = 0; turn < 30; ++turn) keeper_.Look(now);
    const std::vector<int64_t> ids = Ids(keeper_.Expire(now));
    keeper_.OnExpiryAppended({raft::Index(++index_), kTerm});
    std::vector<LeaseChange> ends;
    for (const int64_t id : ids) ends.push_back(Change(Kind::kExpired, id, 1000, 2));
    Apply(index_, ends);
    keeper_.Look(now + took_ms * kNsPerMs);
    return ids.size();
  }
  static size_t InPace(int64_t ms, int64_t pace) { return static_cast<size_t>(ms * pace / 1000); }

  LeaseKeeper keeper_{0, 0};
  uint64_t index_ = 1;
};

// A leader's clock begins once it has applied an entry of its own term: only then has it seen
// every reading of earlier leaders.
TEST_F(LeaseKeeperTest, DecidesNothingBeforeItsOwnTermIsApplied) {
  keeper_.OnRole(kTerm);
  Apply(1, {Change(Kind::kGranted, 7, 1000, 1)}, raft::Term(2), 500);
  keeper_.Look(0);
  keeper_.Look(100 * kNsPerSecond);
  EXPECT_FALSE(keeper_.Expire(100 * kNsPerSecond));
  EXPECT_FALSE(keeper_.Stamp(100 * kNsPerSecond, true));
  Apply(2, {}, kTerm, 500);
  keeper_.Look(200 * kNsPerSecond);
  keeper_.Look(201 * kNsPerSecond);
  const auto expiries = keeper_.Expire(201 * kNsPerSecond);
  ASSERT_THAT(Ids(expiries), ElementsAre(7));
  EXPECT_EQ(expiries->term, kTerm);
  EXPECT_EQ(expiries->now_ms, 1500);
  EXPECT_EQ(expiries->leases[0].renewed, raft::Index(1));
}

// One entry is under way at most; between two, other work has its turn.
TEST_F(LeaseKeeperTest, OneEntryIsUnderWayAndAPauseFollows) {
  Lead(0);
  std::vector<LeaseChange> grants;
  for (int64_t id = 1; id <= 600; ++id) grants.push_back(Change(Kind::kGranted, id, 1000, 2));
  Apply(2, grants);
  MonotonicNs now = 1100 * kNsPerMs;
  keeper_.Look(now);
  ASSERT_EQ(keeper_.NextExpiry(), 0);
  ASSERT_EQ(Ids(keeper_.Expire(now)).size(), LeaseKeeper::kEntryLeasesMin);
  keeper_.OnExpiryAppended({raft::Index(10), kTerm});
  const MonotonicNs took = 6 * kNsPerMs;
  now += took;
  keeper_.Look(now);
  EXPECT_FALSE(keeper_.Expire(now));
  EXPECT_FALSE(keeper_.busy());
  EXPECT_FALSE(keeper_.NextExpiry());
  // It came to nothing: its leases are due as before.
  Apply(10, {});
  keeper_.Look(now);
  EXPECT_TRUE(keeper_.busy());
  const MonotonicNs pause = took / LeaseKeeper::kPausePart;
  ASSERT_EQ(keeper_.NextExpiry(), now + pause);
  EXPECT_FALSE(keeper_.Expire(now + pause - 1));
  EXPECT_EQ(Ids(keeper_.Expire(now + pause)).size(), LeaseKeeper::kEntryLeasesMin);
  // Nor is one that was dropped tried again at once.
  keeper_.OnExpiryDropped();
  const MonotonicNs again = now + pause + LeaseKeeper::kPauseMax;
  ASSERT_EQ(keeper_.NextExpiry(), again);
  EXPECT_FALSE(keeper_.Expire(again - 1));
  EXPECT_EQ(Ids(keeper_.Expire(again)).size(), LeaseKeeper::kEntryLeasesMin);
}

// Where entries take long they name more, so that ends keep their pace, but only as far as what is
// due is late: while it is not, nothing is put before other work that need not be.
TEST_F(LeaseKeeperTest, EntriesThatTakeLongGrowWithHowLateTheirLeasesAre) {
  Lead(0);
  GrantDueAt(1000, 20000);
  const int64_t late = 1000 + LeaseKeeper::kLateMsMax;
  EXPECT_EQ(Entry(1200, 20), kLeast) << "nothing is known of how long it takes";
  EXPECT_EQ(Entry(1225, 20), kLeast) << "nothing is late";
  const size_t some = Entry(1250 + (LeaseKeeper::kLateMsMax - LeaseKeeper::kLateMsMin) / 2, 2);
  EXPECT_GT(some, kLeast);
  EXPECT_LT(some, kLate);
  EXPECT_EQ(Entry(late, 2), kLate) << "no entry has come for long";
  EXPECT_EQ(Entry(late + 3, 8), kLeast) << "entries are quick";
  EXPECT_EQ(Entry(late + 15, 12), InPace(12, LeaseKeeper::kPaceSteady));
  EXPECT_EQ(Entry(late + 35, 20), InPace(20, LeaseKeeper::kPaceSteady));
  EXPECT_EQ(Entry(1000 + LeaseKeeper::kGoneMs, 20), kLate) << "a larger one holds writers back";
  const size_t overdue = Entry(1000 + LeaseKeeper::kGoneMs * 3 / 2, 20);
  EXPECT_GT(overdue, kLate);
  EXPECT_LT(overdue, kMost);
  EXPECT_EQ(Entry(1000 + LeaseKeeper::kGoneMs * 2, 20), kMost);
  // What an earlier leadership took says nothing.
  keeper_.OnRole(std::nullopt);
  keeper_.OnRole(kTerm);
  keeper_.Look(late * kNsPerMs);
  EXPECT_EQ(Entry(1000 + LeaseKeeper::kGoneMs * 3, 20), kLeast);
}

// However many are due, they end within a second only as far as the steady pace goes; beyond it the
// pace is the one that has them gone in time, and never more than the most.
TEST_F(LeaseKeeperTest, ThePaceIsWhatHasAllGoneInTime) {
  const int64_t late = 1000 + LeaseKeeper::kLateMsMax;
  const auto after = [&](int64_t took_ms, int64_t leases, int64_t at_ms) {
    keeper_ = LeaseKeeper(0, 0);
    index_ = 1;
    Lead(0);
    GrantDueAt(1000, leases);
    static_cast<void>(Entry(at_ms - took_ms, 2));
    return Entry(at_ms, 2);
  };
  EXPECT_EQ(after(20, 3048, late), InPace(20, 3000));
  EXPECT_EQ(after(20, 20000, late), InPace(20, LeaseKeeper::kPaceSteady));
  EXPECT_EQ(after(12, 48048, late), InPace(12, 48000 * 1000 / (LeaseKeeper::kGoneMs - 2000)));
  EXPECT_EQ(after(9, 100000, late), InPace(9, LeaseKeeper::kPaceMax));
  const int64_t overdue = 1000 + LeaseKeeper::kGoneMs + 5000;
  EXPECT_EQ(after(20, 8048, overdue), InPace(20, 8000));
}

// A lease that was renewed before its expiry was applied goes on; the others are gone.
TEST_F(LeaseKeeperTest, WhatLivesOnIsLookedAtAnew) {
  Lead(0);
  Apply(2, {Change(Kind::kGranted, 1, 1000, 2), Change(Kind::kGranted, 2, 1000, 2)});
  keeper_.Look(2 * kNsPerSecond);
  ASSERT_THAT(Ids(keeper_.Expire(2 * kNsPerSecond)), ElementsAre(2, 1));
  keeper_.OnExpiryAppended({raft::Index(4), kTerm});
  Apply(3, {Change(Kind::kRenewed, 1, 12000, 3)});
  Apply(4, {Change(Kind::kExpired, 2, 1000, 2)});
  EXPECT_EQ(keeper_.size(), 1u);
  keeper_.Look(3 * kNsPerSecond);
  EXPECT_FALSE(keeper_.Expire(3 * kNsPerSecond));
  keeper_.Look(13 * kNsPerSecond);
  EXPECT_THAT(Ids(keeper_.Expire(13 * kNsPerSecond)), ElementsAre(1));
}

// What a deposed leader had under way is decided by whoever leads next, itself included.
TEST_F(LeaseKeeperTest, ADeposedLeaderForgetsWhatIsUnderWay) {
  Lead(0);
  Apply(2, {Change(Kind::kGranted, 1, 1000, 2)});
  keeper_.Look(2 * kNsPerSecond);
  ASSERT_THAT(Ids(keeper_.Expire(2 * kNsPerSecond)), ElementsAre(1));
  keeper_.OnExpiryAppended({raft::Index(3), kTerm});
  keeper_.OnRole(std::nullopt);
  keeper_.Look(3 * kNsPerSecond);
  EXPECT_FALSE(keeper_.Expire(3 * kNsPerSecond));
  const raft::Term later(5);
  keeper_.OnRole(later);
  Apply(3, {}, later, 400);
  keeper_.Look(4 * kNsPerSecond);
  EXPECT_FALSE(keeper_.Expire(4 * kNsPerSecond)) << "by the log's clock it is not due";
  keeper_.Look(5 * kNsPerSecond);
  EXPECT_THAT(Ids(keeper_.Expire(5 * kNsPerSecond)), ElementsAre(1));
}

// The scan at the start may see a lease before or after the keeper was told of its changes.
TEST_F(LeaseKeeperTest, TheNewerFactWins) {
  keeper_ = LeaseKeeper(3, 0);
  Apply(5, {Change(Kind::kRenewed, 1, 5000, 5), Change(Kind::kRevoked, 2, 1000, 2)});
  const std::vector<storage::LeaseScan::Lease> found = {
      {1, {10, 1000, raft::Index(1)}},   // Older than what was told.
      {2, {10, 1000, raft::Index(2)}},   // Has ended.
      {3, {10, 9000, raft::Index(9)}}};  // Newer than what was told.
  keeper_.OnFound(found, /*all=*/false);
  EXPECT_EQ(keeper_.Find(1)->deadline_ms, 5000);
  EXPECT_FALSE(keeper_.Find(2));
  Apply(7, {Change(Kind::kRevoked, 3, 1000, 3), Change(Kind::kGranted, 3, 7000, 7)});
  EXPECT_EQ(keeper_.Find(3)->deadline_ms, 9000);
  // Granted anew since it had ended.
  keeper_.OnFound({{{2, {10, 8000, raft::Index(8)}}}}, /*all=*/true);
  EXPECT_EQ(keeper_.Find(2)->deadline_ms, 8000);
}

// A turn looks at so many leases, and says that it is not done.
TEST_F(LeaseKeeperTest, AtATurnSoManyAreLookedAt) {
  std::vector<LeaseChange> grants;
  const auto many = static_cast<int64_t>(3 * LeaseKeeper::kTurnLeasesMax);
  for (int64_t id = 1; id <= many; ++id) grants.push_back(Change(Kind::kGranted, id, 1000, 2));
  Lead(0);
  Apply(2, grants);
  const MonotonicNs now = 2 * kNsPerSecond;
  for (int turn = 0; turn < 2; ++turn) {
    keeper_.Look(now);
    EXPECT_TRUE(keeper_.busy());
    EXPECT_FALSE(keeper_.Expire(now));
  }
  keeper_.Look(now);
  keeper_.Look(now);
  EXPECT_TRUE(keeper_.Expire(now));
}

// While there are leases, or may be, the clock is put into the log twice a second.
TEST_F(LeaseKeeperTest, TheClockIsStampedWhileThereAreLeases) {
  Lead(0);
  EXPECT_FALSE(keeper_.Stamp(kNsPerSecond, /*dating=*/false));
  Apply(2, {Change(Kind::kGranted, 1, 10000, 2)});
  EXPECT_EQ(keeper_.Stamp(kNsPerSecond, false), 1000);
  keeper_ = LeaseKeeper(1, 0);
  Lead(0);
  EXPECT_EQ(keeper_.Stamp(kNsPerSecond, false), 1000);
}

}  // namespace
}  // namespace gavel::server
