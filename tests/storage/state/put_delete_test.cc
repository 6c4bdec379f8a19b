// Puts, deletions and compactions: each rule of the contract.

#include <vector>

#include "gtest/gtest.h"

#include "tests/storage/state/store.h"

namespace gavel::testing {
namespace {

using etcdserverpb::CompactionResponse;
using etcdserverpb::DeleteRangeResponse;
using etcdserverpb::PutResponse;
using storage::RequestError;

mvccpb::KeyValue Row(Store& store, std::string_view key) {
  return store.Range(RangeOf(key)).response.kvs(0);
}
int64_t Revision(Store& store) { return store.machine().view()->revision; }

TEST(RevisionTest, AFreshStoreHasOneAndTheFirstPutGetsTwo) {
  Store store;
  EXPECT_EQ(Revision(store), 1);
  EXPECT_EQ(store.Get<PutResponse>(Put("a", "1")).header().revision(), 2);
  EXPECT_EQ(Revision(store), 2);
}

TEST(RevisionTest, APutOfTheSameValueCounts) {
  Store store;
  store.Do(Put("a", "1"));
  store.Do(Put("a", "1"));
  EXPECT_EQ(Revision(store), 3);
  EXPECT_EQ(Row(store, "a").version(), 2);
}

TEST(RevisionTest, ADeletionOfNothingDoesNotCount) {
  Store store;
  store.Do(Put("a", "1"));
  const auto response = store.Get<DeleteRangeResponse>(Delete("b"));
  EXPECT_EQ(response.deleted(), 0);
  EXPECT_EQ(response.header().revision(), 2);
  EXPECT_EQ(Revision(store), 2);
}

TEST(PutTest, CreationAndVersionStartAnewAfterADeletion) {
  Store store;
  store.Do(Put("a", "1"));  // 2
  store.Do(Put("a", "2"));  // 3
  store.Do(Delete("a"));    // 4
  store.Do(Put("a", "3"));  // 5
  const mvccpb::KeyValue row = Row(store, "a");
  EXPECT_EQ(row.create_revision(), 5);
  EXPECT_EQ(row.mod_revision(), 5);
  EXPECT_EQ(row.version(), 1);
}

TEST(PutTest, PrevKvIsTheRowBefore) {
  Store store;
  internal::Command put = Put("a", "1");
  put.mutable_put()->set_prev_kv(true);
  EXPECT_FALSE(store.Get<PutResponse>(put).has_prev_kv());
  put.mutable_put()->set_value("2");
  const auto response = store.Get<PutResponse>(put);
  EXPECT_EQ(response.prev_kv().value(), "1");
  EXPECT_EQ(response.prev_kv().mod_revision(), 2);
}

TEST(PutTest, AnUnknownLeaseIsRefused) {
  Store store;
  internal::Command put = Put("a", "1");
  put.mutable_put()->set_lease(5);
  EXPECT_EQ(store.Do(put).error, RequestError::kLeaseNotFound);
  EXPECT_EQ(Revision(store), 1);
  EXPECT_EQ(store.Value("a"), "(none)");
}

TEST(PutTest, LeaseZeroDetachesAndIgnoreLeaseKeeps) {
  Store store;
  store.AddLease(5);
  store.AddLease(-6);
  internal::Command put = Put("a", "1");
  put.mutable_put()->set_lease(5);
  store.Do(put);
  EXPECT_EQ(Row(store, "a").lease(), 5);
  EXPECT_EQ(Dump(*store.engine(), storage::Family::kLeaseKeys).size(), 1u);

  internal::Command keep = Put("a", "2");
  keep.mutable_put()->set_ignore_lease(true);
  store.Do(keep);
  EXPECT_EQ(Row(store, "a").lease(), 5);
  EXPECT_EQ(Row(store, "a").value(), "2");

  put.mutable_put()->set_lease(-6);
  store.Do(put);
  const auto attached = Dump(*store.engine(), storage::Family::kLeaseKeys);
  ASSERT_EQ(attached.size(), 1u);
  EXPECT_EQ(attached.begin()->first, storage::LeaseKeyKey(-6, "a"));

  store.Do(Put("a", "3"));
  EXPECT_EQ(Row(store, "a").lease(), 0);
  EXPECT_TRUE(Dump(*store.engine(), storage::Family::kLeaseKeys).empty());
}

TEST(PutTest, ADeletedKeyIsDetachedFromItsLease) {
  Store store;
  store.AddLease(5);
  internal::Command put = Put("a", "1");
  put.mutable_put()->set_lease(5);
  store.Do(put);
  store.Do(Delete("a"));
  EXPECT_TRUE(Dump(*store.engine(), storage::Family::kLeaseKeys).empty());
}

TEST(PutTest, IgnoreValueKeepsTheValueAndNeedsTheKey) {
  Store store;
  internal::Command put = Put("a", "");
  put.mutable_put()->set_ignore_value(true);
  EXPECT_EQ(store.Do(put).error, RequestError::kKeyNotFound);
  store.Do(Put("a", "1"));
  EXPECT_EQ(store.Do(put).error, RequestError::kNone);
  EXPECT_EQ(Row(store, "a").value(), "1");
  EXPECT_EQ(Row(store, "a").version(), 2);
  store.Do(Delete("a"));
  EXPECT_EQ(store.Do(put).error, RequestError::kKeyNotFound);
}

TEST(PutTest, AnUnknownLeaseIsReportedBeforeAMissingKey) {
  Store store;
  internal::Command put = Put("a", "");
  put.mutable_put()->set_ignore_value(true);
  put.mutable_put()->set_lease(5);
  EXPECT_EQ(store.Do(put).error, RequestError::kLeaseNotFound);
}

TEST(DeleteTest, AllDeletedKeysShareOneRevision) {
  Store store;
  for (const char* key : {"a", "b", "c", "d"}) store.Do(Put(key, key));
  internal::Command command = Delete("b", "d");
  command.mutable_delete_range()->set_prev_kv(true);
  const auto response = store.Get<DeleteRangeResponse>(command);
  EXPECT_EQ(response.deleted(), 2);
  EXPECT_EQ(response.header().revision(), 6);
  ASSERT_EQ(response.prev_kvs_size(), 2);
  EXPECT_EQ(response.prev_kvs(0).value(), "b");
  EXPECT_EQ(response.prev_kvs(1).mod_revision(), 4);
  EXPECT_EQ(Revision(store), 6);
  EXPECT_EQ(StoredChanges(*store.engine()).count({"b", 6, 0}), 1u);
  EXPECT_EQ(StoredChanges(*store.engine()).count({"c", 6, 1}), 1u);
}

TEST(DeleteTest, AReversedRangeDeletesNothing) {
  Store store;
  store.Do(Put("b", "1"));
  EXPECT_EQ(store.Get<DeleteRangeResponse>(Delete("c", "a")).deleted(), 0);
  EXPECT_EQ(store.Value("b"), "1");
}

TEST(DeleteTest, OldRevisionsStillShowADeletedKey) {
  Store store;
  store.Do(Put("a", "1"));
  store.Do(Delete("a"));
  EXPECT_EQ(store.Value("a"), "(none)");
  EXPECT_EQ(store.Value("a", 2), "1");
}

TEST(CompactTest, ZeroSucceedsOnceOnAFreshStore) {
  Store store;
  EXPECT_EQ(store.Do(Compact(-1)).error, RequestError::kCompacted);
  EXPECT_EQ(store.Get<CompactionResponse>(Compact(0)).header().revision(), 1);
  EXPECT_EQ(store.Do(Compact(0)).error, RequestError::kCompacted);
  EXPECT_EQ(store.Do(Compact(1)).error, RequestError::kNone);
}

TEST(CompactTest, AtOrBelowTheCompactedRevisionIsRefused) {
  Store store;
  for (int i = 0; i < 5; ++i) store.Do(Put("a", "1"));
  EXPECT_EQ(store.Do(Compact(4)).error, RequestError::kNone);
  EXPECT_EQ(store.Do(Compact(4)).error, RequestError::kCompacted);
  EXPECT_EQ(store.Do(Compact(3)).error, RequestError::kCompacted);
  EXPECT_EQ(store.Do(Compact(-1)).error, RequestError::kCompacted);
  EXPECT_EQ(store.machine().view()->compacted, 4);
}

TEST(CompactTest, AboveTheRevisionIsRefusedAtItIsAllowed) {
  Store store;
  store.Do(Put("a", "1"));
  EXPECT_EQ(store.Do(Compact(3)).error, RequestError::kFutureRevision);
  EXPECT_EQ(store.Do(Compact(2)).error, RequestError::kNone);
  EXPECT_EQ(store.Value("a"), "1");
}

// All keys gone and all history compacted: the revision survives a restart (it is not found out
// from the rows).
TEST(CompactTest, TheRevisionSurvivesWhenNoKeyIsLeft) {
  Store store;
  store.Do(Put("a", "1"));
  store.Do(Delete("a"));
  store.Do(Compact(3));
  store.CollectAll();
  store.Reopen();
  EXPECT_EQ(Revision(store), 3);
  EXPECT_EQ(store.machine().view()->compacted, 3);
  EXPECT_EQ(store.Get<PutResponse>(Put("a", "2")).header().revision(), 4);
}

TEST(SizesTest, CompactionMovesSupersededBytesOutAndCollectionChangesNothing) {
  Store store;
  store.Do(Put("key", "12345"));  // 2
  store.Do(Put("key", "1"));      // 3
  store.Do(Put("other", ""));     // 4
  store.Do(Delete("other"));      // 5
  const auto before = store.machine().sizes();
  EXPECT_EQ(before.keys, 1);
  EXPECT_EQ(before.live_bytes, 2 * 3 + 1 + 40);
  EXPECT_EQ(before.superseded_bytes, (2 * 3 + 5 + 40) + 2 * (2 * 5 + 40));
  store.Do(Compact(3));
  EXPECT_EQ(store.machine().sizes().superseded_bytes, 2 * (2 * 5 + 40));
  store.CollectAll();
  store.Reopen();
  EXPECT_EQ(store.machine().sizes().superseded_bytes, 2 * (2 * 5 + 40));
  store.Do(Compact(5));
  EXPECT_EQ(store.machine().sizes().superseded_bytes, 0);
  EXPECT_EQ(store.machine().sizes().live_bytes, 2 * 3 + 1 + 40);
}

}  // namespace
}  // namespace gavel::testing
