// Both fronts over loopback: unary calls and how they end.

#include <atomic>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "proto/etcdserverpb/kv.pb.h"
#include "server/rpc/client_services.h"
#include "tests/server/rpc/front_client.h"
#include "tests/server/rpc/test_gate.h"

namespace gavel::testing {
namespace {

using server::CallContext;
using server::Completion;
using server::Encoded;
using server::FrontOptions;
using server::Router;
using server::RpcStatus;
using server::StatusCode;
using ::testing::Contains;
using ::testing::HasSubstr;

// Answers with the request, in several slices.
void Echo(std::string request, CallContext, Completion done) {
  Encoded encoded;
  const size_t half = request.size() / 2;
  encoded.Append(std::make_shared<const std::string>(request.substr(0, half)));
  encoded.Append(std::make_shared<const std::string>(request.substr(half)));
  std::move(done)(RpcStatus(), std::move(encoded));
}

std::shared_ptr<Router> EchoRouter() {
  auto router = std::make_shared<Router>();
  router->AddUnary("/test.Test/Echo", Echo);
  return router;
}

TEST(RpcFrontTest, SmallAndLargeMessagesComeBackWhole) {
  FrontFixture fixture(EchoRouter());
  const auto channel = fixture.NewChannel();
  for (const size_t bytes : {0, 1, 1000, 1024, 1025, 2048, 2049, 70000, 2000000}) {
    std::string request(bytes, 'x');
    for (size_t i = 0; i < bytes; i += 7) request[i] = static_cast<char>(i);
    const ClientAnswer answer = CallUnary(channel, "/test.Test/Echo", request);
    EXPECT_TRUE(answer.status.ok()) << answer.status.error_message();
    EXPECT_EQ(answer.response, request) << bytes;
  }
}

TEST(RpcFrontTest, AnswersFromOtherThreadsReachTheirCalls) {
  auto router = std::make_shared<Router>();
  std::mutex mutex;
  std::vector<std::thread> threads;
  router->AddUnary("/test.Test/Echo", [&](std::string request, CallContext, Completion done) {
    std::lock_guard lock(mutex);
    threads.emplace_back([request = std::move(request), done = std::move(done)]() mutable {
      std::move(done)(RpcStatus(), Encoded(std::move(request)));
    });
  });
  server::Http2FrontOptions options;
  options.io_threads = 2;
  FrontFixture fixture(router, options);
  std::vector<std::thread> clients;
  std::atomic<int> right = 0;
  for (int c = 0; c < 8; ++c) {
    clients.emplace_back([&, c] {
      const auto channel = fixture.NewChannel();
      for (int i = 0; i < 50; ++i) {
        const std::string request = std::to_string(c) + "/" + std::to_string(i);
        const ClientAnswer answer = CallUnary(channel, "/test.Test/Echo", request);
        if (answer.status.ok() && answer.response == request) ++right;
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(right, 400);
  std::lock_guard lock(mutex);
  for (std::thread& thread : threads) thread.join();
}

TEST(RpcFrontTest, ManyCallsAtOnceEachGetTheirAnswer) {
  FrontFixture fixture(EchoRouter());
  grpc::GenericStub stub(fixture.NewChannel());
  grpc::CompletionQueue queue;
  struct Call {
    grpc::ClientContext context;
    std::unique_ptr<grpc::GenericClientAsyncResponseReader> reader;
    grpc::ByteBuffer response;
    grpc::Status status;
  };
  constexpr int kCalls = 1000;
  std::vector<std::unique_ptr<Call>> calls;
  for (int i = 0; i < kCalls; ++i) {
    auto& call = *calls.emplace_back(std::make_unique<Call>());
    call.reader = stub.PrepareUnaryCall(&call.context, "/test.Test/Echo",
                                        ToBuffer("call " + std::to_string(i)), &queue);
    call.reader->StartCall();
    call.reader->Finish(&call.response, &call.status, &call);
  }
  for (int i = 0; i < kCalls; ++i) {
    void* tag = nullptr;
    bool ok = false;
    ASSERT_TRUE(queue.Next(&tag, &ok));
  }
  for (int i = 0; i < kCalls; ++i) {
    EXPECT_TRUE(calls[i]->status.ok());
    EXPECT_EQ(ToString(calls[i]->response), "call " + std::to_string(i));
  }
}

TEST(RpcFrontTest, ErrorsKeepTheirCodeAndText) {
  auto router = std::make_shared<Router>();
  const std::string text = "etcdserver: 100% odd \xE2\x82\xAC text\nwith lines";
  router->AddUnary("/test.Test/Fail", [&](std::string, CallContext, Completion done) {
    std::move(done)({StatusCode::kFailedPrecondition, text}, Encoded());
  });
  FrontFixture fixture(router);
  const ClientAnswer answer = CallUnary(fixture.NewChannel(), "/test.Test/Fail", "");
  EXPECT_EQ(answer.status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(answer.status.error_message(), text);
}

TEST(RpcFrontTest, UnknownMethodsAreUnimplemented) {
  FrontFixture fixture(EchoRouter());
  const auto channel = fixture.NewChannel();
  ClientAnswer answer = CallUnary(channel, "/test.Test/Nope", "x");
  EXPECT_EQ(answer.status.error_code(), grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_EQ(answer.status.error_message(), "unknown method Nope for service test.Test");
  answer = CallUnary(channel, "/test.Other/Echo", "x");
  EXPECT_EQ(answer.status.error_message(), "unknown service test.Other");
  ClientStream stream(channel, "/test.Test/Nope");
  EXPECT_EQ(stream.Finish().error_code(), grpc::StatusCode::UNIMPLEMENTED);
}

TEST(RpcFrontTest, TheLimitIsOnTheMessage) {
  FrontFixture fixture(EchoRouter());
  const auto channel = fixture.NewChannel();
  const size_t limit = FrontOptions().message_bytes_max;
  EXPECT_TRUE(CallUnary(channel, "/test.Test/Echo", std::string(limit, 'x')).status.ok());
  for (const size_t bytes : {limit + 1, size_t{20} << 20}) {
    const ClientAnswer answer = CallUnary(channel, "/test.Test/Echo", std::string(bytes, 'x'));
    EXPECT_EQ(answer.status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
    EXPECT_EQ(answer.status.error_message(),
              "grpc: received message larger than max (" + std::to_string(bytes) + " vs. 2097152)");
  }
  EXPECT_TRUE(CallUnary(channel, "/test.Test/Echo", "still there").status.ok());
}

TEST(RpcFrontTest, HandlersSeeMetadataDeadlineAndPeer) {
  auto router = std::make_shared<Router>();
  server::SystemClock clock;
  router->AddUnary("/test.Test/Look", [&](std::string, CallContext context, Completion done) {
    EXPECT_EQ(context.Find("token"), "abc");
    EXPECT_EQ(context.Find("missing"), std::nullopt);
    EXPECT_THAT(context.peer, HasSubstr("127.0.0.1"));
    EXPECT_NE(context.executor, nullptr);
    std::string left = "none";
    if (context.deadline) {
      left = std::to_string((*context.deadline - clock.Now()) / server::kNsPerMs);
    }
    std::move(done)(RpcStatus(), Encoded(std::move(left)));
  });
  FrontFixture fixture(router);
  const auto channel = fixture.NewChannel();
  EXPECT_EQ(CallUnary(channel, "/test.Test/Look", "", 0, {{"token", "abc"}}).response, "none");
  const int left =
      std::stoi(CallUnary(channel, "/test.Test/Look", "", 15000, {{"token", "abc"}}).response);
  EXPECT_GT(left, 5000);
  EXPECT_LE(left, 16000);  // On the wire it may be rounded up.
}

TEST(RpcFrontTest, ADeadlineEndsACallWhoseAnswerComesLate) {
  auto router = EchoRouter();
  std::mutex mutex;
  std::vector<Completion> late;
  router->AddUnary("/test.Test/Late", [&](std::string, CallContext, Completion done) {
    std::lock_guard lock(mutex);
    late.push_back(std::move(done));
  });
  FrontFixture fixture(router);
  const auto channel = fixture.NewChannel();
  for (int i = 0; i < 3; ++i) {
    const ClientAnswer answer = CallUnary(channel, "/test.Test/Late", "x", 50);
    EXPECT_EQ(answer.status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  }
  // The late answers find calls that are over; those after them are served as ever.
  std::vector<Completion> answers;
  {
    std::lock_guard lock(mutex);
    answers.swap(late);
  }
  for (Completion& done : answers) std::move(done)(RpcStatus(), Encoded(std::string("late")));
  for (int i = 0; i < 200; ++i) {
    EXPECT_EQ(CallUnary(channel, "/test.Test/Echo", "x").response, "x");
  }
}

TEST(RpcFrontTest, ADroppedCompletionEndsTheCall) {
  auto router = std::make_shared<Router>();
  router->AddUnary("/test.Test/Drop", [](std::string, CallContext, Completion) {});
  FrontFixture fixture(router);
  const ClientAnswer answer = CallUnary(fixture.NewChannel(), "/test.Test/Drop", "x");
  EXPECT_EQ(answer.status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(answer.status.error_message(), "etcdserver: server stopped");
}

TEST(RpcFrontTest, WorkHandedToTheExecutorRunsOnTheIoThread) {
  auto router = std::make_shared<Router>();
  std::vector<std::thread> threads;
  router->AddUnary("/test.Test/Where", [&](std::string, CallContext context, Completion done) {
    const auto here = std::this_thread::get_id();
    threads.emplace_back([here, executor = context.executor, done = std::move(done)]() mutable {
      executor->Run([here, done = std::move(done)]() mutable {
        const bool same = here == std::this_thread::get_id();
        std::move(done)(RpcStatus(), Encoded(std::string(same ? "same" : "other")));
      });
    });
  });
  FrontFixture fixture(router);
  const auto channel = fixture.NewChannel();
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(CallUnary(channel, "/test.Test/Where", "").response, "same");
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(RpcFrontTest, ATakenPortIsNamed) {
  FrontFixture fixture(EchoRouter());
  server::Http2FrontOptions options;
  const std::string address = "127.0.0.1:" + std::to_string(fixture.port());
  options.addresses = {"127.0.0.1:0", address};
  const auto second =
      server::Http2Front::Start(options, EchoRouter(), fixture.clock, fixture.log, fixture.metrics);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(std::string(second.status().message()),
            "cannot listen on " + address + ": Address already in use");
  EXPECT_TRUE(CallUnary(fixture.NewChannel(), "/test.Test/Echo", "x").status.ok());
}

TEST(RpcFrontTest, SeveralAddressesAreServed) {
  server::Http2FrontOptions options;
  options.addresses = {"127.0.0.1:0", "127.0.0.1:0"};
  FrontFixture fixture(EchoRouter(), options);
  ASSERT_EQ(fixture.front->ports().size(), 2u);
  for (const int port : fixture.front->ports()) {
    EXPECT_EQ(CallUnary(Connect(port), "/test.Test/Echo", "x").response, "x");
  }
}

TEST(RpcFrontTest, ShutdownLetsRequestsFinishAndRefusesNewOnes) {
  auto router = std::make_shared<Router>();
  Signal arrived;
  std::optional<Completion> held;
  router->AddUnary("/test.Test/Hold", [&](std::string, CallContext, Completion done) {
    held = std::move(done);
    arrived.Set();
  });
  FrontFixture fixture(router);
  const auto channel = fixture.NewChannel();
  ClientAnswer answer;
  std::thread client([&] { answer = CallUnary(channel, "/test.Test/Hold", "x"); });
  ASSERT_TRUE(arrived.Wait());
  std::thread stopper([&] { fixture.front->Shutdown(10 * server::kNsPerSecond); });
  // Refused as soon as the shutdown has begun. A call that arrives in that very moment and has
  // reached no handler is cancelled by gRPC.
  const int port = fixture.port();
  ClientAnswer refused;
  do {
    refused = CallUnary(Connect(port), "/test.Test/Other", "x");
  } while (refused.status.error_code() == grpc::StatusCode::UNIMPLEMENTED ||
           refused.status.error_code() == grpc::StatusCode::CANCELLED);
  EXPECT_EQ(refused.status.error_code(), grpc::StatusCode::UNAVAILABLE);
  (*std::exchange(held, std::nullopt))(RpcStatus(), Encoded(std::string("done")));
  client.join();
  stopper.join();
  EXPECT_TRUE(answer.status.ok()) << answer.status.error_message();
  EXPECT_EQ(answer.response, "done");
}

TEST(RpcFrontTest, ShutdownDoesNotWaitForAHandlerThatNeverAnswers) {
  std::vector<Completion> held;
  {
    auto router = std::make_shared<Router>();
    Signal arrived;
    router->AddUnary("/test.Test/Hold", [&](std::string, CallContext, Completion done) {
      held.push_back(std::move(done));
      arrived.Set();
    });
    FrontFixture fixture(router);
    const auto channel = fixture.NewChannel();
    ClientAnswer answer;
    std::thread client([&] { answer = CallUnary(channel, "/test.Test/Hold", "x"); });
    ASSERT_TRUE(arrived.Wait());
    fixture.front->Shutdown(0);
    client.join();
    EXPECT_FALSE(answer.status.ok());
  }
  // Answered after everything is gone.
  for (Completion& done : held) std::move(done)(RpcStatus(), Encoded(std::string("too late")));
}

TEST(RpcFrontTest, DurationsAreToldUnderEtcdsNames) {
  auto router = std::make_shared<Router>();
  router->AddUnary("/etcdserverpb.KV/Range", Echo);
  router->AddUnary("/etcdserverpb.Maintenance/HashKV", Echo);
  router->AddUnary("/etcdserverpb.Lease/LeaseRevoke",
                   [](std::string, CallContext, Completion done) {
                     std::move(done)({StatusCode::kNotFound, "no"}, Encoded());
                   });
  FrontFixture fixture(router);
  const auto channel = fixture.NewChannel();
  for (const char* method : {"KV/Range", "Maintenance/HashKV", "Lease/LeaseRevoke"}) {
    CallUnary(channel, std::string("/etcdserverpb.") + method, "");
  }
  const std::string text = fixture.metrics.Text();
  for (const char* line :
       {"etcd_server_request_duration_seconds_count{success=\"true\",type=\"Range\"} 1\n",
        "etcd_server_request_duration_seconds_count{success=\"false\",type=\"Range\"} 0\n",
        "etcd_server_request_duration_seconds_count{success=\"false\",type=\"LeaseRevoke\"} 1\n",
        "etcd_server_range_duration_seconds_count{success=\"true\"} 1\n",
        "etcd_mvcc_hash_rev_duration_seconds_count 1\n"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

TEST(RpcFrontTest, CallsAreCountedUnderEtcdsNames) {
  auto router = EchoRouter();
  router->AddUnary("/test.Test/Fail", [](std::string, CallContext, Completion done) {
    std::move(done)({StatusCode::kOutOfRange, "no"}, Encoded());
  });
  FrontFixture fixture(router);
  const auto channel = fixture.NewChannel();
  for (int i = 0; i < 3; ++i) CallUnary(channel, "/test.Test/Echo", std::string(100, 'x'));
  CallUnary(channel, "/test.Test/Fail", "");
  CallUnary(channel, "/test.Test/Nope", "");
  const std::string text = fixture.metrics.Text();
  const std::string echo = "grpc_method=\"Echo\",grpc_service=\"test.Test\",grpc_type=\"unary\"} ";
  EXPECT_THAT(text, HasSubstr("grpc_server_started_total{" + echo + "3"));
  EXPECT_THAT(text, HasSubstr("grpc_server_handled_total{grpc_code=\"OK\"," + echo + "3"));
  EXPECT_THAT(text, HasSubstr("grpc_server_handled_total{grpc_code=\"OutOfRange\","));
  EXPECT_THAT(text, HasSubstr("etcd_network_client_grpc_received_bytes_total 300"));
  EXPECT_THAT(text, HasSubstr("etcd_network_client_grpc_sent_bytes_total 300"));
}

TEST(RpcFrontTest, SlowRequestsAreLogged) {
  auto router = EchoRouter();
  router->AddUnary("/test.Test/Slow", [](std::string request, CallContext, Completion done) {
    std::this_thread::sleep_for(std::chrono::milliseconds(60));
    std::move(done)(RpcStatus(), Encoded(std::move(request)));
  });
  server::Http2FrontOptions options;
  options.warning_unary_duration = 50 * server::kNsPerMs;
  FrontFixture fixture(router, options);
  const auto channel = fixture.NewChannel();
  CallUnary(channel, "/test.Test/Slow", "12345");
  EXPECT_THAT(fixture.log.lines(), Contains(HasSubstr("slow request method=/test.Test/Slow")));
  EXPECT_THAT(fixture.log.lines(), Contains(HasSubstr("code=OK request_bytes=5")));
}

// The whole way: client, front, services and a member's threads.
TEST(RpcFrontTest, PutsAndRangesOverTheWire) {
  TestGate gate(TestGate::Mode::kThread);
  server::Metrics metrics;
  server::ClientServices services(gate, metrics, {});
  FrontFixture fixture(services.router());
  const auto channel = fixture.NewChannel();
  for (int i = 0; i < 100; ++i) {
    etcdserverpb::PutRequest put;
    put.set_key("k" + std::to_string(i));
    put.set_value(std::string(5000, 'v'));
    EXPECT_TRUE(CallUnary(channel, "/etcdserverpb.KV/Put", put.SerializeAsString()).status.ok());
  }
  etcdserverpb::RangeRequest range;
  range.set_key("k");
  range.set_range_end("l");
  const ClientAnswer answer =
      CallUnary(channel, "/etcdserverpb.KV/Range", range.SerializeAsString());
  ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
  etcdserverpb::RangeResponse response;
  ASSERT_TRUE(response.ParseFromString(answer.response));
  EXPECT_EQ(response.kvs_size(), 100);
  EXPECT_EQ(response.header().revision(), 101);

  etcdserverpb::RangeResponse merged;
  ClientStream stream(channel, "/etcdserverpb.KV/RangeStream");
  ASSERT_TRUE(stream.Write(range.SerializeAsString()));
  ASSERT_TRUE(stream.HalfClose());
  std::string bytes;
  while (stream.Read(&bytes)) {
    etcdserverpb::RangeStreamResponse message;
    ASSERT_TRUE(message.ParseFromString(bytes));
    merged.MergeFrom(message.range_response());
  }
  EXPECT_TRUE(stream.Finish().ok());
  EXPECT_EQ(merged.SerializeAsString(), response.SerializeAsString());
  fixture.front->Shutdown(0);
}

}  // namespace
}  // namespace gavel::testing
