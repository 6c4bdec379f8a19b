// The lease service over a gate that does everything in place.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "proto/etcdserverpb/kv.pb.h"
#include "proto/etcdserverpb/lease.pb.h"
#include "proto/internal/command.pb.h"
#include "tests/server/rpc/service_caller.h"

namespace gavel::testing {
namespace {

using etcdserverpb::LeaseGrantRequest;
using etcdserverpb::LeaseGrantResponse;
using etcdserverpb::LeaseKeepAliveRequest;
using etcdserverpb::LeaseKeepAliveResponse;
using etcdserverpb::LeaseLeasesRequest;
using etcdserverpb::LeaseLeasesResponse;
using etcdserverpb::LeaseRevokeRequest;
using etcdserverpb::LeaseRevokeResponse;
using etcdserverpb::LeaseTimeToLiveRequest;
using etcdserverpb::LeaseTimeToLiveResponse;
using server::CommandField;
using server::GateResult;
using server::StatusCode;
using ::testing::ElementsAre;

class LeaseServiceTest : public ::testing::Test {
 protected:
  Answer<LeaseGrantResponse> Grant(int64_t id, int64_t ttl) {
    LeaseGrantRequest request;
    request.set_id(id);
    request.set_ttl(ttl);
    return caller_.Call<LeaseGrantResponse>("/etcdserverpb.Lease/LeaseGrant", request);
  }
  Answer<LeaseRevokeResponse> Revoke(int64_t id) {
    LeaseRevokeRequest request;
    request.set_id(id);
    return caller_.Call<LeaseRevokeResponse>("/etcdserverpb.Lease/LeaseRevoke", request);
  }
  Answer<LeaseTimeToLiveResponse> TimeToLive(int64_t id, bool keys = false) {
    LeaseTimeToLiveRequest request;
    request.set_id(id);
    request.set_keys(keys);
    return caller_.Call<LeaseTimeToLiveResponse>("/etcdserverpb.Lease/LeaseTimeToLive", request);
  }
  void Put(const std::string& key, int64_t lease) {
    etcdserverpb::PutRequest request;
    request.set_key(key);
    request.set_lease(lease);
    EXPECT_TRUE(
        caller_.Call<etcdserverpb::PutResponse>("/etcdserverpb.KV/Put", request).status.ok());
  }
  void Advance(int64_t now_ms) {
    internal::LeaseClock clock;
    clock.set_now_ms(now_ms);
    caller_.gate.Propose(
        CommandField::kLeaseClock, clock.SerializeAsString(), std::nullopt,
        [](const server::ProposeResult& result) { EXPECT_EQ(result.result, GateResult::kOk); });
  }

  struct Stream {
    std::shared_ptr<KeptWriter> writer = std::make_shared<KeptWriter>();
    std::shared_ptr<server::StreamHandler> handler;

    void Send(int64_t id) const {
      LeaseKeepAliveRequest request;
      request.set_id(id);
      handler->OnMessage(request.SerializeAsString());
    }
    std::vector<std::pair<int64_t, int64_t>> Answers() const {
      std::vector<std::pair<int64_t, int64_t>> answers;
      for (const std::string& message : writer->messages) {
        LeaseKeepAliveResponse response;
        EXPECT_TRUE(response.ParseFromString(message));
        EXPECT_EQ(response.header().member_id(), TestGate::kMember.value());
        answers.emplace_back(response.id(), response.ttl());
      }
      return answers;
    }
  };
  Stream KeepAlive() {
    Stream stream;
    const auto* method =
        caller_.services.router()->FindStream("/etcdserverpb.Lease/LeaseKeepAlive");
    EXPECT_NE(method, nullptr);
    stream.handler = (*method)({}, stream.writer);
    return stream;
  }

