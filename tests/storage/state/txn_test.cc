// Transactions: each rule of the contract.

#include "gtest/gtest.h"

#include "storage/mvcc/txn.h"
#include "tests/storage/state/store.h"

namespace gavel::testing {
namespace {

using etcdserverpb::Compare;
using etcdserverpb::RangeRequest;
using etcdserverpb::RequestOp;
using etcdserverpb::TxnRequest;
using etcdserverpb::TxnResponse;
using storage::RequestError;

RequestOp PutOp(std::string_view key, std::string_view value) {
  RequestOp op;
  *op.mutable_request_put() = Put(key, value).put();
  return op;
}
RequestOp DeleteOp(std::string_view key) {
  RequestOp op;
  *op.mutable_request_delete_range() = Delete(key).delete_range();
  return op;
}
RequestOp RangeOp(std::string_view key, int64_t revision = 0) {
  RequestOp op;
  *op.mutable_request_range() = RangeOf(key);
  op.mutable_request_range()->set_revision(revision);
  return op;
}
RequestOp TxnOp(const TxnRequest& txn) {
  RequestOp op;
  *op.mutable_request_txn() = txn;
  return op;
}
TxnRequest Then(const std::vector<RequestOp>& ops) {
  TxnRequest txn;
  for (const RequestOp& op : ops) *txn.add_success() = op;
  return txn;
}
internal::Command Txn(const TxnRequest& txn) {
  internal::Command command;
  *command.mutable_txn() = txn;
  return command;
}
Compare On(std::string_view key, Compare::CompareTarget target, Compare::CompareResult result) {
  Compare compare;
  compare.set_key(std::string(key));
  compare.set_target(target);
  compare.set_result(result);
  return compare;
}

class TxnTest : public ::testing::Test {
 protected:
  TxnTest() {
    store_.Do(Put("a", "1"));  // 2
    store_.Do(Put("a", "2"));  // 3
    store_.Do(Put("b", "7"));  // 4
  }
  TxnResponse Run(const TxnRequest& txn) { return store_.Get<TxnResponse>(Txn(txn)); }
  RequestError Error(const TxnRequest& txn) { return store_.Do(Txn(txn)).error; }
  bool Holds(const Compare& compare) {
    TxnRequest txn;
    *txn.add_compare() = compare;
    return Run(txn).succeeded();
  }
  int64_t revision() { return store_.machine().view()->revision; }

