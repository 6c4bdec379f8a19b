// The key-value service over a real state machine, without a transport.

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "proto/etcdserverpb/kv.pb.h"
#include "server/rpc/error_map.h"
#include "tests/server/rpc/service_caller.h"

namespace gavel::testing {
namespace {

using etcdserverpb::CompactionRequest;
using etcdserverpb::CompactionResponse;
using etcdserverpb::DeleteRangeRequest;
using etcdserverpb::DeleteRangeResponse;
using etcdserverpb::PutRequest;
using etcdserverpb::PutResponse;
using etcdserverpb::RangeRequest;
using etcdserverpb::RangeResponse;
using etcdserverpb::TxnRequest;
using etcdserverpb::TxnResponse;
using server::Error;
using server::GateResult;
using server::StatusCode;
using server::ToStatus;

constexpr char kRange[] = "/etcdserverpb.KV/Range";
constexpr char kPut[] = "/etcdserverpb.KV/Put";
constexpr char kDelete[] = "/etcdserverpb.KV/DeleteRange";
constexpr char kTxn[] = "/etcdserverpb.KV/Txn";
constexpr char kCompact[] = "/etcdserverpb.KV/Compact";

PutRequest MakePut(const std::string& key, const std::string& value) {
  PutRequest request;
  request.set_key(key);
  request.set_value(value);
  return request;
}

RangeRequest MakeRange(const std::string& key, const std::string& range_end = "") {
  RangeRequest request;
  request.set_key(key);
  request.set_range_end(range_end);
  return request;
}

class RpcKvServiceTest : public ::testing::Test {
 protected:
  void ExpectFullHeader(const etcdserverpb::ResponseHeader& header, int64_t revision) {
    EXPECT_EQ(header.cluster_id(), TestGate::kCluster);
    EXPECT_EQ(header.member_id(), TestGate::kMember.value());
    EXPECT_EQ(header.raft_term(), TestGate::kTerm.value());
    EXPECT_EQ(header.revision(), revision);
  }
  void Put(const std::string& key, const std::string& value) {
    EXPECT_TRUE(caller_.Call<PutResponse>(kPut, MakePut(key, value)).status.ok());
  }

