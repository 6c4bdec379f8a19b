// How the front stops: what is under way ends well, and what comes too late is told so.

#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

#include "tests/server/http2/test_services.h"

namespace gavel::testing {
namespace {

using server::kNsPerMs;
using server::kNsPerSecond;

class Http2ShutdownTest : public ::testing::Test {
 protected:
  Http2ShutdownTest() : fixture_(services_.router()) {}
  int port() const { return fixture_.port(); }

  TestServices services_;
  FrontFixture fixture_;
};

TEST_F(Http2ShutdownTest, ClientsAreToldWhichCallsWillBeAnswered) {
  RawHttp2 connection(port());
  connection.Greet();
  connection.Call(1, "/test.Test/Hold", "");
  connection.Call(3, "/test.Test/Hold", "");
  ASSERT_TRUE(services_.AwaitHeld(2));
  std::thread stopper([&] { fixture_.front->Shutdown(20 * kNsPerSecond); });
  const std::optional<RawFrame> goaway = connection.ReadUntil(FrameType::kGoAway);
  ASSERT_TRUE(goaway.has_value());
  EXPECT_EQ(goaway->payload, Word(3) + Word(kNoError));
  // One that comes later is neither carried out nor answered: the client may send it elsewhere.
  connection.Call(5, "/test.Test/Echo", "late");
  services_.AnswerHeld();
  EXPECT_EQ(connection.ReadAnswer(1).data, MessageBytes("held"));
  EXPECT_EQ(connection.ReadAnswer(3).data, MessageBytes("held"));
  EXPECT_FALSE(connection.Read().has_value());
  stopper.join();
  EXPECT_EQ(services_.echoes, 0);
}

TEST_F(Http2ShutdownTest, IdleConnectionsDoNotDelayIt) {
  std::vector<std::unique_ptr<RawHttp2>> connections;
  for (int i = 0; i < 10; ++i) {
    connections.push_back(std::make_unique<RawHttp2>(port()));
    if (i % 3 > 0) connections.back()->Greet();
    if (i % 3 > 1) {
      connections.back()->Call(1, "/test.Test/Echo", "x");
      EXPECT_EQ(connections.back()->ReadAnswer(1).status(), "0");
    }
  }
  const server::MonotonicNs begin = fixture_.clock.Now();
  fixture_.front->Shutdown(20 * kNsPerSecond);
  EXPECT_LT(fixture_.clock.Now() - begin, 10 * kNsPerSecond);
  for (const auto& connection : connections) connection->ReadRaw();
}

TEST_F(Http2ShutdownTest, WhatOutlastsTheGraceEndsAsServerStopped) {
  RawHttp2 connection(port());
  connection.Greet();
  connection.Call(1, "/test.Test/Hold", "");
  ASSERT_TRUE(services_.AwaitHeld(1));
  fixture_.front->Shutdown(50 * kNsPerMs);
  const RawAnswer answer = connection.ReadAnswer(1);
  EXPECT_EQ(answer.status(), "14");
  EXPECT_EQ(answer.message(), "etcdserver: server stopped");
  services_.AnswerHeld();
}

TEST_F(Http2ShutdownTest, AClientThatTakesNothingDoesNotDelayIt) {
  RawHttp2 connection(port());
  connection.Greet(Word(4).substr(2) + Word(0));
  connection.Send(FrameType::kHeaders, kEndHeaders, 1, CallHeaders("/test.Test/Flood"));
  connection.Send(FrameType::kData, 0, 1, MessageBytes("10000"));
  connection.Call(3, "/test.Test/Echo", "x");
  EXPECT_TRUE(Eventually([this] { return services_.echoes == 1; }));
  const server::MonotonicNs begin = fixture_.clock.Now();
  fixture_.front->Shutdown(100 * kNsPerMs);
  EXPECT_LT(fixture_.clock.Now() - begin, 10 * kNsPerSecond);
  EXPECT_EQ(services_.canceled, 1);
}

// Calls that are sent while the front stops are carried out, or have had no effect and are told
// so; never anything in between.
TEST_F(Http2ShutdownTest, CallsDuringTheShutdownAreCarriedOutOrUnavailable) {
  constexpr int kClients = 4;
  std::atomic<int> ok = 0;
  std::atomic<int> unavailable = 0;
  std::atomic<int> begun = 0;
  std::mutex mutex;
  std::vector<std::string> others;
  std::vector<std::thread> clients;
  for (int i = 0; i < kClients; ++i) {
    clients.emplace_back([&] {
      const auto channel = fixture_.NewChannel();
      ++begun;
      while (true) {
        const ClientAnswer answer = CallUnary(channel, "/test.Test/Echo", "x");
        if (answer.status.ok()) {
          ++ok;
          continue;
        }
        if (answer.status.error_code() == grpc::StatusCode::UNAVAILABLE) {
          ++unavailable;
          return;
        }
        std::lock_guard lock(mutex);
        others.push_back(answer.status.error_message());
        return;
      }
    });
  }
  EXPECT_TRUE(Eventually([&] { return begun == kClients && ok > 100; }));
  fixture_.front->Shutdown(5 * kNsPerSecond);
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(unavailable, kClients);
  for (const std::string& text : others) ADD_FAILURE() << text;
  EXPECT_EQ(services_.echoes, ok);
}

TEST_F(Http2ShutdownTest, ShutdownsUnderLoadLeaveNothingBehind) {
  for (int round = 0; round < 20; ++round) {
    FrontFixture fixture(services_.router());
    std::vector<std::thread> clients;
    for (int i = 0; i < 3; ++i) {
      clients.emplace_back([&, i] {
        const auto channel = fixture.NewChannel();
        if (i == 0) {
          ClientStream stream(channel, "/test.Test/Stream");
          std::string message;
          while (stream.Write("x") && stream.Read(&message)) {
          }
          EXPECT_EQ(stream.Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
          return;
        }
        while (CallUnary(channel, "/test.Test/Echo", "x").status.ok()) {
        }
      });
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    fixture.front->Shutdown(round % 2 == 0 ? kNsPerSecond : 0);
    for (std::thread& client : clients) client.join();
  }
}

}  // namespace
}  // namespace gavel::testing
