// Errors: what each means, and what is sent again because of it.
#include <memory>
#include <string>
#include <thread>
#include <tuple>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/client/client_test_support.h"
#include "tests/client/error_cases.h"

namespace gavel::client {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

using testing::Answer;
using testing::AnswerOk;
using testing::Case;
using testing::FailFirst;
using testing::kCases;
using testing::MakeClient;
using testing::milliseconds;
using testing::Options;
using testing::Request;
using testing::ScriptedServer;

// A write is sent once, and reported as what it is, whatever is not certain to be without effect.
TEST(ClientErrorsTest, AWriteIsNotRepeatedAfterARefusalOrAnUnknownOutcome) {
  for (const Case& c : kCases) {
    if (c.error_class == ErrorClass::kDropped) continue;
    SCOPED_TRACE(c.text);
    ScriptedServer server(FailFirst(1, Answer::Error(c.code, c.text)));
    const Client client = MakeClient({server.target()});
    const Result<PutResponse> put = client.kv().Put("k", "v");
    ASSERT_FALSE(put.ok());
    EXPECT_EQ(put.status().error_class(), c.error_class);
    EXPECT_EQ(put.status().reason(), c.reason);
    EXPECT_EQ(static_cast<int>(put.status().code()), static_cast<int>(c.code));
    EXPECT_EQ(put.status().message(), c.text);
    EXPECT_EQ(put.status().endpoint(), server.target());
    EXPECT_EQ(put.status().not_carried_out(), c.error_class == ErrorClass::kRejected);
    EXPECT_EQ(server.count(), 1u);
  }
}

// HTTP's refusals come from what is no member, and its failures perhaps from in front of one.
TEST(ClientErrorsTest, AnAnswerOfHttpIsNoMembers) {
  const std::tuple<grpc::StatusCode, const char*, ErrorClass> kAnswers[] = {
      {grpc::UNKNOWN, "301", ErrorClass::kRejected},
      {grpc::INTERNAL, "400", ErrorClass::kRejected},
      {grpc::UNAUTHENTICATED, "401", ErrorClass::kRejected},
      {grpc::UNIMPLEMENTED, "404", ErrorClass::kRejected},
      {grpc::UNKNOWN, "408", ErrorClass::kUnknown},
      {grpc::UNAVAILABLE, "429", ErrorClass::kUnknown},
      {grpc::UNKNOWN, "500", ErrorClass::kUnknown},
      {grpc::UNAVAILABLE, "503", ErrorClass::kUnknown},
  };
  for (const auto& [code, number, error_class] : kAnswers) {
    SCOPED_TRACE(number);
    const std::string text = std::string("Received http2 header with status: ") + number;
    ScriptedServer web([&](const Request&) { return Answer::Error(code, text); });
    const Status alone = MakeClient({web.target()}).kv().Put("k", "v").status();
    EXPECT_EQ(alone.reason(), Reason::kBadResponse);
    EXPECT_EQ(alone.error_class(), error_class);
    EXPECT_EQ(alone.endpoint(), web.target());
    EXPECT_THAT(alone.message(), HasSubstr(std::string("HTTP status ") + number));
    EXPECT_EQ(web.count(), 1u);
    // Members are asked instead, unless a write may have been carried out.
    ScriptedServer server(AnswerOk);
    const Client client = MakeClient({web.target(), server.target()});
    EXPECT_TRUE(client.kv().Get("k").ok());
    EXPECT_TRUE(client.kv().Put("k", "v").ok());
    const Client writer = MakeClient({web.target(), server.target()});
    const bool sent_elsewhere = writer.kv().Put("k", "v").ok();
    if (error_class == ErrorClass::kRejected) {
      EXPECT_TRUE(sent_elsewhere);
    }
  }
}

// Beside what is no member, members get the time that connecting takes.
TEST(ClientErrorsTest, AMemberIsWaitedForBesideWhatIsNone) {
  ScriptedServer web([](const Request&) {
    return Answer::Error(grpc::UNIMPLEMENTED, "Received http2 header with status: 404");
  });
  const int port = testing::UnusedPort();
  const Client client = MakeClient({web.target(), "127.0.0.1:" + std::to_string(port)});
  const Pending<PutResponse> put = client.kv().PutAsync("k", "v");
  std::this_thread::sleep_for(milliseconds(400));
  ScriptedServer late(AnswerOk, port);
  EXPECT_TRUE(put.Get().ok());
  EXPECT_EQ(web.count(), 1u);
}

// A read is repeated after an unknown outcome, and only then.
TEST(ClientErrorsTest, AReadIsRepeatedAfterAnUnknownOutcome) {
  for (const Case& c : kCases) {
    if (c.error_class == ErrorClass::kDropped) continue;
    SCOPED_TRACE(c.text);
    ScriptedServer server(FailFirst(1, Answer::Error(c.code, c.text)));
    const Client client = MakeClient({server.target()});
    const Result<GetResponse> got = client.kv().Get("k");
    if (c.error_class == ErrorClass::kUnknown) {
      EXPECT_TRUE(got.ok()) << got.status().ToString();
      EXPECT_EQ(server.count(), 2u);
    } else {
      EXPECT_EQ(got.status().reason(), c.reason);
      EXPECT_EQ(server.count(), 1u);
    }
  }
}

// What the server dropped for certain is sent again, writes too.
TEST(ClientErrorsTest, ADroppedWriteIsRepeated) {
  for (const Answer& dropped :
       {Answer::Error(grpc::UNAVAILABLE, "etcdserver: no leader"),
        Answer::Error(grpc::UNKNOWN, "raft proposal dropped"),
        Answer::Error(grpc::RESOURCE_EXHAUSTED, "etcdserver: too many requests"),
        // What etcd really sends for it.
        Answer::Error(grpc::UNKNOWN, "etcdserver: too many requests")}) {
    SCOPED_TRACE(dropped.text);
    ScriptedServer server(FailFirst(2, dropped));
    const Client client = MakeClient({server.target()});
    const Result<PutResponse> put = client.kv().Put("k", "v");
    EXPECT_TRUE(put.ok()) << put.status().ToString();
    EXPECT_EQ(server.count(), 3u);
  }
}

// The client's own limits: what is too large is not sent, or not taken.
TEST(ClientErrorsTest, LimitsOfMessages) {
  ScriptedServer server([](const Request&) {
    etcdserverpb::RangeResponse response;
    response.add_kvs()->set_value(std::string(2000, 'v'));
    return Answer::Ok(response);
  });
  ClientOptions options = Options({server.target()});
  options.request_bytes_max = 1000;
  options.response_bytes_max = 1000;
  const Client client = MakeClient(options);
  const Result<PutResponse> put = client.kv().Put("k", std::string(1000, 'v'));
  EXPECT_EQ(put.status().reason(), Reason::kRequestTooLarge);
  EXPECT_EQ(put.status().error_class(), ErrorClass::kRejected);
  EXPECT_EQ(server.count(), 0u);
  const Result<GetResponse> got = client.kv().Get("k");
  EXPECT_EQ(got.status().code(), Code::kResourceExhausted);
  EXPECT_EQ(got.status().error_class(), ErrorClass::kUnknown);
  options.response_bytes_max = 10'000;
  EXPECT_TRUE(MakeClient(options).kv().Get("k").ok());
  options.response_bytes_max = -1;
  EXPECT_EQ(Client::Create(options).status().reason(), Reason::kInvalidOptions);
}

// A dropped write that meets an unknown outcome on its next attempt ends as unknown.
TEST(ClientErrorsTest, AnUnknownOutcomeAfterADroppedOneIsUnknown) {
  std::atomic<int> calls = 0;
  ScriptedServer server([&](const Request&) {
    return calls++ == 0 ? Answer::Error(grpc::UNAVAILABLE, "etcdserver: no leader")
                        : Answer::Error(grpc::UNAVAILABLE, "etcdserver: leader changed");
  });
  const Client client = MakeClient({server.target()});
  const Result<PutResponse> put = client.kv().Put("k", "v");
  EXPECT_EQ(put.status().error_class(), ErrorClass::kUnknown);
  EXPECT_EQ(server.count(), 2u);
}

// When time is up, the cluster's last word is the error.
TEST(ClientErrorsTest, RetriesEndWithTheDeadlineAndTheLastAnswer) {
  ScriptedServer server(
      [](const Request&) { return Answer::Error(grpc::UNAVAILABLE, "etcdserver: no leader"); });
  ClientOptions options = Options({server.target()});
  options.timeout = milliseconds(300);
  const Client client = MakeClient(options);
  const Result<PutResponse> put = client.kv().Put("k", "v");
  EXPECT_EQ(put.status().error_class(), ErrorClass::kDropped);
  EXPECT_EQ(put.status().reason(), Reason::kNoLeader);
  EXPECT_EQ(put.status().message(), "etcdserver: no leader");
  EXPECT_GT(server.count(), 1u);
}

// Also if the last attempt of a read got no answer at all. A write's last attempt decides, and both
// are told.
TEST(ClientErrorsTest, TheLastAnswerTellsMoreThanALateOne) {
  for (const bool read : {true, false}) {
    std::atomic<int> calls = 0;
    ScriptedServer server([&](const Request&) {
      Answer answer = Answer::Error(grpc::UNAVAILABLE, "etcdserver: no leader");
      answer.never = calls++ > 0;
      return answer;
    });
    const Client client = MakeClient({server.target()});
    const CallOptions options{.timeout = milliseconds(1'500)};
    const Status status =
        read ? client.kv().Get("k", options).status() : client.kv().Put("k", "v", options).status();
    EXPECT_EQ(status.reason(), read ? Reason::kNoLeader : Reason::kDeadline);
    EXPECT_EQ(status.error_class(), read ? ErrorClass::kDropped : ErrorClass::kUnknown);
    EXPECT_EQ(status.message(), read ? "etcdserver: no leader"
                                     : "no answer within 1500 ms; before that, " + server.target() +
                                           " answered: etcdserver: no leader");
    EXPECT_EQ(server.count(), 2u);
  }
}

// An error that nobody has a name for is asked of others, but not without end.
TEST(ClientErrorsTest, AReadThatAlwaysFailsStrangelyEnds) {
  ScriptedServer server([](const Request&) { return Answer::Error(grpc::UNKNOWN, "strange"); });
  const Client client = MakeClient({server.target()});
  const Result<GetResponse> got = client.kv().Get("k");
  EXPECT_EQ(got.status().message(), "strange");
  EXPECT_EQ(server.count(), 2u);
}

// A transaction counts as a read if no branch of it, however deep, writes.
TEST(ClientErrorsTest, OnlyATransactionThatWritesNothingIsRepeated) {
  const Txn reads = Txn().Then(RangeRequest{.range = "a"}).Else(Txn().Then(RangeRequest{}));
  const Txn writes =
      Txn().Then(RangeRequest{.range = "a"}).Else(Txn().Else(DeleteRequest{.range = "a"}));
  EXPECT_TRUE(reads.read_only());
  EXPECT_FALSE(writes.read_only());
  const Answer lost = Answer::Error(grpc::UNAVAILABLE, "etcdserver: leader changed");
  for (const bool read : {true, false}) {
    ScriptedServer server(FailFirst(1, lost));
    const Client client = MakeClient({server.target()});
    EXPECT_EQ(client.kv().Commit(read ? reads : writes).ok(), read);
    EXPECT_EQ(server.count(), read ? 2u : 1u);
  }
}

TEST(ClientErrorsTest, ALearnerIsLeftForAnotherMember) {
  ScriptedServer learner([](const Request&) {
    return Answer::Error(grpc::FAILED_PRECONDITION, "etcdserver: rpc not supported for learner");
  });
  ScriptedServer voter(AnswerOk);
  const Client client = MakeClient({learner.target(), voter.target()});
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(client.kv().Put("k", "v").ok());
  EXPECT_LE(learner.count(), 1u);
  EXPECT_EQ(voter.count(), 3u);
  // Asked by name, it is asked alone.
  const Result<PutResponse> put =
      client.kv().Put("k", "v", CallOptions{.endpoint = learner.target()});
  EXPECT_EQ(put.status().reason(), Reason::kLearner);
  EXPECT_EQ(voter.count(), 3u);
}

// Something that speaks gRPC but not etcd's messages.
TEST(ClientErrorsTest, AResponseThatCannotBeDecodedIsSaidToBe) {
  ScriptedServer server([](const Request&) {
    Answer answer;
    answer.body = "\xff\xff\xff";
    return answer;
  });
  const Client client = MakeClient({server.target()});
  const Result<PutResponse> put = client.kv().Put("k", "v");
  EXPECT_EQ(put.status().reason(), Reason::kBadResponse);
  EXPECT_EQ(put.status().error_class(), ErrorClass::kUnknown);
  EXPECT_EQ(put.status().endpoint(), server.target());
}

TEST(ClientErrorsTest, AStatusReadsAsOneLine) {
  EXPECT_EQ(Status().ToString(), "OK");
  Status status(Code::kUnavailable, ErrorClass::kUnknown, Reason::kLeaderChanged,
                "etcdserver: leader changed");
  status.set_endpoint("10.0.0.1:2379");
  EXPECT_EQ(status.ToString(),
            "Unavailable: etcdserver: leader changed [10.0.0.1:2379] (outcome unknown)");
}

TEST(ClientErrorsTest, AnEndpointThatCannotBeUsedIsRefusedWithAReason) {
  const std::pair<const char*, const char*> kBad[] = {
      {"https://a:1", "https"}, {"a", "a host and a port"},  {"a:", "the port"},
      {"a:x", "the port"},      {"a:0", "the port"},         {"a:70000", "the port"},
      {":2379", "a host"},      {"unix:///x:1", "scheme"},   {"a:1/path", "nothing but"},
      {"u@a:1", "nothing but"}, {"", "a host and a port"},   {"::1:2379", "a host and a port"},
      {"[::1:23", "a host"},    {"http://", "a host and a"},
  };
  for (const auto& [endpoint, why] : kBad) {
    SCOPED_TRACE(endpoint);
    const Result<Client> client = Client::Create({.endpoints = {"good:1", endpoint}});
    ASSERT_FALSE(client.ok());
    EXPECT_EQ(client.status().reason(), Reason::kInvalidOptions);
    EXPECT_THAT(client.status().message(), HasSubstr(why));
  }
  EXPECT_FALSE(Client::Create({.endpoints = {}}).ok());
  EXPECT_FALSE(Client::Create({.timeout = milliseconds(0)}).ok());
  const Client client = MakeClient({"http://a:1/", "b:2", "a:1", "[::1]:3"});
  std::string addresses;
  for (const EndpointState& state : client.endpoints()) addresses += state.address + " ";
  EXPECT_EQ(addresses, "a:1 b:2 [::1]:3 ");
  EXPECT_EQ(client.kv().Get("k", CallOptions{.endpoint = "nonsense"}).status().reason(),
            Reason::kInvalidOptions);
}

TEST(ClientErrorsDeathTest, AMissingValueEndsTheProcess) {
  const Result<int> none = Status(Code::kUnknown, ErrorClass::kUnknown, Reason::kOther, "why");
  EXPECT_DEATH(static_cast<void>(none.value()), "there is no value, but an error: Unknown: why");
}

}  // namespace
}  // namespace gavel::client