  ServiceCaller caller_;
};

TEST_F(RpcKvServiceTest, PutThenRange) {
  const auto put = caller_.Call<PutResponse>(kPut, MakePut("k", "v"));
  ASSERT_TRUE(put.status.ok()) << put.status.message;
  ExpectFullHeader(put.response.header(), 2);
  const auto range = caller_.Call<RangeResponse>(kRange, MakeRange("k"));
  ASSERT_TRUE(range.status.ok()) << range.status.message;
  ExpectFullHeader(range.response.header(), 2);
  ASSERT_EQ(range.response.kvs_size(), 1);
  EXPECT_EQ(range.response.kvs(0).value(), "v");
  EXPECT_EQ(range.response.kvs(0).create_revision(), 2);
  EXPECT_EQ(range.response.count(), 1);
}

TEST_F(RpcKvServiceTest, AWriteIsReplicatedAsTheBytesThatCame) {
  // An unknown field at the end, which a decoded and encoded message might move or drop.
  const std::string bytes = MakePut("k", "v").SerializeAsString() + "\x98\x06\x07";
  EXPECT_TRUE(caller_.CallBytes<PutResponse>(kPut, bytes).status.ok());
  const auto proposals = caller_.gate.proposals();
  ASSERT_EQ(proposals.size(), 1u);
  EXPECT_EQ(proposals[0].first, server::CommandField::kPut);
  EXPECT_EQ(proposals[0].second, bytes);
}

TEST_F(RpcKvServiceTest, OnlyLinearizableRangesAskForARead) {
  Put("k", "v");
  RangeRequest request = MakeRange("k");
  request.set_serializable(true);
  EXPECT_EQ(caller_.Call<RangeResponse>(kRange, request).response.count(), 1);
  EXPECT_EQ(caller_.gate.reads(), 0);
  request.set_serializable(false);
  EXPECT_EQ(caller_.Call<RangeResponse>(kRange, request).response.count(), 1);
  EXPECT_EQ(caller_.gate.reads(), 1);
}

TEST_F(RpcKvServiceTest, SerializableRangesNeedNoLeader) {
  Put("k", "v");
  caller_.gate.FailReads(GateResult::kNoLeader);
  RangeRequest request = MakeRange("k");
  EXPECT_EQ(caller_.Call<RangeResponse>(kRange, request).status, ToStatus(Error::kNoLeader));
  request.set_serializable(true);
  EXPECT_TRUE(caller_.Call<RangeResponse>(kRange, request).status.ok());
}

TEST_F(RpcKvServiceTest, BytesThatAreNoMessageAreRefused) {
  for (const char* method : {kRange, kPut, kDelete, kTxn, kCompact}) {
    EXPECT_EQ(caller_.CallBytes<PutResponse>(method, "\xff\xff\xff").status.code,
              StatusCode::kInternal)
        << method;
  }
  EXPECT_TRUE(caller_.gate.proposals().empty());
}

TEST_F(RpcKvServiceTest, RefusedRequestsAreNotProposed) {
  EXPECT_EQ(caller_.Call<PutResponse>(kPut, PutRequest()).status, ToStatus(Error::kEmptyKey));
  EXPECT_EQ(caller_.Call<RangeResponse>(kRange, RangeRequest()).status, ToStatus(Error::kEmptyKey));
  EXPECT_EQ(caller_.Call<DeleteRangeResponse>(kDelete, DeleteRangeRequest()).status,
            ToStatus(Error::kEmptyKey));
  TxnRequest txn;
  txn.add_success();
  EXPECT_EQ(caller_.Call<TxnResponse>(kTxn, txn).status, ToStatus(Error::kKeyNotFound));
  EXPECT_EQ(caller_.Call<PutResponse>(kPut, MakePut("k", std::string(1572864, 'x'))).status,
            ToStatus(Error::kRequestTooLarge));
  EXPECT_TRUE(caller_.gate.proposals().empty());
}

TEST_F(RpcKvServiceTest, RefusalsOfTheStateMachineHaveEtcdsTexts) {
  Put("k", "v");
  PutRequest missing = MakePut("missing", "");
  missing.set_ignore_value(true);
  EXPECT_EQ(caller_.Call<PutResponse>(kPut, missing).status, ToStatus(Error::kKeyNotFound));
  PutRequest lease = MakePut("k", "v");
  lease.set_lease(77);
  EXPECT_EQ(caller_.Call<PutResponse>(kPut, lease).status, ToStatus(Error::kLeaseNotFound));
  RangeRequest future = MakeRange("k");
  future.set_revision(9);
  EXPECT_EQ(caller_.Call<RangeResponse>(kRange, future).status, ToStatus(Error::kFutureRevision));
  CompactionRequest compact;
  compact.set_revision(99);
  EXPECT_EQ(caller_.Call<CompactionResponse>(kCompact, compact).status,
            ToStatus(Error::kFutureRevision));
}

TEST_F(RpcKvServiceTest, AWriteWithoutAnOutcomeSaysWhy) {
  const std::pair<GateResult, Error> rows[] = {
      {GateResult::kTimedOut, Error::kTimeout},
      {GateResult::kTooManyRequests, Error::kTooManyRequests},
      {GateResult::kStopped, Error::kStopped},
      {GateResult::kLeaderChanged, Error::kLeaderChanged},
      {GateResult::kDropped, Error::kNoLeader}};
  for (const auto& [result, error] : rows) {
    caller_.gate.FailProposals(result);
    EXPECT_EQ(caller_.Call<PutResponse>(kPut, MakePut("k", "v")).status, ToStatus(error));
  }
}

TEST_F(RpcKvServiceTest, ReversedRangesAreEmpty) {
  Put("k", "v");
  const auto range = caller_.Call<RangeResponse>(kRange, MakeRange("z", "a"));
  EXPECT_TRUE(range.status.ok());
  EXPECT_EQ(range.response.count(), 0);
  DeleteRangeRequest request;
  request.set_key("z");
  request.set_range_end("a");
  const auto deleted = caller_.Call<DeleteRangeResponse>(kDelete, request);
  EXPECT_TRUE(deleted.status.ok());
  EXPECT_EQ(deleted.response.deleted(), 0);
  EXPECT_EQ(deleted.response.header().revision(), 2);
}

TEST_F(RpcKvServiceTest, ALongRangeIsDoneInSteps) {
  for (int i = 0; i < 1000; ++i) {
    caller_.gate.Fill("k" + std::to_string(1000 + i), std::string(500, 'v'));
  }
  const auto range = caller_.Call<RangeResponse>(kRange, MakeRange("k", "l"));
  ASSERT_TRUE(range.status.ok()) << range.status.message;
  EXPECT_EQ(range.response.kvs_size(), 1000);
  EXPECT_EQ(range.response.count(), 1000);
}

TEST_F(RpcKvServiceTest, ARangeOvertakenByACompactionStartsOver) {
  for (int i = 0; i < 1000; ++i) caller_.gate.Fill("k" + std::to_string(1000 + i), "v");
  caller_.gate.HoldBackground(true);
  std::optional<server::RpcStatus> status;
  RangeResponse response;
  (*caller_.services.router()->FindUnary(kRange))(
      MakeRange("k", "l").SerializeAsString(), {},
      [&](server::RpcStatus end, server::Encoded message) {
        status = std::move(end);
        EXPECT_TRUE(response.ParseFromString(Bytes(message)));
      });
  EXPECT_FALSE(status) << "the range is too long for one step";
  caller_.gate.Fill("k2", "later");
  caller_.gate.Compact(caller_.gate.view()->revision);
  caller_.gate.HoldBackground(false);
  ASSERT_TRUE(status);
  ASSERT_TRUE(status->ok()) << status->message;
  EXPECT_EQ(response.count(), 1001);
  EXPECT_EQ(response.header().revision(), 1002);
}

TEST_F(RpcKvServiceTest, AReadAtACompactedRevisionIsRefused) {
  Put("k", "1");
  Put("k", "2");
  Put("k", "3");
  CompactionRequest compact;
  compact.set_revision(3);
  compact.set_physical(true);
  const auto compacted = caller_.Call<CompactionResponse>(kCompact, compact);
  ASSERT_TRUE(compacted.status.ok()) << compacted.status.message;
  ExpectFullHeader(compacted.response.header(), 4);
  RangeRequest request = MakeRange("k");
  request.set_revision(2);
  EXPECT_EQ(caller_.Call<RangeResponse>(kRange, request).status, ToStatus(Error::kCompacted));
  request.set_revision(3);
  EXPECT_EQ(caller_.Call<RangeResponse>(kRange, request).response.kvs(0).value(), "2");
}

TEST_F(RpcKvServiceTest, OneAnswerAlwaysFitsAndManyDoNot) {
  server::ServiceLimits limits;
  limits.read_bytes_max = 1000;
  ServiceCaller caller(limits);
  for (int i = 0; i < 300; ++i) caller.gate.Fill("k" + std::to_string(i), std::string(500, 'v'));
  std::optional<server::Encoded> kept;
  std::optional<server::RpcStatus> status;
  const auto* range = caller.services.router()->FindUnary(kRange);
  (*range)(MakeRange("k", "l").SerializeAsString(), {},
           [&](server::RpcStatus end, server::Encoded message) {
             status = std::move(end);
             kept = std::move(message);
           });
  ASSERT_TRUE(status);
  EXPECT_TRUE(status->ok());
  // While the first is being sent, there is no room for a second.
  EXPECT_EQ(caller.Call<RangeResponse>(kRange, MakeRange("k", "l")).status.code,
            StatusCode::kResourceExhausted);
  kept.reset();
  EXPECT_TRUE(caller.Call<RangeResponse>(kRange, MakeRange("k", "l")).status.ok());
}

TEST_F(RpcKvServiceTest, ATransactionOfRangesIsNotReplicated) {
  Put("k", "v");
  TxnRequest request;
  auto* compare = request.add_compare();
  compare->set_key("k");
  compare->set_target(etcdserverpb::Compare::VALUE);
  compare->set_value("v");
  *request.add_success()->mutable_request_range() = MakeRange("k");
  *request.add_success()->mutable_request_range() = MakeRange("a", "z");
  const auto txn = caller_.Call<TxnResponse>(kTxn, request);
  ASSERT_TRUE(txn.status.ok()) << txn.status.message;
  EXPECT_TRUE(txn.response.succeeded());
  ExpectFullHeader(txn.response.header(), 2);
  ASSERT_EQ(txn.response.responses_size(), 2);
  const auto& nested = txn.response.responses(0).response_range();
  EXPECT_EQ(nested.kvs(0).value(), "v");
  EXPECT_EQ(nested.header().revision(), 2);
  EXPECT_EQ(nested.header().cluster_id(), 0u);
  EXPECT_EQ(caller_.gate.proposals().size(), 1u);
  EXPECT_EQ(caller_.gate.reads(), 1);
}

TEST_F(RpcKvServiceTest, ATransactionOfSerializableRangesIsReadLocally) {
  TxnRequest request;
  *request.add_success()->mutable_request_range() = MakeRange("k");
  request.mutable_success(0)->mutable_request_range()->set_serializable(true);
  EXPECT_TRUE(caller_.Call<TxnResponse>(kTxn, request).status.ok());
  EXPECT_EQ(caller_.gate.reads(), 0);
  // One linearizable range in the branch not taken is enough.
  *request.add_failure()->mutable_request_range() = MakeRange("k");
  EXPECT_TRUE(caller_.Call<TxnResponse>(kTxn, request).status.ok());
  EXPECT_EQ(caller_.gate.reads(), 1);
}

TEST_F(RpcKvServiceTest, ANestedTransactionIsReplicated) {
  TxnRequest request;
  *request.add_success()->mutable_request_txn()->add_success()->mutable_request_range() =
      MakeRange("k");
  EXPECT_TRUE(caller_.Call<TxnResponse>(kTxn, request).status.ok());
  EXPECT_EQ(caller_.gate.proposals().size(), 1u);
}

TEST_F(RpcKvServiceTest, TransactionsNestedAsDeepAsEtcdAllowsAreApplied) {
  TxnRequest request;
  TxnRequest* level = &request;
  for (int i = 0; i < 127; ++i) level = level->add_success()->mutable_request_txn();
  *level->add_success()->mutable_request_put() = MakePut("deep", "v");
  const std::string bytes = request.SerializeAsString();
  // The answer is as deep; only its status is looked at here.
  std::optional<server::RpcStatus> status;
  (*caller_.services.router()->FindUnary(kTxn))(
      bytes, {}, [&](server::RpcStatus end, server::Encoded) { status = std::move(end); });
  ASSERT_TRUE(status);
  EXPECT_TRUE(status->ok()) << status->message;
  EXPECT_EQ(caller_.Call<RangeResponse>(kRange, MakeRange("deep")).response.count(), 1);
}

TEST_F(RpcKvServiceTest, ATransactionThatNobodyCouldApplyIsRefused) {
  server::ServiceLimits limits;
  limits.txn_ops_max = 100000;
  ServiceCaller caller(limits);
  TxnRequest request;
  TxnRequest* level = &request;
  for (int i = 0; i < 600; ++i) level = level->add_success()->mutable_request_txn();
  *level->add_success()->mutable_request_put() = MakePut("deep", "v");
  EXPECT_EQ(caller.Call<TxnResponse>(kTxn, request).status.code, StatusCode::kInternal);
  EXPECT_TRUE(caller.gate.proposals().empty());
}

TEST_F(RpcKvServiceTest, LearnersServeSerializableRangesOnly) {
  Put("k", "v");
  caller_.gate.set_learner(true);
  const auto refused = ToStatus(Error::kNotSupportedForLearner);
  RangeRequest request = MakeRange("k");
  EXPECT_EQ(caller_.Call<RangeResponse>(kRange, request).status, refused);
  request.set_serializable(true);
  EXPECT_TRUE(caller_.Call<RangeResponse>(kRange, request).status.ok());
  EXPECT_EQ(caller_.Call<PutResponse>(kPut, MakePut("k", "v")).status, refused);
  EXPECT_EQ(caller_.Call<TxnResponse>(kTxn, TxnRequest()).status, refused);
}

}  // namespace
}  // namespace gavel::testing