  ServiceCaller caller_;
};

// The floor is one and a half election timeouts, and what is granted is told.
TEST_F(LeaseServiceTest, ShortGrantsAreRaised) {
  for (const int64_t ttl : {int64_t{0}, int64_t{-5}, int64_t{1}, int64_t{2}}) {
    const auto granted = Grant(0, ttl);
    ASSERT_TRUE(granted.status.ok()) << granted.status.message;
    EXPECT_EQ(granted.response.ttl(), 2);
    EXPECT_GT(granted.response.id(), 0);
    EXPECT_EQ(TimeToLive(granted.response.id()).response.grantedttl(), 2);
  }
  EXPECT_EQ(Grant(0, 60).response.ttl(), 60);
}

TEST_F(LeaseServiceTest, TtlsBeyondEtcdsBoundAreRefused) {
  EXPECT_EQ(Grant(0, 9'000'000'000).response.ttl(), 9'000'000'000);
  const auto refused = Grant(0, 9'000'000'001);
  EXPECT_EQ(refused.status.code, StatusCode::kOutOfRange);
  EXPECT_EQ(refused.status.message, "etcdserver: too large lease TTL");
}

TEST_F(LeaseServiceTest, AnIdInUseIsRefusedIfItWasAskedFor) {
  EXPECT_EQ(Grant(-3, 60).response.id(), -3);
  const auto refused = Grant(-3, 60);
  EXPECT_EQ(refused.status.code, StatusCode::kFailedPrecondition);
  EXPECT_EQ(refused.status.message, "etcdserver: lease already exists");
  // The gate's next id is taken; another is picked.
  EXPECT_TRUE(Grant(1001, 60).status.ok());
  const auto picked = Grant(0, 60);
  ASSERT_TRUE(picked.status.ok()) << picked.status.message;
  EXPECT_EQ(picked.response.id(), 1002);
}

TEST_F(LeaseServiceTest, UnknownLeasesAreAnsweredAsEachMethodDoes) {
  EXPECT_EQ(Revoke(5).status.code, StatusCode::kNotFound);
  EXPECT_EQ(Revoke(5).status.message, "etcdserver: requested lease not found");
  const auto left = TimeToLive(5, true);
  EXPECT_TRUE(left.status.ok());
  EXPECT_EQ(left.response.id(), 5);
  EXPECT_EQ(left.response.ttl(), -1);
  EXPECT_EQ(left.response.grantedttl(), 0);
  const Stream stream = KeepAlive();
  stream.Send(5);
  EXPECT_THAT(stream.Answers(), ElementsAre(std::pair(5, 0)));
}

TEST_F(LeaseServiceTest, WhatIsLeftAndWhatHangsOnItIsTold) {
  Grant(7, 60);
  for (const char* key : {"b", "a", "c"}) Put(key, 7);
  Advance(15'500);
  const auto left = TimeToLive(7, true);
  EXPECT_EQ(left.response.ttl(), 44);
  EXPECT_EQ(left.response.grantedttl(), 60);
  EXPECT_THAT(left.response.keys(), ElementsAre("a", "b", "c"));
  EXPECT_TRUE(TimeToLive(7).response.keys().empty());
  // Due, and not revoked yet.
  Advance(100'000);
  EXPECT_EQ(TimeToLive(7).response.ttl(), 0);
  const Stream stream = KeepAlive();
  stream.Send(7);
  EXPECT_EQ(TimeToLive(7).response.ttl(), 60);
}

TEST_F(LeaseServiceTest, TheLeaseThatEndsFirstIsListedFirst) {
  Grant(1, 60);
  Grant(2, 10);
  Grant(3, 30);
  const auto listed =
      caller_.Call<LeaseLeasesResponse>("/etcdserverpb.Lease/LeaseLeases", LeaseLeasesRequest());
  std::vector<int64_t> ids;
  for (const auto& lease : listed.response.leases()) ids.push_back(lease.id());
  EXPECT_THAT(ids, ElementsAre(2, 3, 1));
}

// Answers keep the order of the requests; the end of the requests ends the stream.
TEST_F(LeaseServiceTest, RenewalsAreAnsweredInOrderAndTheStreamEndsWithTheRequests) {
  Grant(1, 60);
  Grant(2, 30);
  const Stream stream = KeepAlive();
  for (const int64_t id : {2, 9, 1, 2}) stream.Send(id);
  EXPECT_THAT(stream.Answers(),
              ElementsAre(std::pair(2, 30), std::pair(9, 0), std::pair(1, 60), std::pair(2, 30)));
  EXPECT_FALSE(stream.writer->status);
  stream.handler->OnHalfClose();
  ASSERT_TRUE(stream.writer->status);
  EXPECT_TRUE(stream.writer->status->ok());
}

// A renewal whose outcome is unknown is never reported as done.
TEST_F(LeaseServiceTest, ARenewalWithoutAnOutcomeEndsTheStream) {
  Grant(1, 60);
  caller_.gate.FailProposals(GateResult::kNoLeader);
  const Stream stream = KeepAlive();
  stream.Send(1);
  EXPECT_TRUE(stream.Answers().empty());
  ASSERT_TRUE(stream.writer->status);
  EXPECT_EQ(stream.writer->status->code, StatusCode::kUnavailable);
  EXPECT_EQ(stream.writer->status->message, "etcdserver: no leader");
  stream.Send(1);
  stream.handler->OnHalfClose();
}

TEST_F(LeaseServiceTest, BytesThatAreNoRequestEndTheStream) {
  const Stream stream = KeepAlive();
  stream.handler->OnMessage("\xff\xff");
  ASSERT_TRUE(stream.writer->status);
  EXPECT_EQ(stream.writer->status->code, StatusCode::kInternal);
}

}  // namespace
}  // namespace gavel::testing
