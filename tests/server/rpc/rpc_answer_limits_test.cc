// What answers may hold while they are built, and how one is refused that may not.

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "proto/etcdserverpb/kv.pb.h"
#include "tests/server/rpc/service_caller.h"

namespace gavel::testing {
namespace {

using etcdserverpb::DeleteRangeRequest;
using etcdserverpb::DeleteRangeResponse;
using etcdserverpb::PutRequest;
using etcdserverpb::PutResponse;
using etcdserverpb::RangeRequest;
using etcdserverpb::RangeResponse;
using etcdserverpb::TxnRequest;
using etcdserverpb::TxnResponse;
using server::ServiceLimits;
using server::StatusCode;
using ::testing::HasSubstr;

constexpr char kRange[] = "/etcdserverpb.KV/Range";
constexpr char kPut[] = "/etcdserverpb.KV/Put";
constexpr char kDelete[] = "/etcdserverpb.KV/DeleteRange";
constexpr char kTxn[] = "/etcdserverpb.KV/Txn";

constexpr int kKeys = 1000;

RangeRequest All() {
  RangeRequest request;
  request.set_key("k");
  request.set_range_end("l");
  return request;
}

void Fill(TestGate& gate) {
  for (int i = 0; i < kKeys; ++i) gate.Fill("k" + std::to_string(i), std::string(500, 'v'));
}

int64_t Count(ServiceCaller& caller) {
  RangeRequest request = All();
  request.set_count_only(true);
  return caller.Call<RangeResponse>(kRange, request).response.count();
}

// Of the answers that are being sent, one is held by the client of this test.
class HeldAnswer {
 public:
  explicit HeldAnswer(ServiceCaller& caller) {
    (*caller.services.router()->FindUnary(kRange))(
        All().SerializeAsString(), {},
        [this](server::RpcStatus, server::Encoded message) { message_ = std::move(message); });
    EXPECT_GT(message_.bytes(), 500u * kKeys);
  }

