// The cluster, maintenance and health services, what is asked of every call, and the router.

#include <algorithm>
#include <string>

#include "gmock/gmock.h"
#include "google/protobuf/descriptor.h"
#include "gtest/gtest.h"

#include "proto/etcdserverpb/cluster.pb.h"
#include "proto/etcdserverpb/kv.pb.h"
#include "proto/etcdserverpb/maintenance.pb.h"
#include "proto/health/health.pb.h"
#include "server/rpc/error_map.h"
#include "tests/server/rpc/service_caller.h"

namespace gavel::testing {
namespace {

using etcdserverpb::DefragmentRequest;
using etcdserverpb::DefragmentResponse;
using etcdserverpb::DowngradeRequest;
using etcdserverpb::DowngradeResponse;
using etcdserverpb::HashKVRequest;
using etcdserverpb::HashKVResponse;
using etcdserverpb::HashRequest;
using etcdserverpb::HashResponse;
using etcdserverpb::MemberListRequest;
using etcdserverpb::MemberListResponse;
using etcdserverpb::MoveLeaderRequest;
using etcdserverpb::MoveLeaderResponse;
using etcdserverpb::PutRequest;
using etcdserverpb::PutResponse;
using etcdserverpb::StatusRequest;
using etcdserverpb::StatusResponse;
using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;
using server::Error;
using server::RpcStatus;
using server::StatusCode;
using server::StreamShape;
using server::ToStatus;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kMemberList[] = "/etcdserverpb.Cluster/MemberList";
constexpr char kStatus[] = "/etcdserverpb.Maintenance/Status";
constexpr char kHashKv[] = "/etcdserverpb.Maintenance/HashKV";
constexpr char kHash[] = "/etcdserverpb.Maintenance/Hash";
constexpr char kDefragment[] = "/etcdserverpb.Maintenance/Defragment";
constexpr char kMoveLeader[] = "/etcdserverpb.Maintenance/MoveLeader";
constexpr char kDowngrade[] = "/etcdserverpb.Maintenance/Downgrade";
constexpr char kHealthCheck[] = "/grpc.health.v1.Health/Check";
constexpr char kHealthWatch[] = "/grpc.health.v1.Health/Watch";

TEST(RpcServicesTest, MembersAreListedWithoutARevision) {
  ServiceCaller caller;
  const auto list = caller.Call<MemberListResponse>(kMemberList, MemberListRequest());
  ASSERT_TRUE(list.status.ok());
  EXPECT_EQ(list.response.header().revision(), 0);
  EXPECT_EQ(list.response.header().cluster_id(), TestGate::kCluster);
  ASSERT_EQ(list.response.members_size(), 1);
  EXPECT_EQ(list.response.members(0).id(), TestGate::kMember.value());
  EXPECT_EQ(list.response.members(0).name(), "one");
  EXPECT_THAT(list.response.members(0).peerurls(), ElementsAre("http://127.0.0.1:2380"));
  EXPECT_THAT(list.response.members(0).clienturls(), ElementsAre("http://127.0.0.1:2379"));
  EXPECT_FALSE(list.response.members(0).islearner());
}

TEST(RpcServicesTest, ALinearizableMemberListNeedsALeader) {
  ServiceCaller caller;
  caller.gate.FailReads(server::GateResult::kNoLeader);
  MemberListRequest request;
  EXPECT_TRUE(caller.Call<MemberListResponse>(kMemberList, request).status.ok());
  request.set_linearizable(true);
  EXPECT_EQ(caller.Call<MemberListResponse>(kMemberList, request).status,
            ToStatus(Error::kNoLeader));
}

TEST(RpcServicesTest, StatusTellsOfThisMember) {
  ServiceCaller caller;
  caller.gate.Fill("k", "v");
  const auto status = caller.Call<StatusResponse>(kStatus, StatusRequest());
  ASSERT_TRUE(status.status.ok());
  EXPECT_EQ(status.response.version(), "3.7.1");
  EXPECT_EQ(status.response.storageversion(), "3.7.0");
  EXPECT_EQ(status.response.header().revision(), 2);
  EXPECT_EQ(status.response.dbsize(), 4096);
  EXPECT_EQ(status.response.dbsizeinuse(), 1024);
  EXPECT_EQ(status.response.dbsizequota(), 1 << 30);
  EXPECT_EQ(status.response.leader(), TestGate::kMember.value());
  EXPECT_EQ(status.response.raftindex(), 12u);
  EXPECT_EQ(status.response.raftappliedindex(), 11u);
  EXPECT_EQ(status.response.raftterm(), TestGate::kTerm.value());
  EXPECT_FALSE(status.response.downgradeinfo().enabled());
  EXPECT_THAT(status.response.errors(), ElementsAre("the disk does not answer"));
}

TEST(RpcServicesTest, StatusOfALearnerWithoutALeader) {
  ServiceCaller caller;
  caller.gate.set_has_leader(false);
  caller.gate.set_learner(true);
  const auto status = caller.Call<StatusResponse>(kStatus, StatusRequest());
  ASSERT_TRUE(status.status.ok());
  EXPECT_EQ(status.response.leader(), 0u);
  EXPECT_TRUE(status.response.islearner());
  EXPECT_EQ(status.response.errors(0), "etcdserver: no leader");
}

TEST(RpcServicesTest, HashesAgreeWhenTheDataDoes) {
  ServiceCaller one;
  ServiceCaller two;
  for (ServiceCaller* caller : {&one, &two}) {
    for (int i = 0; i < 10000; ++i) caller->gate.Fill("k" + std::to_string(i % 3000), "v");
  }
  HashKVRequest request;
  const auto first = one.Call<HashKVResponse>(kHashKv, request);
  ASSERT_TRUE(first.status.ok());
  EXPECT_EQ(first.response.hash_revision(), 10001);
  EXPECT_EQ(first.response.hash(), two.Call<HashKVResponse>(kHashKv, request).response.hash());
  two.gate.Fill("k1", "other");
  EXPECT_NE(first.response.hash(), two.Call<HashKVResponse>(kHashKv, request).response.hash());
  request.set_revision(10001);
  EXPECT_EQ(first.response.hash(), two.Call<HashKVResponse>(kHashKv, request).response.hash());
  request.set_revision(20000);
  EXPECT_EQ(one.Call<HashKVResponse>(kHashKv, request).status, ToStatus(Error::kFutureRevision));
}

TEST(RpcServicesTest, TheHashOfAMemberIsThatOfItsKeysAndTheirHistory) {
  ServiceCaller one;
  ServiceCaller two;
  for (ServiceCaller* caller : {&one, &two}) caller->gate.Fill("k", "v");
  const auto hash = one.Call<HashResponse>(kHash, HashRequest());
  ASSERT_TRUE(hash.status.ok());
  EXPECT_EQ(hash.response.header().revision(), 2);
  EXPECT_EQ(hash.response.hash(), two.Call<HashResponse>(kHash, HashRequest()).response.hash());
  two.gate.Fill("k", "v");
  EXPECT_NE(hash.response.hash(), two.Call<HashResponse>(kHash, HashRequest()).response.hash());
}

TEST(RpcServicesTest, DefragmentationBeginsAndIsAnsweredAtOnceWithoutAHeader) {
  ServiceCaller caller;
  const auto done = caller.Call<DefragmentResponse>(kDefragment, DefragmentRequest());
  ASSERT_TRUE(done.status.ok());
  EXPECT_FALSE(done.response.has_header());
  EXPECT_EQ(caller.gate.compactions(), 1);
  caller.gate.FailCompactions(absl::ResourceExhaustedError("no space left"));
  const auto failed = caller.Call<DefragmentResponse>(kDefragment, DefragmentRequest());
  EXPECT_EQ(failed.status.code, StatusCode::kInternal);
  EXPECT_THAT(failed.status.message, HasSubstr("no space left"));
}

TEST(RpcServicesTest, OnlyTheLeaderHandsOverAndOnlyToAVoter) {
  ServiceCaller caller;
  MoveLeaderRequest request;
  request.set_targetid(TestGate::kMember.value());
  const auto moved = caller.Call<MoveLeaderResponse>(kMoveLeader, request);
  ASSERT_TRUE(moved.status.ok());
  EXPECT_FALSE(moved.response.has_header());
  EXPECT_THAT(caller.gate.moves(), ElementsAre(TestGate::kMember));
  caller.gate.FailMoves(server::GateResult::kTimedOut);
  EXPECT_EQ(caller.Call<MoveLeaderResponse>(kMoveLeader, request).status,
            ToStatus(Error::kTimeout));
  for (const uint64_t nobody : {uint64_t{0}, uint64_t{0x1234}}) {
    request.set_targetid(nobody);
    EXPECT_EQ(caller.Call<MoveLeaderResponse>(kMoveLeader, request).status,
              ToStatus(Error::kBadLeaderTransferee));
  }
  // Who does not lead says that, whatever it was asked.
  caller.gate.set_leads(false);
  EXPECT_EQ(caller.Call<MoveLeaderResponse>(kMoveLeader, request).status,
            ToStatus(Error::kNotLeader));
  EXPECT_EQ(caller.gate.moves().size(), 2u);
}

TEST(RpcServicesTest, TheClusterCanGoBackByOneMinorVersionAndNeedNotBePrepared) {
  ServiceCaller caller;
  const auto ask = [&](DowngradeRequest::DowngradeAction action, const char* version) {
    DowngradeRequest request;
    request.set_action(action);
    request.set_version(version);
    return caller.Call<DowngradeResponse>(kDowngrade, request);
  };
  for (const char* version : {"3.6", "3.6.0", "3.6.9"}) {
    const auto valid = ask(DowngradeRequest::VALIDATE, version);
    ASSERT_TRUE(valid.status.ok()) << version;
    EXPECT_EQ(valid.response.version(), "3.7");
    EXPECT_EQ(valid.response.header().revision(), 1);
  }
  for (const auto action : {DowngradeRequest::VALIDATE, DowngradeRequest::ENABLE}) {
    for (const char* version : {"", "3", "3.", ".6", "3.6.0.1", "v3.6", "3.-6", "three"}) {
      EXPECT_EQ(ask(action, version).status, ToStatus(Error::kDowngradeVersionFormat)) << version;
    }
    for (const char* version : {"3.5", "3.7", "3.8", "2.6", "4.6.0"}) {
      EXPECT_EQ(ask(action, version).status, ToStatus(Error::kDowngradeVersion)) << version;
    }
  }
  EXPECT_EQ(ask(DowngradeRequest::ENABLE, "3.6").status.code, StatusCode::kUnimplemented);
  EXPECT_EQ(ask(DowngradeRequest::CANCEL, "").status, ToStatus(Error::kDowngradeNotInProgress));
  EXPECT_EQ(ask(static_cast<DowngradeRequest::DowngradeAction>(7), "3.6").status,
            server::UnknownAction());
  caller.gate.FailReads(server::GateResult::kNoLeader);
  EXPECT_EQ(ask(DowngradeRequest::VALIDATE, "3.6").status, ToStatus(Error::kNoLeader));
}

TEST(RpcServicesTest, CallsThatNeedALeaderAreRefusedWithoutOne) {
  ServiceCaller caller;
  caller.gate.set_has_leader(false);
  server::CallContext context;
  EXPECT_TRUE(caller.Call<StatusResponse>(kStatus, StatusRequest(), context).status.ok());
  context.metadata = {{"hasleader", "true"}};
  EXPECT_EQ(caller.Call<StatusResponse>(kStatus, StatusRequest(), context).status,
            ToStatus(Error::kNoLeader));
  context.metadata = {{"hasleader", "false"}};
  EXPECT_TRUE(caller.Call<StatusResponse>(kStatus, StatusRequest(), context).status.ok());
  context.metadata = {{"hasleader", "true"}};
  const auto writer = std::make_shared<KeptWriter>();
  const auto handler =
      (*caller.services.router()->FindStream("/etcdserverpb.KV/RangeStream"))(context, writer);
  handler->OnMessage("ignored");
  ASSERT_TRUE(writer->status);
  EXPECT_EQ(*writer->status, ToStatus(Error::kNoLeader));
}

// Metrics name a method's shape as the contract has it, however we serve it.
TEST(RpcServicesTest, MethodsHaveTheShapeOfTheContract) {
  ServiceCaller caller;
  const auto find = [](std::string name) {
    name = name.substr(1);
    std::replace(name.begin(), name.end(), '/', '.');
    return google::protobuf::DescriptorPool::generated_pool()->FindMethodByName(name);
  };
  for (const auto& [name, method] : caller.services.router()->unary()) {
    const google::protobuf::MethodDescriptor* wanted = find(name);
    ASSERT_NE(wanted, nullptr) << name;
    EXPECT_FALSE(wanted->client_streaming() || wanted->server_streaming()) << name;
  }
  for (const auto& [name, stream] : caller.services.router()->streams()) {
    const google::protobuf::MethodDescriptor* wanted = find(name);
    ASSERT_NE(wanted, nullptr) << name;
    const bool bidi = stream.shape == StreamShape::kBidi;
    EXPECT_EQ(wanted->client_streaming(), bidi || stream.shape == StreamShape::kClientStream)
        << name;
    EXPECT_EQ(wanted->server_streaming(), bidi || stream.shape == StreamShape::kServerStream)
        << name;
  }
}

TEST(RpcServicesTest, TheClientsVersionIsCountedIfItIsUtf8) {
  ServiceCaller caller;
  server::CallContext context;
  context.metadata = {{"client-api-version", "3.6\xff"}};
  EXPECT_EQ(caller.Call<StatusResponse>(kStatus, StatusRequest(), context).status,
            ToStatus(Error::kInvalidClientApiVersion));
  context.metadata = {{"client-api-version", "3.6"}};
  EXPECT_TRUE(caller.Call<StatusResponse>(kStatus, StatusRequest(), context).status.ok());
  EXPECT_THAT(caller.metrics.Text(),
              HasSubstr("etcd_server_client_requests_total{client_api_version=\"3.6\","
                        "type=\"unary\"} 1"));
}

TEST(RpcServicesTest, VersionsThatClientsMakeUpDoNotFillTheMetrics) {
  ServiceCaller caller;
  for (int i = 0; i < 1000; ++i) {
    server::CallContext context;
    context.metadata = {{"client-api-version", "made-up-" + std::to_string(i)}};
    EXPECT_TRUE(caller.Call<StatusResponse>(kStatus, StatusRequest(), context).status.ok());
  }
  const std::string text = caller.metrics.Text();
  size_t counters = 0;
  for (size_t at = text.find("made-up-"); at != std::string::npos;
       at = text.find("made-up-", at + 1)) {
    ++counters;
  }
  EXPECT_LE(counters, 64u);
  EXPECT_THAT(text, HasSubstr("client_api_version=\"other\""));
}

TEST(RpcServicesTest, HealthIsToldAndFollowed) {
  ServiceCaller caller;
  HealthCheckRequest request;
  EXPECT_EQ(caller.Call<HealthCheckResponse>(kHealthCheck, request).response.status(),
            HealthCheckResponse::SERVING);
  const auto writer = std::make_shared<KeptWriter>();
  auto handler = (*caller.services.router()->FindStream(kHealthWatch))({}, writer);
  handler->OnMessage(request.SerializeAsString());
  caller.services.SetServing(false);
  caller.services.SetServing(false);
  caller.services.SetServing(true);
  handler->OnCancel();
  caller.services.SetServing(false);
  EXPECT_EQ(caller.Call<HealthCheckResponse>(kHealthCheck, request).response.status(),
            HealthCheckResponse::NOT_SERVING);
  std::vector<int> seen;
  for (const std::string& bytes : writer->messages) {
    HealthCheckResponse response;
    ASSERT_TRUE(response.ParseFromString(bytes));
    seen.push_back(response.status());
  }
  EXPECT_THAT(seen, ElementsAre(HealthCheckResponse::SERVING, HealthCheckResponse::NOT_SERVING,
                                HealthCheckResponse::SERVING));
}

TEST(RpcServicesTest, HealthOfAServiceThatIsNotThere) {
  ServiceCaller caller;
  HealthCheckRequest request;
  request.set_service("other");
  EXPECT_EQ(caller.Call<HealthCheckResponse>(kHealthCheck, request).status,
            (RpcStatus{StatusCode::kNotFound, "unknown service"}));
  const auto writer = std::make_shared<KeptWriter>();
  const auto handler = (*caller.services.router()->FindStream(kHealthWatch))({}, writer);
  handler->OnMessage(request.SerializeAsString());
  HealthCheckResponse response;
  ASSERT_TRUE(response.ParseFromString(writer->messages.at(0)));
  EXPECT_EQ(response.status(), HealthCheckResponse::SERVICE_UNKNOWN);
  EXPECT_FALSE(writer->status);
}

TEST(RpcServicesTest, UnknownMethodsAreAnsweredAsEtcdDoes) {
  ServiceCaller caller;
  const auto text = [&](std::string_view name) {
    const RpcStatus status = caller.services.router()->Unknown(name);
    EXPECT_EQ(status.code, StatusCode::kUnimplemented);
    return status.message;
  };
  EXPECT_EQ(text("/etcdserverpb.KV/Nope"), "unknown method Nope for service etcdserverpb.KV");
  EXPECT_EQ(text("/etcdserverpb.Watch/Nope"), "unknown method Nope for service etcdserverpb.Watch");
  EXPECT_EQ(text("/etcdserverpb.Nope/Range"), "unknown service etcdserverpb.Nope");
  EXPECT_EQ(text("/a/b/c"), "unknown service a/b");
  EXPECT_EQ(text("//Range"), "unknown service ");
  EXPECT_EQ(text("/nope"), "malformed method name: \"/nope\"");
  EXPECT_EQ(text(""), "malformed method name: \"\"");
  EXPECT_EQ(text("/v3lockpb.Lock/Lock"), "unknown method Lock for service v3lockpb.Lock");
  EXPECT_EQ(text("/etcdserverpb.Cluster/MemberAdd"),
            "unknown method MemberAdd for service etcdserverpb.Cluster");
}

}  // namespace
}  // namespace gavel::testing
