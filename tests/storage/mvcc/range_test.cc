// Ranges: each option of the contract, budgets, chunks, and reads that a compaction overtakes.

#include "storage/mvcc/range.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "storage/engine/map_engine.h"
#include "storage/mvcc/key_codec.h"
#include "tests/storage/state/store.h"

namespace gavel::testing {
namespace {

using etcdserverpb::RangeRequest;
using etcdserverpb::RangeResponse;
using storage::RequestError;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> Keys(const RangeResponse& response) {
  std::vector<std::string> keys;
  for (const auto& kv : response.kvs()) keys.push_back(kv.key());
  return keys;
}

// Keys a to e; by value the order is d b a c e, by version e is first, by create c.
class RangeTest : public ::testing::Test {
 protected:
  RangeTest() {
    store_.Do(Put("c", "4"));  // 2
    store_.Do(Put("a", "3"));  // 3
    store_.Do(Put("b", "2"));  // 4
    store_.Do(Put("d", "1"));  // 5
    store_.Do(Put("e", "5"));  // 6
    store_.Do(Put("e", "6"));  // 7
    store_.Do(Put("a", "3"));  // 8
    store_.Do(Delete("x"));
  }
  RangeResponse Answer(const RangeRequest& request) {
    const Store::RangeOutcome outcome = store_.Range(request);
    EXPECT_EQ(outcome.error, RequestError::kNone);
    return outcome.response;
  }
  RequestError Error(const RangeRequest& request) { return store_.Range(request).error; }

