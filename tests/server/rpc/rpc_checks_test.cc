// The rules that a request is held to before anything is done with it, one by one.

#include <functional>
#include <string>

#include "gtest/gtest.h"

#include "server/rpc/checks.h"

namespace gavel::testing {
namespace {

using etcdserverpb::DeleteRangeRequest;
using etcdserverpb::PutRequest;
using etcdserverpb::RangeRequest;
using etcdserverpb::RequestOp;
using etcdserverpb::TxnRequest;
using server::Error;

constexpr std::nullopt_t kFine = std::nullopt;
using Ops = google::protobuf::RepeatedPtrField<RequestOp>;

void AddPut(Ops* ops, const std::string& key) { ops->Add()->mutable_request_put()->set_key(key); }

void AddDelete(Ops* ops, const std::string& key, const std::string& range_end = "") {
  auto* request = ops->Add()->mutable_request_delete_range();
  request->set_key(key);
  request->set_range_end(range_end);
}

void AddRange(Ops* ops, const std::string& key) {
  ops->Add()->mutable_request_range()->set_key(key);
}

TxnRequest* AddTxn(Ops* ops) { return ops->Add()->mutable_request_txn(); }

TEST(RpcChecksTest, AKeyIsNeeded) {
  EXPECT_EQ(server::CheckKey(""), Error::kEmptyKey);
  EXPECT_EQ(server::CheckKey(std::string_view("\0", 1)), kFine);
  EXPECT_EQ(server::CheckRange(RangeRequest()), Error::kEmptyKey);
  EXPECT_EQ(server::CheckPut(PutRequest()), Error::kEmptyKey);
  EXPECT_EQ(server::CheckDeleteRange(DeleteRangeRequest()), Error::kEmptyKey);
}

TEST(RpcChecksTest, SortOptionsAreWithinTheirEnumerations) {
  for (int number = -1; number <= 6; ++number) {
    RangeRequest target;
    target.set_key("k");
    target.set_sort_target(static_cast<RangeRequest::SortTarget>(number));
    EXPECT_EQ(server::CheckRange(target).has_value(), number < 0 || number > 4) << number;
    RangeRequest order;
    order.set_key("k");
    order.set_sort_order(static_cast<RangeRequest::SortOrder>(number));
    EXPECT_EQ(server::CheckRange(order).has_value(), number < 0 || number > 2) << number;
  }
  RangeRequest request;
  request.set_key("k");
  request.set_sort_target(static_cast<RangeRequest::SortTarget>(9));
  EXPECT_EQ(server::CheckSortOption(request), Error::kInvalidSortOption);
}

TEST(RpcChecksTest, NegativeNumbersAndReversedRangesAreFine) {
  RangeRequest request;
  request.set_key("z");
  request.set_range_end("a");
  request.set_limit(-5);
  request.set_revision(-5);
  request.set_min_mod_revision(-5);
  request.set_max_create_revision(-5);
  EXPECT_EQ(server::CheckRange(request), kFine);
}

TEST(RpcChecksTest, AStreamedRangeIsInKeyOrderAndUnfiltered) {
  RangeRequest request;
  request.set_key("k");
  EXPECT_EQ(server::CheckRangeStream(request), kFine);
  request.set_sort_order(RangeRequest::ASCEND);
  EXPECT_EQ(server::CheckRangeStream(request), kFine);
  request.set_sort_order(RangeRequest::DESCEND);
  EXPECT_EQ(server::CheckRangeStream(request), Error::kStreamSortUnsupported);
  request.set_sort_order(RangeRequest::NONE);
  request.set_sort_target(RangeRequest::MOD);
  EXPECT_EQ(server::CheckRangeStream(request), Error::kStreamSortUnsupported);
  const std::function<void(RangeRequest&)> filters[] = {
      [](RangeRequest& r) { r.set_min_mod_revision(1); },
      [](RangeRequest& r) { r.set_max_mod_revision(1); },
      [](RangeRequest& r) { r.set_min_create_revision(1); },
      [](RangeRequest& r) { r.set_max_create_revision(1); }};
  for (const auto& filter : filters) {
    RangeRequest filtered;
    filtered.set_key("k");
    filter(filtered);
    EXPECT_EQ(server::CheckRangeStream(filtered), Error::kStreamFilterUnsupported);
  }
}

TEST(RpcChecksTest, WhatIsIgnoredIsNotGiven) {
  PutRequest value;
  value.set_key("k");
  value.set_value("v");
  EXPECT_EQ(server::CheckPut(value), kFine);
  value.set_ignore_value(true);
  EXPECT_EQ(server::CheckPut(value), Error::kValueProvided);
  value.clear_value();
  EXPECT_EQ(server::CheckPut(value), kFine);
  PutRequest lease;
  lease.set_key("k");
  lease.set_lease(-7);
  EXPECT_EQ(server::CheckPut(lease), kFine);
  lease.set_ignore_lease(true);
  EXPECT_EQ(server::CheckPut(lease), Error::kLeaseProvided);
}

TEST(RpcChecksTest, TheLongestListOfATransactionCounts) {
  const std::function<void(TxnRequest&)> add[] = {
      [](TxnRequest& t) { t.add_compare()->set_key("k"); },
      [](TxnRequest& t) { AddRange(t.mutable_success(), "k"); },
      [](TxnRequest& t) { AddRange(t.mutable_failure(), "k"); }};
  for (const auto& one : add) {
    TxnRequest request;
    for (int i = 0; i < 128; ++i) one(request);
    EXPECT_EQ(server::CheckTxn(request, 128), kFine);
    one(request);
    EXPECT_EQ(server::CheckTxn(request, 128), Error::kTooManyOps);
  }
}

TEST(RpcChecksTest, ANestedTransactionHasWhatIsLeft) {
  TxnRequest request;
  AddRange(request.mutable_success(), "a");
  TxnRequest* nested = AddTxn(request.mutable_success());
  AddRange(nested->mutable_failure(), "b");
  AddRange(nested->mutable_failure(), "c");
  EXPECT_EQ(server::CheckTxn(request, 4), kFine);
  EXPECT_EQ(server::CheckTxn(request, 3), Error::kTooManyOps);
  // A longer list beside it takes from what is left.
  for (int i = 0; i < 3; ++i) request.add_compare()->set_key("k");
  EXPECT_EQ(server::CheckTxn(request, 5), kFine);
  EXPECT_EQ(server::CheckTxn(request, 4), Error::kTooManyOps);
}

TEST(RpcChecksTest, TransactionsNestAsDeepAsTheirOperationsLast) {
  TxnRequest request;
  TxnRequest* level = &request;
  for (int i = 0; i < 127; ++i) level = AddTxn(level->mutable_success());
  EXPECT_EQ(server::CheckTxn(request, 128), kFine);
  AddRange(level->mutable_success(), "k");
  EXPECT_EQ(server::CheckTxn(request, 128), kFine);
  AddRange(AddTxn(level->mutable_success())->mutable_success(), "k");
  EXPECT_EQ(server::CheckTxn(request, 128), Error::kTooManyOps);
}

TEST(RpcChecksTest, WhatATransactionHoldsIsCheckedToo) {
  TxnRequest compare;
  compare.add_compare();
  EXPECT_EQ(server::CheckTxn(compare, 128), Error::kEmptyKey);
  TxnRequest nothing;
  nothing.add_failure();
  EXPECT_EQ(server::CheckTxn(nothing, 128), Error::kKeyNotFound);
  TxnRequest put;
  AddPut(AddTxn(put.mutable_success())->mutable_failure(), "");
  EXPECT_EQ(server::CheckTxn(put, 128), Error::kEmptyKey);
  TxnRequest remove;
  AddDelete(remove.mutable_success(), "");
  EXPECT_EQ(server::CheckTxn(remove, 128), Error::kEmptyKey);
  TxnRequest range;
  AddRange(range.mutable_failure(), "k");
  range.mutable_failure(0)->mutable_request_range()->set_sort_target(
      static_cast<RangeRequest::SortTarget>(77));
  EXPECT_EQ(server::CheckTxn(range, 128), Error::kInvalidSortOption);
}

TEST(RpcChecksTest, OneBranchPutsAKeyOnce) {
  TxnRequest request;
  AddPut(request.mutable_success(), "k");
  AddPut(request.mutable_failure(), "k");
  EXPECT_EQ(server::CheckTxn(request, 128), kFine);
  AddPut(request.mutable_failure(), "k");
  EXPECT_EQ(server::CheckTxn(request, 128), Error::kDuplicateKey);
}

TEST(RpcChecksTest, ABranchDoesNotPutWhatItDeletes) {
  const auto check = [](const std::string& put, const std::string& from, const std::string& to) {
    TxnRequest request;
    AddPut(request.mutable_success(), put);
    AddDelete(request.mutable_success(), from, to);
    return server::CheckTxn(request, 128);
  };
  EXPECT_EQ(check("b", "b", ""), Error::kDuplicateKey);
  EXPECT_EQ(check("b", "a", "c"), Error::kDuplicateKey);
  EXPECT_EQ(check("a", "a", "c"), Error::kDuplicateKey);
  EXPECT_EQ(check("c", "a", "c"), kFine);
  EXPECT_EQ(check("aa", "a", ""), kFine);
  EXPECT_EQ(check("b", "c", "a"), kFine);
  // etcd does not see the overlap with a delete of all keys from one on.
  EXPECT_EQ(check("b", "a", std::string("\0", 1)), kFine);
}

TEST(RpcChecksTest, IntervalsThatTouchAreJoined) {
  TxnRequest request;
  AddDelete(request.mutable_success(), "a", "c");
  AddDelete(request.mutable_success(), "e", "g");
  AddDelete(request.mutable_success(), "b", "f");
  AddDelete(request.mutable_success(), "b", "f");
  EXPECT_EQ(server::CheckTxn(request, 128), kFine);
  for (const char* key : {"a", "b", "c", "d", "e", "f"}) {
    TxnRequest with_put = request;
    AddPut(with_put.mutable_success(), key);
    EXPECT_EQ(server::CheckTxn(with_put, 128), Error::kDuplicateKey) << key;
  }
  AddPut(request.mutable_success(), "g");
  EXPECT_EQ(server::CheckTxn(request, 128), kFine);
}

TEST(RpcChecksTest, NestedBranchesExcludeOneAnother) {
  TxnRequest request;
  TxnRequest* nested = AddTxn(request.mutable_success());
  AddPut(nested->mutable_success(), "k");
  AddPut(nested->mutable_failure(), "k");
  EXPECT_EQ(server::CheckTxn(request, 128), kFine);
  TxnRequest outside = request;
  AddPut(outside.mutable_success(), "k");
  EXPECT_EQ(server::CheckTxn(outside, 128), Error::kDuplicateKey);
  TxnRequest beside = request;
  AddPut(AddTxn(beside.mutable_success())->mutable_failure(), "k");
  EXPECT_EQ(server::CheckTxn(beside, 128), Error::kDuplicateKey);
}

TEST(RpcChecksTest, DeletesMeetNestedPuts) {
  TxnRequest outer_delete;
  AddPut(AddTxn(outer_delete.mutable_success())->mutable_success(), "k");
  AddDelete(outer_delete.mutable_success(), "a", "z");
  EXPECT_EQ(server::CheckTxn(outer_delete, 128), Error::kDuplicateKey);

  TxnRequest nested_delete;
  AddDelete(AddTxn(nested_delete.mutable_success())->mutable_success(), "a", "z");
  AddPut(nested_delete.mutable_success(), "k");
  EXPECT_EQ(server::CheckTxn(nested_delete, 128), Error::kDuplicateKey);

  // Among siblings only a delete that comes first is met; etcd lets the other order pass.
  TxnRequest delete_first;
  AddDelete(AddTxn(delete_first.mutable_success())->mutable_success(), "k");
  AddPut(AddTxn(delete_first.mutable_success())->mutable_success(), "k");
  EXPECT_EQ(server::CheckTxn(delete_first, 128), Error::kDuplicateKey);
  TxnRequest put_first;
  AddPut(AddTxn(put_first.mutable_success())->mutable_success(), "k");
  AddDelete(AddTxn(put_first.mutable_success())->mutable_success(), "k");
  EXPECT_EQ(server::CheckTxn(put_first, 128), kFine);
}

TEST(RpcChecksTest, ARequestOverTheLimitIsTooLarge) {
  EXPECT_EQ(server::CheckRequestBytes(1572864, 1572864), kFine);
  EXPECT_EQ(server::CheckRequestBytes(1572865, 1572864), Error::kRequestTooLarge);
}

TEST(RpcChecksTest, TheClientsVersionIsUtf8) {
  for (const char* fine : {"", "3.7", "\xC2\x80", "\xE2\x82\xAC", "\xEF\xBF\xBF",
                           "\xF0\x9F\x98\x80", "\xF4\x8F\xBF\xBF"}) {
    EXPECT_EQ(server::CheckClientApiVersion(fine), kFine) << fine;
  }
  for (const char* bad : {"\x80", "\xBF", "\xC0\x80", "\xC1\xBF", "\xC2", "\xC2\x41", "\xE2\x82",
                          "\xE0\x80\x80", "\xED\xA0\x80", "\xF0\x80\x80\x80", "\xF4\x90\x80\x80",
                          "\xF5\x80\x80\x80", "3.7\xFF", "\xFE"}) {
    EXPECT_EQ(server::CheckClientApiVersion(bad), Error::kInvalidClientApiVersion);
  }
}

}  // namespace
}  // namespace gavel::testing
