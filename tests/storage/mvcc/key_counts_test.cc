// Counts that are remembered equal those of a walk, whatever happens in between, and cost little.
#include "storage/mvcc/key_counts.h"

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_format.h"
#include "gtest/gtest.h"

#include "raft/random.h"
#include "storage/mvcc/key_codec.h"
#include "storage/mvcc/range.h"
#include "storage/state/found_anew.h"
#include "tests/storage/state/store.h"
#include "tests/support/matchers.h"

namespace gavel::testing {
namespace {

using etcdserverpb::RangeRequest;
using storage::CountedParts;
using storage::ReadView;
using storage::RequestError;
using Progress = storage::RangeCursor::Progress;

std::string Key(uint64_t number) { return absl::StrFormat("key%06d", number); }

RangeRequest CountOf(const std::string& begin, const std::string& end, int64_t revision = 0) {
  RangeRequest request = RangeOf(begin, end);
  request.set_count_only(true);
  request.set_revision(revision);
  return request;
}

RangeRequest PageOf(const std::string& begin, int64_t limit, int64_t revision = 0) {
  RangeRequest request = RangeOf(begin, std::string_view("\0", 1));
  request.set_limit(limit);
  request.set_revision(revision);
  return request;
}

struct Counted {
  Progress end = Progress::kMore;
  RequestError error = RequestError::kNone;
  int64_t keys = 0;
  int64_t steps = 0;  // Of `rows` rows each.
};

Counted Count(const std::shared_ptr<const ReadView>& view, const RangeRequest& request,
              int64_t rows = 1) {
  storage::RangeCursor cursor(view, request);
  Counted counted;
  while (counted.end == Progress::kMore) {
    counted.end = cursor.Step({.rows_max = rows, .bytes_max = 1 << 20});
    ++counted.steps;
  }
  counted.error = cursor.error();
  if (counted.end == Progress::kDone) counted.keys = cursor.TakeResponse().count();
  return counted;
}

// What a walk over all of it counts.
Counted Walked(const ReadView& view, const RangeRequest& request) {
  auto plain = std::make_shared<ReadView>(view);
  plain->counts = nullptr;
  return Count(plain, request, 1000);
}

// A compaction that overtakes one of them may not have overtaken the other.
void ExpectEqual(const Counted& counted, const Counted& walked, const RangeRequest& request) {
  if (counted.end != Progress::kDone || walked.end != Progress::kDone) return;
  EXPECT_EQ(counted.keys, walked.keys) << request.ShortDebugString();
}

class KeyCountsTest : public ::testing::Test {
 protected:
  KeyCountsTest() : store_(nullptr, {.count_part_keys = 16}) {}

  void PutKeys(uint64_t from, uint64_t to, uint64_t step = 1) {
    std::vector<internal::Command> puts;
    for (uint64_t i = from; i < to; i += step) puts.push_back(Put(Key(i), "v"));
    store_.DoBatch(puts);
  }

  std::shared_ptr<const ReadView> view() { return store_.machine().view(); }

  // Counts, expects what a walk counts, and returns the rows looked at.
  int64_t RowsFor(const RangeRequest& request) {
    const Counted counted = Count(view(), request);
    EXPECT_EQ(counted.end, Progress::kDone);
    ExpectEqual(counted, Walked(*view(), request), request);
    return counted.steps;
  }