  Store store_;
};

TEST_F(RangeTest, NoEndIsOneKeyZeroEndIsAllLaterKeys) {
  EXPECT_THAT(Keys(Answer(RangeOf("b"))), ElementsAre("b"));
  EXPECT_THAT(Keys(Answer(RangeOf("b", std::string_view("\0", 1)))),
              ElementsAre("b", "c", "d", "e"));
  EXPECT_THAT(Keys(Answer(RangeOf("b", "d"))), ElementsAre("b", "c"));
  EXPECT_THAT(Keys(Answer(Everything())), ElementsAre("a", "b", "c", "d", "e"));
}

TEST_F(RangeTest, AReversedRangeIsEmptyAndNoError) {
  const RangeResponse response = Answer(RangeOf("d", "b"));
  EXPECT_THAT(Keys(response), IsEmpty());
  EXPECT_EQ(response.count(), 0);
  EXPECT_THAT(Keys(Answer(RangeOf("b", "b"))), IsEmpty());
}

TEST_F(RangeTest, ASingleKeyRangeSetsCount) {
  EXPECT_EQ(Answer(RangeOf("b")).count(), 1);
  EXPECT_EQ(Answer(RangeOf("nope")).count(), 0);
}

TEST_F(RangeTest, AKeyComesWithItsHistoryNumbers) {
  const RangeResponse response = Answer(RangeOf("e"));
  EXPECT_EQ(response.header().revision(), 8);
  EXPECT_EQ(response.kvs(0).create_revision(), 6);
  EXPECT_EQ(response.kvs(0).mod_revision(), 7);
  EXPECT_EQ(response.kvs(0).version(), 2);
  EXPECT_EQ(response.kvs(0).value(), "6");
}

TEST_F(RangeTest, LimitCutsAndTellsOfMoreAndCountStaysWhole) {
  RangeRequest request = Everything();
  request.set_limit(2);
  const RangeResponse cut = Answer(request);
  EXPECT_THAT(Keys(cut), ElementsAre("a", "b"));
  EXPECT_TRUE(cut.more());
  EXPECT_EQ(cut.count(), 5);
  request.set_limit(5);
  EXPECT_FALSE(Answer(request).more());
}

TEST_F(RangeTest, ANegativeLimitIsNoLimit) {
  RangeRequest request = Everything();
  request.set_limit(-3);
  EXPECT_EQ(Answer(request).kvs_size(), 5);
  EXPECT_FALSE(Answer(request).more());
}

TEST_F(RangeTest, AnOldRevisionShowsTheOldStateAndTheNewHeader) {
  RangeRequest request = Everything();
  request.set_revision(4);
  const RangeResponse response = Answer(request);
  EXPECT_THAT(Keys(response), ElementsAre("a", "b", "c"));
  EXPECT_EQ(response.header().revision(), 8);
}

TEST_F(RangeTest, ARevisionBelowZeroIsTheNewest) {
  RangeRequest request = Everything();
  request.set_revision(-5);
  EXPECT_EQ(Answer(request).kvs_size(), 5);
}

TEST_F(RangeTest, AFutureRevisionIsRefused) {
  RangeRequest request = Everything();
  request.set_revision(9);
  EXPECT_EQ(Error(request), RequestError::kFutureRevision);
}

TEST_F(RangeTest, BelowTheCompactedRevisionIsRefusedAtItIsAllowed) {
  store_.Do(Compact(6));
  RangeRequest request = RangeOf("e");
  request.set_revision(5);
  EXPECT_EQ(Error(request), RequestError::kCompacted);
  request.set_revision(6);
  EXPECT_EQ(Answer(request).kvs(0).value(), "5");
}

TEST_F(RangeTest, KeysOnlyLeavesOutTheValueButNotTheLease) {
  store_.AddLease(9);
  internal::Command put = Put("leased", "value");
  put.mutable_put()->set_lease(9);
  store_.Do(put);
  RangeRequest request = RangeOf("leased");
  request.set_keys_only(true);
  const RangeResponse response = Answer(request);
  EXPECT_EQ(response.kvs(0).value(), "");
  EXPECT_EQ(response.kvs(0).lease(), 9);
  EXPECT_EQ(response.kvs(0).mod_revision(), 9);
}

TEST_F(RangeTest, CountOnlyIgnoresTheLimit) {
  RangeRequest request = Everything();
  request.set_count_only(true);
  request.set_limit(1);
  const RangeResponse response = Answer(request);
  EXPECT_EQ(response.kvs_size(), 0);
  EXPECT_EQ(response.count(), 5);
  EXPECT_FALSE(response.more());
}

TEST_F(RangeTest, SortsByEachTargetUpAndDown) {
  const auto sorted = [&](RangeRequest::SortTarget target, RangeRequest::SortOrder order) {
    RangeRequest request = Everything();
    request.set_sort_target(target);
    request.set_sort_order(order);
    return Keys(Answer(request));
  };
  EXPECT_THAT(sorted(RangeRequest::KEY, RangeRequest::DESCEND),
              ElementsAre("e", "d", "c", "b", "a"));
  EXPECT_THAT(sorted(RangeRequest::VALUE, RangeRequest::ASCEND),
              ElementsAre("d", "b", "a", "c", "e"));
  EXPECT_THAT(sorted(RangeRequest::CREATE, RangeRequest::ASCEND),
              ElementsAre("c", "a", "b", "d", "e"));
  EXPECT_THAT(sorted(RangeRequest::MOD, RangeRequest::DESCEND),
              ElementsAre("a", "e", "d", "b", "c"));
  // Equal versions stay in key order, whichever way the sort goes.
  EXPECT_THAT(sorted(RangeRequest::VERSION, RangeRequest::ASCEND),
              ElementsAre("b", "c", "d", "a", "e"));
  EXPECT_THAT(sorted(RangeRequest::VERSION, RangeRequest::DESCEND),
              ElementsAre("a", "e", "b", "c", "d"));
}

TEST_F(RangeTest, ATargetWithoutAnOrderSortsUpwards) {
  RangeRequest request = Everything();
  request.set_sort_target(RangeRequest::VALUE);
  EXPECT_THAT(Keys(Answer(request)), ElementsAre("d", "b", "a", "c", "e"));
}

// With an order the whole range is sorted and then cut; without one etcd cuts first, in key order
// and one row too far.
TEST_F(RangeTest, ALimitCutsBeforeSortingOnlyWithoutAnOrder) {
  RangeRequest request = Everything();
  request.set_sort_target(RangeRequest::VALUE);
  request.set_limit(1);
  RangeResponse response = Answer(request);
  EXPECT_THAT(Keys(response), ElementsAre("b"));  // Of a and b, the one with the smaller value.
  EXPECT_TRUE(response.more());
  request.set_sort_order(RangeRequest::ASCEND);
  EXPECT_THAT(Keys(Answer(request)), ElementsAre("d"));
}

TEST_F(RangeTest, EqualValuesKeepKeyOrderAlsoInLongResults) {
  Store store;
  for (int i = 0; i < 500; ++i) {
    store.Do(Put("k" + std::to_string(1000 + i), std::to_string(i % 2)));
  }
  for (const auto order : {RangeRequest::ASCEND, RangeRequest::DESCEND}) {
    for (const int64_t limit : {0, 3, 100, 300}) {
      RangeRequest request = Everything();
      request.set_sort_target(RangeRequest::VALUE);
      request.set_sort_order(order);
      request.set_limit(limit);
      const RangeResponse response = store.Range(request).response;
      EXPECT_EQ(response.kvs_size(), limit == 0 ? 500 : limit);
      EXPECT_EQ(response.more(), limit != 0);
      for (int i = 1; i < response.kvs_size(); ++i) {
        if (response.kvs(i - 1).value() == response.kvs(i).value()) {
          ASSERT_LT(response.kvs(i - 1).key(), response.kvs(i).key());
        }
      }
    }
  }
}

TEST_F(RangeTest, SortNumbersOutsideTheirEnumerationAreRefused) {
  RangeRequest request = Everything();
  request.set_sort_target(static_cast<RangeRequest::SortTarget>(5));
  EXPECT_EQ(Error(request), RequestError::kInvalidSort);
  request = Everything();
  request.set_sort_order(static_cast<RangeRequest::SortOrder>(3));
  EXPECT_EQ(Error(request), RequestError::kInvalidSort);
}

TEST_F(RangeTest, FiltersActBeforeTheLimitAndNotOnTheCount) {
  RangeRequest request = Everything();
  request.set_min_mod_revision(5);
  request.set_limit(2);
  RangeResponse response = Answer(request);
  EXPECT_THAT(Keys(response), ElementsAre("a", "d"));
  EXPECT_TRUE(response.more());
  EXPECT_EQ(response.count(), 5);

  request = Everything();
  request.set_max_mod_revision(4);
  EXPECT_THAT(Keys(Answer(request)), ElementsAre("b", "c"));
  request = Everything();
  request.set_min_create_revision(4);
  request.set_max_create_revision(5);
  response = Answer(request);
  EXPECT_THAT(Keys(response), ElementsAre("b", "d"));
  EXPECT_EQ(response.count(), 5);
}

TEST_F(RangeTest, AKeyWithManyVersionsIsPassedBySeeking) {
  for (int i = 0; i < 1000; ++i) store_.Do(Put("c", std::to_string(i)));
  RangeRequest request = Everything();
  // Newest: the old versions of c are skipped; old revision: the new ones are.
  for (const int64_t revision : {0, 8}) {
    request.set_revision(revision);
    storage::RangeCursor cursor(store_.machine().view(), request);
    EXPECT_EQ(cursor.Step({.rows_max = 60}), storage::RangeCursor::Progress::kDone);
    EXPECT_THAT(Keys(cursor.TakeResponse()), ElementsAre("a", "b", "c", "d", "e"));
  }
}

TEST_F(RangeTest, AStepEndsWithItsBudget) {
  storage::RangeCursor by_rows(store_.machine().view(), Everything());
  int steps = 1;
  while (by_rows.Step({.rows_max = 1}) == storage::RangeCursor::Progress::kMore) ++steps;
  EXPECT_GE(steps, 5);
  EXPECT_EQ(by_rows.TakeResponse().kvs_size(), 5);

  storage::RangeCursor by_bytes(store_.machine().view(), Everything());
  EXPECT_EQ(by_bytes.Step({.rows_max = 1000, .bytes_max = 3}),
            storage::RangeCursor::Progress::kMore);
  EXPECT_EQ(by_bytes.TakeChunk().kvs_size(), 2);
}

TEST_F(RangeTest, ChunksTogetherAreTheAnswer) {
  RangeRequest request = Everything();
  request.set_limit(4);
  storage::RangeCursor cursor(store_.machine().view(), request);
  RangeResponse merged;
  while (cursor.Step({.rows_max = 2}) == storage::RangeCursor::Progress::kMore) {
    const RangeResponse chunk = cursor.TakeChunk();
    EXPECT_FALSE(chunk.has_header());
    EXPECT_FALSE(chunk.more());
    EXPECT_EQ(chunk.count(), 0);
    merged.MergeFrom(chunk);
  }
  EXPECT_GT(merged.kvs_size(), 0);
  merged.MergeFrom(cursor.TakeResponse());
  EXPECT_EQ(merged.ShortDebugString(), Answer(request).ShortDebugString());
}

// Writes after the view was taken are not seen, in no step.
TEST_F(RangeTest, AViewStaysAsItIs) {
  storage::RangeCursor cursor(store_.machine().view(), Everything());
  ASSERT_EQ(cursor.Step({.rows_max = 2}), storage::RangeCursor::Progress::kMore);
  store_.Do(Put("d", "new"));
  store_.Do(Delete("e"));
  store_.Do(Put("f", "new"));
  while (cursor.Step({}) == storage::RangeCursor::Progress::kMore) {
  }
  const RangeResponse response = cursor.TakeResponse();
  EXPECT_THAT(Keys(response), ElementsAre("a", "b", "c", "d", "e"));
  EXPECT_EQ(response.kvs(3).value(), "1");
  EXPECT_EQ(response.header().revision(), 8);
}

TEST_F(RangeTest, ACompactionThatOvertakesANewestReadMakesItStartOver) {
  storage::RangeCursor cursor(store_.machine().view(), Everything());
  ASSERT_EQ(cursor.Step({.rows_max = 2}), storage::RangeCursor::Progress::kMore);
  store_.Do(Put("a", "new"));
  store_.Do(Compact(9));
  store_.CollectAll();
  EXPECT_EQ(cursor.Step({}), storage::RangeCursor::Progress::kOvertaken);
  EXPECT_THAT(Keys(Answer(Everything())), ElementsAre("a", "b", "c", "d", "e"));
}

TEST_F(RangeTest, ACompactionThatOvertakesAnOldReadRefusesIt) {
  RangeRequest request = Everything();
  request.set_revision(5);
  storage::RangeCursor cursor(store_.machine().view(), request);
  ASSERT_EQ(cursor.Step({.rows_max = 2}), storage::RangeCursor::Progress::kMore);
  store_.Do(Compact(6));
  store_.CollectAll();
  EXPECT_EQ(cursor.Step({}), storage::RangeCursor::Progress::kRefused);
  EXPECT_EQ(cursor.error(), RequestError::kCompacted);
}

TEST_F(RangeTest, ACompactionAtTheRevisionReadDoesNoHarm) {
  RangeRequest request = Everything();
  request.set_revision(6);
  storage::RangeCursor cursor(store_.machine().view(), request);
  ASSERT_EQ(cursor.Step({.rows_max = 2}), storage::RangeCursor::Progress::kMore);
  store_.Do(Compact(6));
  store_.CollectAll();
  EXPECT_EQ(cursor.Step({}), storage::RangeCursor::Progress::kDone);
  EXPECT_EQ(cursor.TakeResponse().kvs(4).value(), "5");
}

TEST_F(RangeTest, ADamagedRowEndsTheReadWithAnError) {
  storage::WriteBatch batch;
  batch.Put(storage::Family::kVersions, storage::VersionKey("b", {8, 0}), "\x07");
  ASSERT_TRUE(store_.engine()->Write(batch).ok());
  storage::RangeCursor cursor(store_.machine().view(), Everything());
  EXPECT_EQ(cursor.Step({}), storage::RangeCursor::Progress::kFailed);
  EXPECT_EQ(cursor.status().code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace gavel::testing