  Store store_;
};

// As etcd counts them: a transaction of one operation is that operation.
TEST_F(TxnTest, OperationsAreCounted) {
  const storage::OperationCounts before = store_.machine().operations();
  EXPECT_EQ(before.puts, 3u);
  EXPECT_EQ(before.txns, 0u);
  Run(Then({PutOp("c", "1")}));
  Run(Then({PutOp("c", "1"), TxnOp(Then({PutOp("d", "1"), DeleteOp("a")}))}));
  Run({});
  store_.Do(Delete("nothing"));
  EXPECT_EQ(Error(Then({PutOp("e", "1"), RangeOp("a", 1000)})), RequestError::kFutureRevision);
  const storage::OperationCounts after = store_.machine().operations();
  EXPECT_EQ(after.puts, 6u) << "a refusal carries out nothing";
  EXPECT_EQ(after.deletes, 2u);
  EXPECT_EQ(after.txns, 2u);
}

TEST_F(TxnTest, NoComparesSucceed) { EXPECT_TRUE(Run({}).succeeded()); }

TEST_F(TxnTest, AllComparesMustHold) {
  TxnRequest txn;
  Compare yes = On("a", Compare::VERSION, Compare::EQUAL);
  yes.set_version(2);
  Compare no = yes;
  no.set_version(3);
  *txn.add_compare() = yes;
  *txn.add_success() = PutOp("then", "");
  *txn.add_failure() = PutOp("else", "");
  EXPECT_TRUE(Run(txn).succeeded());
  *txn.add_compare() = no;
  EXPECT_FALSE(Run(txn).succeeded());
  EXPECT_EQ(store_.Value("then"), "");
  EXPECT_EQ(store_.Value("else"), "");
}

TEST_F(TxnTest, EachTargetIsComparedWithItsNumber) {
  store_.AddLease(5);
  internal::Command put = Put("leased", "v");
  put.mutable_put()->set_lease(5);
  store_.Do(put);
  Compare compare = On("a", Compare::VERSION, Compare::EQUAL);
  compare.set_version(2);
  EXPECT_TRUE(Holds(compare));
  compare = On("a", Compare::CREATE, Compare::EQUAL);
  compare.set_create_revision(2);
  EXPECT_TRUE(Holds(compare));
  compare = On("a", Compare::MOD, Compare::EQUAL);
  compare.set_mod_revision(3);
  EXPECT_TRUE(Holds(compare));
  compare = On("a", Compare::VALUE, Compare::EQUAL);
  compare.set_value("2");
  EXPECT_TRUE(Holds(compare));
  compare = On("leased", Compare::LEASE, Compare::EQUAL);
  compare.set_lease(5);
  EXPECT_TRUE(Holds(compare));
}

TEST_F(TxnTest, EachResultIsWhatItSays) {
  for (const int64_t version : {1, 2, 3}) {
    Compare compare = On("a", Compare::VERSION, Compare::EQUAL);
    compare.set_version(version);
    EXPECT_EQ(Holds(compare), 2 == version);
    compare.set_result(Compare::NOT_EQUAL);
    EXPECT_EQ(Holds(compare), 2 != version);
    compare.set_result(Compare::GREATER);
    EXPECT_EQ(Holds(compare), 2 > version);
    compare.set_result(Compare::LESS);
    EXPECT_EQ(Holds(compare), 2 < version);
  }
}

TEST_F(TxnTest, AMissingKeyIsAllZerosButHasNoValue) {
  EXPECT_TRUE(Holds(On("x", Compare::VERSION, Compare::EQUAL)));
  EXPECT_TRUE(Holds(On("x", Compare::CREATE, Compare::EQUAL)));
  EXPECT_TRUE(Holds(On("x", Compare::MOD, Compare::EQUAL)));
  EXPECT_TRUE(Holds(On("x", Compare::LEASE, Compare::EQUAL)));
  for (const auto result : {Compare::EQUAL, Compare::NOT_EQUAL, Compare::GREATER, Compare::LESS}) {
    EXPECT_FALSE(Holds(On("x", Compare::VALUE, result)));
  }
}

TEST_F(TxnTest, AnUnsetOrWrongUnionFieldComparesWithZero) {
  Compare compare = On("a", Compare::VERSION, Compare::GREATER);
  EXPECT_TRUE(Holds(compare));
  compare.set_mod_revision(100);
  EXPECT_TRUE(Holds(compare));
  EXPECT_TRUE(Holds(On("a", Compare::VALUE, Compare::GREATER)));
}

TEST_F(TxnTest, EveryKeyOfARangeMustHold) {
  Compare compare = On("a", Compare::VERSION, Compare::GREATER);
  compare.set_range_end("c");
  compare.set_version(0);
  EXPECT_TRUE(Holds(compare));
  compare.set_version(1);
  EXPECT_FALSE(Holds(compare));  // b has version 1.
}

TEST_F(TxnTest, AnEmptyRangeCountsAsOneMissingKey) {
  Compare compare = On("x", Compare::VERSION, Compare::EQUAL);
  compare.set_range_end("z");
  EXPECT_TRUE(Holds(compare));
  compare.set_result(Compare::GREATER);
  EXPECT_FALSE(Holds(compare));
  compare.set_target(Compare::VALUE);
  compare.set_result(Compare::NOT_EQUAL);
  EXPECT_FALSE(Holds(compare));
}

TEST_F(TxnTest, OperationsShareOneRevisionWithSubRevisionsInOrder) {
  const TxnResponse response =
      Run(Then({PutOp("x", "1"), PutOp("w", "2"), DeleteOp("a"), PutOp("y", "3")}));
  EXPECT_EQ(response.header().revision(), 5);
  EXPECT_EQ(revision(), 5);
  const std::set<Model::Row> changes = StoredChanges(*store_.engine());
  for (const Model::Row& row :
       std::set<Model::Row>{{"x", 5, 0}, {"w", 5, 1}, {"a", 5, 2}, {"y", 5, 3}}) {
    EXPECT_EQ(changes.count(row), 1u) << std::get<0>(row);
  }
}

TEST_F(TxnTest, ARangeSeesEarlierOperationsAndNotLaterOnes) {
  const TxnResponse response =
      Run(Then({RangeOp("k"), PutOp("k", "1"), RangeOp("k"), RangeOp("a", 3)}));
  EXPECT_EQ(response.responses(0).response_range().kvs_size(), 0);
  EXPECT_EQ(response.responses(0).response_range().header().revision(), 4);
  ASSERT_EQ(response.responses(2).response_range().kvs_size(), 1);
  EXPECT_EQ(response.responses(2).response_range().kvs(0).mod_revision(), 5);
  EXPECT_EQ(response.responses(2).response_range().header().revision(), 5);
  EXPECT_EQ(response.responses(3).response_range().kvs(0).value(), "2");
}

TEST_F(TxnTest, AReadOnlyOrEmptyBranchDoesNotMoveTheRevision) {
  EXPECT_EQ(Run(Then({RangeOp("a"), DeleteOp("nothing")})).header().revision(), 4);
  TxnRequest txn;
  *txn.add_compare() = On("x", Compare::VERSION, Compare::GREATER);
  *txn.add_success() = PutOp("never", "");
  EXPECT_FALSE(Run(txn).succeeded());
  EXPECT_EQ(revision(), 4);
}

// The nested compare asks for a key that the outer transaction has just written.
TEST_F(TxnTest, NestedComparesSeeTheStateBeforeTheWholeTransaction) {
  TxnRequest nested;
  *nested.add_compare() = On("new", Compare::CREATE, Compare::EQUAL);  // Not there: zero.
  *nested.add_success() = PutOp("missing", "yes");
  *nested.add_failure() = PutOp("present", "yes");
  const TxnResponse response = Run(Then({PutOp("new", "1"), TxnOp(nested)}));
  EXPECT_TRUE(response.responses(1).response_txn().succeeded());
  EXPECT_EQ(store_.Value("missing"), "yes");
  EXPECT_EQ(store_.Value("present"), "(none)");
}

// As etcd answers: the header of a nested transaction is there and empty.
TEST_F(TxnTest, HeadersOfNestedOperationsCarryOnlyTheRevision) {
  const TxnResponse response = Run(Then({TxnOp(Then({PutOp("n", "1"), RangeOp("n")}))}));
  const TxnResponse& nested = response.responses(0).response_txn();
  EXPECT_TRUE(nested.has_header());
  EXPECT_EQ(nested.header().revision(), 0);
  EXPECT_EQ(nested.responses(0).response_put().header().revision(), 5);
  EXPECT_EQ(nested.responses(1).response_range().header().revision(), 5);
}

TEST_F(TxnTest, SiblingsMayPutAndDeleteOneKeyInOneRevision) {
  const TxnResponse response =
      Run(Then({TxnOp(Then({PutOp("s", "1")})), TxnOp(Then({DeleteOp("s")})), RangeOp("s")}));
  EXPECT_EQ(response.responses(1).response_txn().responses(0).response_delete_range().deleted(), 1);
  EXPECT_EQ(response.responses(2).response_range().kvs_size(), 0);
  EXPECT_EQ(store_.Value("s"), "(none)");
  const std::set<Model::Row> changes = StoredChanges(*store_.engine());
  EXPECT_EQ(changes.count({"s", 5, 0}), 1u);
  EXPECT_EQ(changes.count({"s", 5, 1}), 1u);
  EXPECT_EQ(store_.Get<etcdserverpb::PutResponse>(Put("s", "2")).header().revision(), 6);
  EXPECT_EQ(store_.Range(RangeOf("s")).response.kvs(0).version(), 1);
}

TEST_F(TxnTest, ARefusalOfOneOperationRefusesAll) {
  RequestOp leased = PutOp("l", "");
  leased.mutable_request_put()->set_lease(99);
  EXPECT_EQ(Error(Then({PutOp("x", "1"), leased})), RequestError::kLeaseNotFound);
  RequestOp ignoring = PutOp("missing", "");
  ignoring.mutable_request_put()->set_ignore_lease(true);
  EXPECT_EQ(Error(Then({PutOp("x", "1"), TxnOp(Then({ignoring}))})), RequestError::kKeyNotFound);
  EXPECT_EQ(Error(Then({PutOp("x", "1"), RangeOp("a", 5)})), RequestError::kFutureRevision);
  RequestOp sorted = RangeOp("a");
  sorted.mutable_request_range()->set_sort_target(static_cast<RangeRequest::SortTarget>(9));
  EXPECT_EQ(Error(Then({PutOp("x", "1"), sorted})), RequestError::kInvalidSort);
  store_.Do(Compact(3));
  EXPECT_EQ(Error(Then({PutOp("x", "1"), RangeOp("a", 2)})), RequestError::kCompacted);
  EXPECT_EQ(Error(Then({PutOp("x", "1"), RangeOp("a", -1)})), RequestError::kCompacted);
  EXPECT_EQ(store_.Value("x"), "(none)");
  EXPECT_EQ(revision(), 4);
}

TEST_F(TxnTest, OnlyTheBranchThatRunsIsChecked) {
  RequestOp leased = PutOp("l", "");
  leased.mutable_request_put()->set_lease(99);
  TxnRequest txn = Then({PutOp("x", "1")});
  *txn.add_failure() = leased;
  EXPECT_EQ(Error(txn), RequestError::kNone);
}

TEST_F(TxnTest, AMissingKeyIsReportedBeforeAnUnknownLease) {
  RequestOp op = PutOp("missing", "");
  op.mutable_request_put()->set_ignore_value(true);
  op.mutable_request_put()->set_lease(99);
  EXPECT_EQ(Error(Then({op})), RequestError::kKeyNotFound);
}

TEST_F(TxnTest, OnAViewAReadOnlyTransactionAnswersTheSame) {
  TxnRequest txn = Then({RangeOp("a"), RangeOp("b", 3), RangeOp("b")});
  Compare compare = On("b", Compare::VALUE, Compare::EQUAL);
  compare.set_value("7");
  *txn.add_compare() = compare;
  ASSERT_TRUE(storage::IsReadOnly(txn));
  const auto result = storage::ReadTxn(*store_.machine().view(), txn);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->response.ShortDebugString(), Run(txn).ShortDebugString());

