// Endpoints that are dead, silent or cut off, and how calls get past them.
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "client/internal/core.h"
#include "client/internal/stream.h"
#include "tests/client/client_test_support.h"

namespace gavel::client {
namespace {

using ::testing::HasSubstr;

using testing::Answer;
using testing::AnswerOk;
using testing::CuttingProxy;
using testing::MakeClient;
using testing::milliseconds;
using testing::Options;
using testing::Request;
using testing::ScriptedServer;
using testing::SilentPort;
using testing::UnusedPort;

std::string DeadTarget() { return "127.0.0.1:" + std::to_string(UnusedPort()); }

Answer NeverAnswer(const Request&) {
  Answer answer;
  answer.never = true;
  return answer;
}

// A client whose servers are away opens streams again and again.
TEST(ClientFailoverTest, AStreamThatNoEndpointTakesIsLetGo) {
  ClientOptions options;
  options.dial_timeout = milliseconds(50);
  const auto core = internal::Core::Create(options, {DeadTarget()});
  std::promise<Status> ended;
  internal::StreamEvents events;
  events.ended = [&](Status status) { ended.set_value(std::move(status)); };
  internal::StreamSpec spec;
  spec.method = "/etcdserverpb.Watch/Watch";
  const std::weak_ptr<internal::Stream> stream = core->OpenStream(spec, std::move(events));
  EXPECT_FALSE(ended.get_future().get().ok());
  core->Close();
  EXPECT_TRUE(stream.expired());
}

TEST(ClientFailoverTest, AStreamThatWaitsAtTheCloseIsLetGo) {
  const auto core = internal::Core::Create(Options({}), {DeadTarget()});
  internal::StreamEvents events;
  events.ended = [](const Status& status) { EXPECT_FALSE(status.ok()); };
  internal::StreamSpec spec;
  spec.method = "/etcdserverpb.Watch/Watch";
  const std::weak_ptr<internal::Stream> stream = core->OpenStream(spec, std::move(events));
  core->Close();
  EXPECT_TRUE(stream.expired());
}

// No call here may need the dial timeout of a minute.
TEST(ClientFailoverTest, DeadEndpointsArePassedOver) {
  ScriptedServer server(AnswerOk);
  for (const std::vector<std::string>& endpoints :
       {std::vector<std::string>{DeadTarget(), server.target()},
        {DeadTarget(), DeadTarget(), DeadTarget(), server.target()},
        {server.target(), DeadTarget()}}) {
    const Client client = MakeClient(endpoints);
    EXPECT_TRUE(client.kv().Put("k", "v").ok());
    EXPECT_TRUE(client.kv().Get("k").ok());
  }
}

// The one that answered stays in use: no call goes elsewhere without a reason.
TEST(ClientFailoverTest, TheEndpointThatAnsweredIsKept) {
  ScriptedServer first(AnswerOk), second(AnswerOk);
  const Client client = MakeClient({first.target(), second.target()});
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(client.kv().Put("k", "v").ok());
  EXPECT_EQ(first.count() + second.count(), 20u);
  EXPECT_TRUE(first.count() == 0 || second.count() == 0);
  const std::vector<EndpointState> states = client.endpoints();
  EXPECT_TRUE(states[0].preferred != states[1].preferred);
  EXPECT_TRUE(states[first.count() ? 0 : 1].preferred);
  EXPECT_TRUE(states[first.count() ? 0 : 1].connected);
}

TEST(ClientFailoverTest, AnEndpointThatAcceptsAndSaysNothingIsPassedOver) {
  SilentPort silent;
  ScriptedServer server(AnswerOk);
  const Client client = MakeClient({silent.target(), server.target()});
  EXPECT_TRUE(client.kv().Put("k", "v").ok());
}

TEST(ClientFailoverTest, NoEndpointAtAllIsSaidWithTheReasonOfEach) {
  SilentPort silent;
  const std::string dead = DeadTarget();
  ClientOptions options = Options({dead, silent.target()});
  options.dial_timeout = milliseconds(400);
  const Client client = MakeClient(options);
  for (const bool write : {true, false}) {
    const Status status =
        write ? client.kv().Put("k", "v").status() : client.kv().Get("k").status();
    EXPECT_EQ(status.reason(), Reason::kNoEndpoint);
    EXPECT_EQ(status.code(), Code::kUnavailable);
    EXPECT_EQ(status.error_class(), ErrorClass::kDropped);
    EXPECT_THAT(status.message(), HasSubstr(dead + " (Connection refused)"));
    EXPECT_THAT(status.message(),
                HasSubstr(silent.target() + " (no answer to the attempt to connect)"));
    EXPECT_THAT(status.message(), HasSubstr("check that the servers run"));
  }
}

// Asked for by name, a dead endpoint ends the call without waiting for the dial timeout.
TEST(ClientFailoverTest, ANamedEndpointThatRefusesEndsTheCallAtOnce) {
  ScriptedServer server(AnswerOk);
  const Client client = MakeClient({server.target()});
  const std::string dead = DeadTarget();
  for (int i = 0; i < 2; ++i) {
    const Result<StatusResponse> status = client.maintenance().Status(dead);
    EXPECT_EQ(status.status().reason(), Reason::kNoEndpoint);
    EXPECT_THAT(status.status().message(), HasSubstr(dead + " (Connection refused)"));
  }
  EXPECT_EQ(server.count(), 0u);
}

// A silent server costs a read its silence timeout, and nothing more.
TEST(ClientFailoverTest, AReadLeavesASilentServerForAnother) {
  ScriptedServer silent(NeverAnswer), server(AnswerOk);
  ClientOptions options = Options({silent.target(), server.target()});
  options.silence_timeout = milliseconds(200);
  const Client client = MakeClient(options);
  // Whichever is asked first, the answer comes from the one that talks.
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(client.kv().Get("k").ok());
  EXPECT_EQ(server.count(), 5u);
  EXPECT_LE(silent.count(), 1u);
}

// A write to a silent server is unknown, is not sent elsewhere, and the next one is.
TEST(ClientFailoverTest, AWriteToASilentServerIsUnknownAndTheNextGoesElsewhere) {
  ScriptedServer silent(NeverAnswer);
  ClientOptions options = Options({silent.target()});
  Client client = MakeClient(options);
  const Result<PutResponse> first =
      client.kv().Put("k", "1", CallOptions{.timeout = milliseconds(300)});
  EXPECT_EQ(first.status().reason(), Reason::kDeadline);
  EXPECT_EQ(first.status().code(), Code::kDeadlineExceeded);
  EXPECT_EQ(first.status().error_class(), ErrorClass::kUnknown);
  EXPECT_EQ(first.status().message(), "no answer within 300 ms");
  EXPECT_EQ(silent.count(), 1u);
  EXPECT_TRUE(client.endpoints()[0].avoided);
  ScriptedServer server(AnswerOk);
  ASSERT_TRUE(client.SetEndpoints({silent.target(), server.target()}).ok());
  EXPECT_TRUE(client.kv().Put("k", "2").ok());
  EXPECT_EQ(silent.count(), 1u);
  EXPECT_EQ(server.count(), 1u);
}

// The only server there is gets all of a read's time.
TEST(ClientFailoverTest, AReadOfTheOnlyServerWaitsItsWholeTime) {
  ScriptedServer silent(NeverAnswer);
  ClientOptions options = Options({silent.target()});
  options.silence_timeout = milliseconds(50);
  const Client client = MakeClient(options);
  const Result<GetResponse> got = client.kv().Get("k", CallOptions{.timeout = milliseconds(400)});
  EXPECT_EQ(got.status().reason(), Reason::kDeadline);
  EXPECT_EQ(got.status().message(), "no answer within 400 ms");
  EXPECT_EQ(silent.count(), 1u);
}

TEST(ClientFailoverTest, AServerThatGoesAwayIsReplacedByAnother) {
  auto first = std::make_unique<ScriptedServer>(AnswerOk);
  const Client client = MakeClient({first->target(), DeadTarget()});
  ASSERT_TRUE(client.kv().Put("k", "v").ok());
  const int port = first->port();
  first.reset();
  // And comes back on the same port, while nobody else is there.
  std::optional<ScriptedServer> again;
  std::thread restart([&] {
    std::this_thread::sleep_for(milliseconds(200));
    again.emplace(AnswerOk, port);
  });
  EXPECT_TRUE(client.kv().Get("k").ok());
  restart.join();
  EXPECT_TRUE(client.kv().Put("k", "v").ok());
  EXPECT_EQ(again->count(), 2u);
}

// A response that breaks off in the middle: the server has done its work.
TEST(ClientFailoverTest, AResponseThatIsCutOffLeavesAWriteUnknown) {
  etcdserverpb::PutResponse large;
  large.mutable_prev_kv()->set_value(std::string(100'000, 'x'));
  ScriptedServer server([&](const Request&) { return Answer::Ok(large); });
  CuttingProxy proxy(server.port());
  const Client client = MakeClient({proxy.target()});
  ASSERT_TRUE(client.kv().Put("k", "1").ok());
  proxy.CutAfter(20'000);
  const Result<PutResponse> put = client.kv().Put("k", "2");
  EXPECT_TRUE(proxy.was_cut());
  EXPECT_EQ(put.status().error_class(), ErrorClass::kUnknown) << put.status().ToString();
  EXPECT_EQ(server.count(), 2u);
  // The connection is made anew.
  const Result<PutResponse> third = client.kv().Put("k", "3");
  EXPECT_TRUE(third.ok()) << third.status().ToString();
}

TEST(ClientFailoverTest, AReadWhoseResponseIsCutOffIsAskedAgain) {
  etcdserverpb::RangeResponse large;
  large.add_kvs()->set_value(std::string(100'000, 'x'));
  ScriptedServer server([&](const Request&) { return Answer::Ok(large); });
  CuttingProxy proxy(server.port());
  const Client client = MakeClient({proxy.target()});
  ASSERT_TRUE(client.kv().Get("k").ok());
  proxy.CutAfter(20'000);
  const Result<GetResponse> got = client.kv().Get("k");
  EXPECT_TRUE(proxy.was_cut());
  ASSERT_TRUE(got.ok()) << got.status().ToString();
  EXPECT_EQ(got->kv->value.size(), 100'000u);
  EXPECT_EQ(server.count(), 3u);
}

// A member without a leader is left, and is not asked again for the next call.
TEST(ClientFailoverTest, AMemberWithoutALeaderIsLeftForAnother) {
  ScriptedServer cut_off([](const Request& request) {
    if (request.method != "Put") return AnswerOk(request);
    return Answer::Error(grpc::UNAVAILABLE, "etcdserver: no leader");
  });
  ScriptedServer server(AnswerOk);
  const Client client = MakeClient({cut_off.target(), server.target()});
  // Both are connected: who has nobody else does ask such a member again.
  for (const std::string& target : {cut_off.target(), server.target()}) {
    const Result<StatusResponse> up = client.maintenance().Status(target);
    ASSERT_TRUE(up.ok()) << up.status().ToString();
  }
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(client.kv().Put("k", "v").ok());
  EXPECT_EQ(server.count(), 1u + 3u);
  EXPECT_EQ(cut_off.count(), 1u + 1u);
}

// Endpoints that are given anew take over; a connection that stays in the list stays.
TEST(ClientFailoverTest, EndpointsCanBeReplaced) {
  ScriptedServer first(AnswerOk), second(AnswerOk);
  Client client = MakeClient({first.target()});
  ASSERT_TRUE(client.kv().Put("k", "v").ok());
  ASSERT_TRUE(client.SetEndpoints({second.target()}).ok());
  ASSERT_TRUE(client.kv().Put("k", "v").ok());
  EXPECT_EQ(first.count(), 1u);
  EXPECT_EQ(second.count(), 1u);
  EXPECT_FALSE(client.SetEndpoints({}).ok());
  EXPECT_EQ(client.endpoints().size(), 1u);
}

TEST(ClientFailoverTest, MetadataSaysWhoAsksAndWhatItNeeds) {
  ScriptedServer server(AnswerOk);
  const Client client = MakeClient({server.target()});
  ASSERT_TRUE(client.kv().Get("k").ok());
  ASSERT_TRUE(client.kv().Get("k", CallOptions{.require_leader = true}).ok());
  const std::vector<Request> requests = server.requests();
  EXPECT_EQ(requests[0].metadata.count("hasleader"), 0u);
  EXPECT_EQ(requests[1].metadata.find("hasleader")->second, "true");
  EXPECT_THAT(requests[0].metadata.find("client-api-version")->second,
              ::testing::StartsWith("gavel-client/"));
}

}  // namespace
}  // namespace gavel::client