  Store store_;
};

TEST_F(KeyCountsTest, WhatWasCountedIsNotWalkedOverAgain) {
  PutKeys(0, 5000);
  const RangeRequest all = CountOf("", std::string("\0", 1));
  EXPECT_GE(RowsFor(all), 5000);
  EXPECT_LE(RowsFor(all), 50);
  // Nor is a part of it, however it is asked for.
  EXPECT_LE(RowsFor(CountOf(Key(777), Key(4321))), 100);
  EXPECT_LE(RowsFor(PageOf(Key(1234), 10)), 100);
  EXPECT_LE(RowsFor(CountOf(Key(1), std::string("\0", 1))), 100);
}

TEST_F(KeyCountsTest, APageCostsTheSameWhereverItIs) {
  PutKeys(0, 5000);
  EXPECT_GE(RowsFor(PageOf("", 10)), 5000);
  for (const uint64_t from : {0, 100, 2500, 4800}) {
    EXPECT_LE(RowsFor(PageOf(Key(from), 10)), 100) << from;
  }
}

TEST_F(KeyCountsTest, StretchesAddUp) {
  PutKeys(0, 5000);
  // From the last to the first, each is walked over once.
  int64_t rows = 0;
  for (const uint64_t from : {4000, 3000, 2000, 1000, 0}) rows += RowsFor(PageOf(Key(from), 10));
  EXPECT_LE(rows, 5600);
  EXPECT_LE(RowsFor(PageOf(Key(0), 10)), 150);
}

TEST_F(KeyCountsTest, WalksAtOnceShareTheirWork) {
  PutKeys(0, 60000);
  std::vector<storage::RangeCursor> cursors;
  for (const uint64_t from : {0, 20000, 40000}) cursors.emplace_back(view(), PageOf(Key(from), 5));
  std::vector<int64_t> counts;
  int64_t steps = 0;
  while (counts.size() < 3) {
    for (storage::RangeCursor& cursor : cursors) {
      ++steps;
      if (cursor.Step({.rows_max = 100}) != Progress::kDone) continue;
      counts.push_back(cursor.TakeResponse().count());
      std::swap(cursor, cursors.back());
      cursors.pop_back();
      break;
    }
  }
  EXPECT_EQ(counts, (std::vector<int64_t>{20000, 40000, 60000}));
  EXPECT_LE(steps, 800) << "alone they would make 1200";
}

TEST_F(KeyCountsTest, ChangesMoveItOn) {
  PutKeys(0, 2000);
  const RangeRequest all = CountOf("", std::string("\0", 1));
  RowsFor(all);
  store_.Do(Delete(Key(5)));
  store_.Do(Put(Key(7), "again"));
  PutKeys(5000, 5100);
  EXPECT_LE(RowsFor(all), 250) << "103 changes";
  EXPECT_LE(RowsFor(all), 50) << "none";
  // At a revision that has passed, too.
  const int64_t before = view()->revision;
  PutKeys(6000, 6100);
  RowsFor(all);
  EXPECT_LE(RowsFor(CountOf("", std::string("\0", 1), before)), 250);
  EXPECT_LE(RowsFor(PageOf(Key(100), 20, before)), 300);
}

TEST_F(KeyCountsTest, ARevisionOfManyChangesIsCountedWhole) {
  PutKeys(0, 2000);
  const RangeRequest all = CountOf("", std::string("\0", 1));
  RowsFor(all);
  const std::shared_ptr<const ReadView> before = view();
  store_.Do(Delete(Key(100), Key(700)));
  const std::shared_ptr<const ReadView> after = view();
  // One reader leaves it in the middle of the revision; what others see is whole.
  storage::RangeCursor first(after, all);
  ASSERT_EQ(first.Step({.rows_max = 100}), Progress::kMore);
  EXPECT_EQ(Count(before, all).keys, 2000);
  EXPECT_EQ(Count(after, all).keys, 1400);
  while (first.Step({.rows_max = 100}) == Progress::kMore) {
  }
  EXPECT_EQ(first.TakeResponse().count(), 1400);
}

TEST_F(KeyCountsTest, NoMoreChangesAreReadThanKeysAreSpared) {
  PutKeys(0, 5000);
  RowsFor(CountOf("", std::string("\0", 1)));
  const int64_t before = view()->revision;
  store_.Do(Delete(Key(1000), Key(5000)));
  EXPECT_LE(RowsFor(CountOf(Key(0), Key(100))), 300);
  // Nor is all that was counted later corrected for a few.
  RowsFor(CountOf("", std::string("\0", 1)));
  EXPECT_LE(RowsFor(CountOf(Key(0), Key(100), before)), 300);
}

TEST_F(KeyCountsTest, ALaterCountIsNotGivenUpForAnEarlierOne) {
  PutKeys(0, 1000);
  const int64_t before = view()->revision;
  for (int i = 0; i < 1000; ++i) store_.Do(Put("other", "v"));
  const RangeRequest all = CountOf(Key(0), Key(1000));
  RowsFor(all);
  EXPECT_GE(RowsFor(CountOf(Key(0), Key(1000), before)), 1000);
  EXPECT_LE(RowsFor(all), 50);
}

TEST_F(KeyCountsTest, ManyWalksAtOnceHoldLittle) {
  PutKeys(0, 2000);
  const RangeRequest all = CountOf("", std::string("\0", 1));
  std::vector<storage::RangeCursor> cursors;
  for (int i = 0; i < 40; ++i) {
    cursors.emplace_back(view(), all);
    ASSERT_EQ(cursors.back().Step({.rows_max = 50}), Progress::kMore);
  }
  for (storage::RangeCursor& cursor : cursors) {
    while (cursor.Step({.rows_max = 5000}) == Progress::kMore) {
    }
    EXPECT_EQ(cursor.TakeResponse().count(), 2000);
  }
  cursors.clear();
  // What walks may hold is there again: the next one, which begins anew, is kept.
  store_.Do(Put("a", "v"));
  store_.Do(Put("a", "v"));
  store_.Do(Compact(view()->revision));
  EXPECT_GE(RowsFor(all), 2000);
  EXPECT_LE(RowsFor(all), 50);
}

TEST_F(KeyCountsTest, CompactionsTakeAwayWhatWouldMoveItOn) {
  PutKeys(0, 2000);
  const RangeRequest all = CountOf("", std::string("\0", 1));
  RowsFor(all);
  PutKeys(2000, 2100);
  store_.Do(Delete(Key(3)));
  store_.Do(Compact(view()->revision));
  store_.CollectAll();
  PutKeys(2100, 2110);
  EXPECT_GE(RowsFor(all), 2000) << "a walk, for what was counted is lost";
  EXPECT_LE(RowsFor(all), 50);
}

// Files of history are dropped whole, and one may end within a revision.
TEST_F(KeyCountsTest, ARevisionOfWhichHistoryHoldsAPartIsNotTrusted) {
  PutKeys(0, 2000);
  const RangeRequest all = CountOf("", std::string("\0", 1));
  RowsFor(all);
  store_.Do(Delete(Key(100), Key(700)));
  const int64_t deleted = view()->revision;
  store_.Do(Put("a", "v"));
  store_.Do(Compact(deleted + 1));
  storage::WriteBatch batch;
  batch.DeleteRange(storage::Family::kChanges, storage::ChangeKey({deleted, 300}),
                    storage::ChangeKey({deleted + 1, 0}));
  ASSERT_OK(store_.engine()->Write(batch));
  EXPECT_EQ(Count(view(), all).keys, 1401);
}

TEST_F(KeyCountsTest, APartThatHasGrownFarIsCountedAnew) {
  PutKeys(0, 2000, 2);
  RowsFor(CountOf("", std::string("\0", 1)));
  // All between two neighbours.
  for (uint64_t i = 0; i < 400; ++i) store_.Do(Put(Key(500) + "/" + Key(i), "v"));
  const RangeRequest within = PageOf(Key(500) + "/" + Key(5), 3);
  EXPECT_GE(RowsFor(within), 300);
  RowsFor(within);
  EXPECT_LE(RowsFor(within), 100);
}

// Its history begins at a revision that no change has made.
TEST_F(KeyCountsTest, AStoreFoundAnewIsCountedFromItsBase) {
  PutKeys(0, 1000);
  storage::InitialState initial;
  initial.configuration.members.push_back({raft::NodeId(5), {"http://new"}});
  initial.configuration.voters.push_back(raft::NodeId(5));
  initial.members.push_back({raft::NodeId(5), "new", {"http://new"}, {}, false});
  ASSERT_OK(storage::FoundAnew(*store_.engine(), initial, {.bump_revision = 1000}));
  store_.Reopen();
  store_.CollectAll();
  const RangeRequest all = CountOf("", std::string("\0", 1));
  EXPECT_GE(RowsFor(all), 1000);
  EXPECT_LE(RowsFor(all), 50);
  const int64_t base = view()->revision;
  store_.Do(Put("new", "v"));
  store_.Do(Delete(Key(7)));
  EXPECT_LE(RowsFor(all), 50);
  EXPECT_LE(RowsFor(CountOf("", std::string("\0", 1), base)), 50);
}

TEST_F(KeyCountsTest, EqualsAWalkWhateverHappens) {
  for (uint64_t seed = 1; seed <= 40 && !HasFailure(); ++seed) {
    SCOPED_TRACE(seed);
    raft::Random random(seed);
    Store store(nullptr, {.count_part_keys = static_cast<int64_t>(random.Between(1, 8))});
    const auto key = [&random] { return Key(random.Below(400)); };
    const auto command = [&]() -> internal::Command {
      switch (random.Below(10)) {
        case 0:
        case 1:
          return Delete(key());
        case 2:
          return random.OneIn(8) ? Delete(key(), key()) : Delete(key());
        default:
          return Put(key(), "v");
      }
    };
    for (int round = 0; round < 120; ++round) {
      std::vector<internal::Command> batch;
      for (uint64_t i = random.Between(1, 20); i > 0; --i) batch.push_back(command());
      store.DoBatch(batch);
      const std::shared_ptr<const ReadView> view = store.machine().view();
      if (random.OneIn(20))
        store.Do(Compact(view->revision - static_cast<int64_t>(random.Below(20))));
      if (random.OneIn(4)) store.CollectStep(static_cast<int64_t>(random.Between(1, 40)));
      for (int i = 0; i < 3; ++i) {
        const int64_t back = random.OneIn(2) ? 0 : static_cast<int64_t>(random.Below(60));
        const int64_t revision = back == 0 ? 0 : std::max<int64_t>(view->revision - back, 1);
        const std::string from = random.OneIn(3) ? "" : key();
        RangeRequest request = CountOf(from, random.OneIn(2) ? key() : std::string("\0", 1));
        if (random.OneIn(2)) request = PageOf(from, static_cast<int64_t>(random.Between(1, 9)));
        request.set_revision(revision);
        const Counted counted = Count(view, request, static_cast<int64_t>(random.Between(1, 30)));
        ExpectEqual(counted, Walked(*view, request), request);
      }
    }
  }
}

TEST_F(KeyCountsTest, ManyThreadsMayCount) {
  PutKeys(0, 3000);
  std::atomic<bool> stop = false;
  std::atomic<int> counts = 0;
  std::vector<std::thread> threads;
  for (uint64_t seed = 0; seed < 3; ++seed) {
    threads.emplace_back([&, seed] {
      raft::Random random(seed);
      while (!stop) {
        const auto current = view();
        const RangeRequest request = PageOf(Key(random.Below(3000)), 5);
        const Counted counted = Count(current, request, 64);
        ExpectEqual(counted, Walked(*current, request), request);
        ++counts;
      }
    });
  }
  raft::Random random(9);
  for (int i = 0; i < 300 || counts < 30; ++i) {
    store_.DoBatch({Put(Key(random.Below(4000)), "v"), Delete(Key(random.Below(4000)))});
    if (i % 100 == 99) {
      store_.Do(Compact(view()->revision - 5));
      store_.CollectAll();
    }
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
}

TEST(CountedPartsTest, TheirNumberIsBounded) {
  CountedParts parts("", 1);
  constexpr uint64_t kKeys = 5 * CountedParts::kPartsMax;
  for (uint64_t i = 0; i < kKeys; ++i) parts.Add(Key(i));
  EXPECT_EQ(parts.keys(), static_cast<int64_t>(kKeys));
  const CountedParts::Inside all = parts.PartsInside({"", std::nullopt});
  EXPECT_EQ(all.keys, static_cast<int64_t>(kKeys));
  EXPECT_EQ(all.span.end, std::nullopt);
  // Parts of 8 keys by now: as many are missing at each end at most.
  const CountedParts::Inside some = parts.PartsInside({Key(100), Key(300)});
  EXPECT_LE(some.keys, 200);
  EXPECT_GE(some.keys, 200 - 16);
  EXPECT_GE(some.span.begin, Key(100));
  EXPECT_LE(*some.span.end, Key(300));
}

TEST(CountedPartsTest, TheirKeysAreBoundedInBytes) {
  CountedParts parts("", 1);
  constexpr int64_t kKeys = 10000;
  for (int64_t i = 0; i < kKeys; ++i) {
    parts.Add(Key(static_cast<uint64_t>(i)) + std::string(1000, 'x'));
    ASSERT_LE(parts.key_bytes(), CountedParts::kBytesMax + 2000);
  }
  EXPECT_EQ(parts.PartsInside({"", std::nullopt}).keys, kKeys);
  EXPECT_GE(parts.PartsInside({Key(1000), Key(3000)}).keys, 2000 - 2 * 16);
}

TEST(CountedPartsTest, ASpanWithoutAWholePartHasNone) {
  CountedParts parts("b", 4);
  for (const char* key : {"c", "d", "e", "f", "g", "h", "i", "j"}) parts.Add(key);
  parts.EndAt("y");
  EXPECT_EQ(parts.PartsInside({"c", "f"}).keys, 0);
  EXPECT_EQ(parts.PartsInside({"b", "f"}).keys, 0);
  EXPECT_EQ(parts.PartsInside({"b", "g"}).keys, 4);
  EXPECT_EQ(parts.PartsInside({"a", "z"}).keys, 8);
  EXPECT_EQ(parts.PartsInside({"c", std::nullopt}).keys, 4);
  EXPECT_EQ(parts.PartsInside({"z", "a"}).keys, 0);
  parts.Count("x", 1);
  parts.Count("y", 1);
  parts.Count("a", 1);
  parts.Count("b", 1);
  EXPECT_EQ(parts.keys(), 10);
  EXPECT_EQ(parts.PartsInside({"b", "g"}).keys, 5);
}

}  // namespace
}  // namespace gavel::testing