  *txn.add_success() = RangeOp("a", 9);
  EXPECT_EQ(storage::ReadTxn(*store_.machine().view(), txn)->error, RequestError::kFutureRevision);
  EXPECT_FALSE(storage::IsReadOnly(Then({TxnOp({})})));
  EXPECT_FALSE(storage::IsReadOnly(Then({DeleteOp("a")})));
}

TEST_F(TxnTest, OnAViewAComparisonSeesNothingNewer) {
  const auto view = store_.machine().view();
  const int64_t revision = view->revision;
  Compare compare = On("a", Compare::MOD, Compare::GREATER);
  compare.set_mod_revision(revision);
  TxnRequest txn = Then({RangeOp("a")});
  *txn.add_compare() = compare;
  store_.Do(Put("a", "3"));
  EXPECT_FALSE(storage::ReadTxn(*view, txn)->response.succeeded());
  EXPECT_TRUE(storage::ReadTxn(*store_.machine().view(), txn)->response.succeeded());
  store_.Do(Delete("a"));
  txn.mutable_compare(0)->set_target(Compare::VERSION);
  txn.mutable_compare(0)->set_version(0);
  EXPECT_TRUE(storage::ReadTxn(*view, txn)->response.succeeded());
  EXPECT_FALSE(storage::ReadTxn(*store_.machine().view(), txn)->response.succeeded());
}

TEST_F(TxnTest, OnAViewACompactionThatOvertakesIsNoticed) {
  const auto view = store_.machine().view();
  store_.Do(Put("a", "3"));
  store_.Do(Compact(5));
  store_.CollectAll();
  EXPECT_TRUE(storage::ReadTxn(*view, Then({RangeOp("a")}))->overtaken);
  EXPECT_EQ(storage::ReadTxn(*store_.machine().view(), Then({RangeOp("a", 4)}))->error,
            RequestError::kCompacted);
}

}  // namespace
}  // namespace gavel::testing
