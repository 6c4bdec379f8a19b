// RangeStream: merging its chunks gives what Range answers.

#include <string>

#include "gtest/gtest.h"

#include "proto/etcdserverpb/kv.pb.h"
#include "server/rpc/error_map.h"
#include "tests/server/rpc/service_caller.h"

namespace gavel::testing {
namespace {

using etcdserverpb::RangeRequest;
using etcdserverpb::RangeResponse;
using etcdserverpb::RangeStreamResponse;
using server::Error;
using server::ToStatus;

RangeRequest All() {
  RangeRequest request;
  request.set_key(std::string("\0", 1));
  request.set_range_end(std::string("\0", 1));
  return request;
}

class RpcRangeStreamTest : public ::testing::Test {
 protected:
  void Fill(int keys, size_t value_bytes) {
    for (int i = 0; i < keys; ++i) {
      caller_.gate.Fill("k" + std::to_string(100000 + i), std::string(value_bytes, 'v'));
    }
  }

  std::shared_ptr<server::StreamHandler> Start(const RangeRequest& request,
                                               std::shared_ptr<KeptWriter> writer) {
    const auto handler =
        (*caller_.services.router()->FindStream("/etcdserverpb.KV/RangeStream"))({}, writer);
    handler->OnMessage(request.SerializeAsString());
    return handler;
  }

  static RangeResponse Merge(const KeptWriter& writer) {
    RangeResponse merged;
    for (const std::string& bytes : writer.messages) {
      RangeStreamResponse message;
      EXPECT_TRUE(message.ParseFromString(bytes));
      merged.MergeFrom(message.range_response());
    }
    return merged;
  }

  ServiceCaller caller_;
};

TEST_F(RpcRangeStreamTest, ChunksMergeToTheAnswerOfRange) {
  Fill(5000, 100);
  RangeRequest request = All();
  for (const int64_t limit : {0, 7, 2500, 5000, 9000}) {
    request.set_limit(limit);
    const auto writer = std::make_shared<KeptWriter>();
    Start(request, writer);
    ASSERT_TRUE(writer->status);
    EXPECT_TRUE(writer->status->ok()) << writer->status->message;
    const auto range = caller_.Call<RangeResponse>("/etcdserverpb.KV/Range", request);
    EXPECT_EQ(Merge(*writer).SerializeAsString(), range.response.SerializeAsString());
  }
}

TEST_F(RpcRangeStreamTest, ChunksGrowFromTenKeys) {
  Fill(5000, 100);
  const auto writer = std::make_shared<KeptWriter>();
  Start(All(), writer);
  int64_t before = 5;
  for (size_t i = 0; i + 1 < writer->messages.size(); ++i) {
    RangeStreamResponse message;
    ASSERT_TRUE(message.ParseFromString(writer->messages[i]));
    EXPECT_EQ(message.range_response().kvs_size(), before * 2);
    EXPECT_FALSE(message.range_response().has_header());
    EXPECT_EQ(message.range_response().count(), 0);
    before = message.range_response().kvs_size();
  }
  EXPECT_GE(writer->messages.size(), 8u);
}

TEST_F(RpcRangeStreamTest, ChunksOfLargeValuesStayWithinTwiceALargeRequest) {
  Fill(60, 200000);
  const auto writer = std::make_shared<KeptWriter>();
  Start(All(), writer);
  for (const std::string& bytes : writer->messages) EXPECT_LE(bytes.size(), 2u * 1572864);
  EXPECT_EQ(Merge(*writer).kvs_size(), 60);
}

TEST_F(RpcRangeStreamTest, AClientThatDoesNotReadHoldsItBack) {
  Fill(5000, 1000);
  const auto writer = std::make_shared<KeptWriter>(100000);
  const auto handler = Start(All(), writer);
  EXPECT_FALSE(writer->status);
  for (int rounds = 0; !writer->status && rounds < 1000; ++rounds) {
    const size_t before = writer->messages.size();
    writer->Drain();
    handler->OnWritable();
    EXPECT_GT(writer->messages.size(), before);
  }
  ASSERT_TRUE(writer->status);
  EXPECT_TRUE(writer->status->ok());
  EXPECT_EQ(Merge(*writer).kvs_size(), 5000);
}

TEST_F(RpcRangeStreamTest, TheRevisionIsPinned) {
  Fill(5000, 1000);
  const int64_t revision = caller_.gate.view()->revision;
  const auto writer = std::make_shared<KeptWriter>(100000);
  const auto handler = Start(All(), writer);
  caller_.gate.Fill("k999999", "later");
  while (!writer->status) {
    writer->Drain();
    handler->OnWritable();
  }
  const RangeResponse merged = Merge(*writer);
  EXPECT_EQ(merged.kvs_size(), 5000);
  EXPECT_EQ(merged.count(), 5000);
  EXPECT_EQ(merged.header().revision(), revision);
  EXPECT_EQ(merged.header().member_id(), TestGate::kMember.value());
}

TEST_F(RpcRangeStreamTest, ACompactionThatOvertakesItEndsIt) {
  Fill(5000, 1000);
  const auto writer = std::make_shared<KeptWriter>(100000);
  const auto handler = Start(All(), writer);
  ASSERT_FALSE(writer->messages.empty());
  caller_.gate.Fill("later", "v");
  caller_.gate.Compact(caller_.gate.view()->revision);
  writer->Drain();
  handler->OnWritable();
  ASSERT_TRUE(writer->status);
  EXPECT_EQ(*writer->status, ToStatus(Error::kCompacted));
}

TEST_F(RpcRangeStreamTest, NothingIsWrittenAfterACancel) {
  Fill(5000, 1000);
  const auto writer = std::make_shared<KeptWriter>(100000);
  const auto handler = Start(All(), writer);
  const size_t before = writer->messages.size();
  handler->OnCancel();
  writer->Drain();
  handler->OnWritable();
  EXPECT_EQ(writer->messages.size(), before);
  EXPECT_FALSE(writer->status);
}

TEST_F(RpcRangeStreamTest, WhatItRefuses) {
  const auto end = [&](const RangeRequest& request) {
    const auto writer = std::make_shared<KeptWriter>();
    Start(request, writer);
    EXPECT_TRUE(writer->messages.empty());
    return writer->status.value_or(server::RpcStatus());
  };
  EXPECT_EQ(end(RangeRequest()), ToStatus(Error::kEmptyKey));
  RangeRequest sorted = All();
  sorted.set_sort_order(RangeRequest::DESCEND);
  EXPECT_EQ(end(sorted), ToStatus(Error::kStreamSortUnsupported));
  RangeRequest filtered = All();
  filtered.set_min_mod_revision(3);
  EXPECT_EQ(end(filtered), ToStatus(Error::kStreamFilterUnsupported));
  RangeRequest future = All();
  future.set_revision(50);
  EXPECT_EQ(end(future), ToStatus(Error::kFutureRevision));
  caller_.gate.FailReads(server::GateResult::kTimedOut);
  EXPECT_EQ(end(All()), ToStatus(Error::kTimeout));
}

TEST_F(RpcRangeStreamTest, ACallWithoutARequestIsMalformed) {
  const auto writer = std::make_shared<KeptWriter>();
  const auto handler =
      (*caller_.services.router()->FindStream("/etcdserverpb.KV/RangeStream"))({}, writer);
  handler->OnHalfClose();
  ASSERT_TRUE(writer->status);
  EXPECT_EQ(*writer->status, server::MalformedRequest());
}

}  // namespace
}  // namespace gavel::testing