 private:
  server::Encoded message_;
};

// Protobuf encodes as nothing what is above 2 GiB, and no client takes it.
TEST(RpcAnswerLimitsTest, AnAnswerThatCannotBeSentIsAnError) {
  ServiceLimits limits;
  limits.answer_bytes_max = 100'000;
  ServiceCaller caller(limits);
  Fill(caller.gate);
  const auto range = caller.Call<RangeResponse>(kRange, All());
  EXPECT_EQ(range.status.code, StatusCode::kResourceExhausted);
  EXPECT_THAT(range.status.message, HasSubstr("RangeStream"));
  EXPECT_THAT(range.status.message, HasSubstr("limit"));
  RangeRequest less = All();
  less.set_limit(100);
  EXPECT_EQ(caller.Call<RangeResponse>(kRange, less).response.kvs_size(), 100);
  TxnRequest txn;
  *txn.add_success()->mutable_request_range() = All();
  EXPECT_EQ(caller.Call<TxnResponse>(kTxn, txn).status.code, StatusCode::kResourceExhausted);
}

// A range with a limit is charged while it is built, not only when it is whole.
TEST(RpcAnswerLimitsTest, RowsOfARangeWithALimitAreCharged) {
  ServiceLimits limits;
  limits.read_bytes_max = 1000;
  ServiceCaller caller(limits);
  Fill(caller.gate);
  const HeldAnswer held(caller);
  caller.gate.HoldBackground(true);  // Nothing but the first step runs.
  for (const auto target : {RangeRequest::KEY, RangeRequest::VALUE}) {
    RangeRequest request = All();
    request.set_limit(kKeys - 1);
    request.set_sort_target(target);
    EXPECT_EQ(caller.Call<RangeResponse>(kRange, request).status.code,
              StatusCode::kResourceExhausted);
  }
  caller.gate.HoldBackground(false);
}

TEST(RpcAnswerLimitsTest, ATransactionOfRangesIsRefusedWhenThereIsNoRoom) {
  ServiceLimits limits;
  limits.read_bytes_max = 1000;
  ServiceCaller caller(limits);
  Fill(caller.gate);
  TxnRequest txn;
  for (int i = 0; i < 100; ++i) *txn.add_success()->mutable_request_range() = All();
  EXPECT_TRUE(caller.Call<TxnResponse>(kTxn, txn).status.ok());
  const HeldAnswer held(caller);
  const auto refused = caller.Call<TxnResponse>(kTxn, txn);
  EXPECT_EQ(refused.status.code, StatusCode::kResourceExhausted);
  EXPECT_THAT(refused.status.message, HasSubstr("ask again for less"));
}

// A write is carried out whatever it would return; the error says so, and is none that clients
// take for a refusal.
TEST(RpcAnswerLimitsTest, AWriteWhoseAnswerIsTooLargeIsCarriedOut) {
  ServiceCaller caller;
  Fill(caller.gate);
  caller.gate.set_response_bytes_max(100'000);
  TxnRequest txn;
  txn.add_success()->mutable_request_put()->set_key("k-new");
  *txn.add_success()->mutable_request_range() = All();
  const auto written = caller.Call<TxnResponse>(kTxn, txn);
  EXPECT_EQ(written.status.code, StatusCode::kUnknown);
  EXPECT_THAT(written.status.message, HasSubstr("was carried out"));
  EXPECT_EQ(Count(caller), kKeys + 1);

  DeleteRangeRequest erase;
  erase.set_key("k");
  erase.set_range_end("l");
  erase.set_prev_kv(true);
  const auto erased = caller.Call<DeleteRangeResponse>(kDelete, erase);
  EXPECT_EQ(erased.status.code, StatusCode::kUnknown);
  EXPECT_EQ(Count(caller), 0);
}

TEST(RpcAnswerLimitsTest, SmallAnswersOfWritesAreNeverRefused) {
  ServiceCaller caller;
  caller.gate.set_response_bytes_max(0);
  PutRequest put;
  put.set_key("k");
  put.set_value(std::string(30'000, 'v'));
  put.set_prev_kv(true);
  EXPECT_TRUE(caller.Call<PutResponse>(kPut, put).status.ok());
  const auto again = caller.Call<PutResponse>(kPut, put);
  EXPECT_TRUE(again.status.ok());
  EXPECT_EQ(again.response.prev_kv().value(), put.value());
}

TEST(RpcAnswerLimitsTest, AnswersOfWritesThatWaitToBeSentAreBoundedToo) {
  ServiceLimits limits;
  limits.read_bytes_max = 1000;
  ServiceCaller caller(limits);
  Fill(caller.gate);
  DeleteRangeRequest erase;
  erase.set_key("k");
  erase.set_range_end("l");
  erase.set_prev_kv(true);
  const HeldAnswer held(caller);
  const auto erased = caller.Call<DeleteRangeResponse>(kDelete, erase);
  EXPECT_EQ(erased.status.code, StatusCode::kUnknown);
  EXPECT_EQ(Count(caller), 0);
}

TEST(RpcAnswerLimitsTest, LongReadsUnderWayAreBounded) {
  ServiceLimits limits;
  limits.background_jobs_max = 10;
  ServiceCaller caller(limits);
  Fill(caller.gate);
  caller.gate.set_background_jobs(9);
  EXPECT_TRUE(caller.Call<RangeResponse>(kRange, All()).status.ok());
  caller.gate.set_background_jobs(10);
  const auto refused = caller.Call<RangeResponse>(kRange, All());
  EXPECT_EQ(refused.status.code, StatusCode::kResourceExhausted);
  EXPECT_EQ(refused.status.message, "etcdserver: too many requests");
  TxnRequest txn;
  *txn.add_success()->mutable_request_range() = All();
  EXPECT_EQ(caller.Call<TxnResponse>(kTxn, txn).status.code, StatusCode::kResourceExhausted);
  // What needs no background thread is served.
  RangeRequest one;
  one.set_key("k1");
  EXPECT_EQ(caller.Call<RangeResponse>(kRange, one).response.kvs_size(), 1);
}

}  // namespace
}  // namespace gavel::testing
