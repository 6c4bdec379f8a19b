// What a client can make the front do or hold is bounded, and honest clients do not notice.

#include <sys/socket.h>

#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

#include "tests/server/http2/test_services.h"

namespace gavel::testing {
namespace {

using server::Http2FrontOptions;
using server::kNsPerMs;
using server::kNsPerSecond;

class Http2LimitsTest : public Http2Test {
 protected:
  static std::string OpenStream(uint32_t stream, std::string_view path) {
    return FrameBytes(FrameType::kHeaders, kEndHeaders, stream, CallHeaders(path));
  }

  // Wants more than the sockets' buffers take, and reads nothing.
  static void Flood(RawHttp2& connection) {
    connection.Greet();
    connection.Send(FrameType::kWindowUpdate, 0, 0, Word(0x7fff0000 - 65535));
    connection.Send(OpenStream(1, "/test.Test/Flood") +
                    FrameBytes(FrameType::kWindowUpdate, 0, 1, Word(0x7fff0000 - 65535)) +
                    FrameBytes(FrameType::kData, 0, 1, MessageBytes("100000")));
  }

  // Clients have met the limit so often, and a line of the log names it.
  void ExpectTold(const std::string& limit, int times) {
    const std::string counter = "gavel_clients_limited_total{limit=\"" + limit + "\"} ";
    EXPECT_TRUE(Eventually([&] {
      return fixture().metrics.Text().find(counter + std::to_string(times) + "\n") !=
             std::string::npos;
    })) << limit;
    int lines = 0;
    for (const std::string& line : fixture().log.lines()) {
      if (line.find("limit=--" + limit) != std::string::npos) ++lines;
    }
    EXPECT_EQ(lines, 1) << limit;
  }

  void ServeWithPings(server::MonotonicNs interval, server::MonotonicNs timeout) {
    Http2FrontOptions options;
    options.keepalive_interval = interval;
    options.keepalive_timeout = timeout;
    Serve(std::move(options));
  }

  void ExpectNoPings(server::MonotonicNs interval, server::MonotonicNs timeout) {
    ServeWithPings(interval, timeout);
    RawHttp2 connection(port());
    connection.Greet();
    ExpectAlive(connection, 1);
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    ExpectAlive(connection, 3);
  }
};

TEST_F(Http2LimitsTest, ThirdEarlyPingIsAnsweredWithGoAway) {
  Serve();
  RawHttp2 connection(port());
  connection.Greet();
  for (int i = 0; i < 4; ++i) connection.Send(FrameType::kPing, 0, 0, "12345678");
  const std::optional<RawFrame> goaway = connection.ReadUntil(FrameType::kGoAway);
  ASSERT_TRUE(goaway.has_value());
  EXPECT_EQ(goaway->error(), kEnhanceYourCalm);
  EXPECT_EQ(goaway->payload.substr(8), "too_many_pings");
  EXPECT_FALSE(connection.Read().has_value());
  ExpectTold("grpc-keepalive-min-time", 1);
}

TEST_F(Http2LimitsTest, PingsBetweenAnswersAreWelcome) {
  Serve();
  RawHttp2 connection(port());
  connection.Greet();
  for (uint32_t i = 0; i < 50; ++i) {
    connection.Send(FrameType::kPing, 0, 0, "12345678");
    ASSERT_TRUE(connection.ReadUntil(FrameType::kPing).has_value());
    ExpectAlive(connection, 2 * i + 1);
  }
}

TEST_F(Http2LimitsTest, PingsAreAllowedAsOftenAsTheOptionSays) {
  Http2FrontOptions options;
  options.keepalive_min_time = kNsPerMs;
  Serve(std::move(options));
  RawHttp2 connection(port());
  connection.Greet();
  for (int i = 0; i < 20; ++i) {
    connection.Send(FrameType::kPing, 0, 0, "12345678");
    ASSERT_TRUE(connection.ReadUntil(FrameType::kPing).has_value());
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  ExpectAlive(connection, 1);
}

TEST_F(Http2LimitsTest, RapidResetsEndTheConnection) {
  Http2FrontOptions options;
  options.limits.resets_burst = 100;
  options.limits.resets_per_second = 1;
  Serve(std::move(options));
  RawHttp2 connection(port());
  connection.Greet();
  std::string bytes;
  for (uint32_t stream = 1; stream < 600; stream += 2) {
    bytes += OpenStream(stream, "/test.Test/Stream") +
             FrameBytes(FrameType::kResetStream, 0, stream, Word(kCancel));
  }
  connection.Send(bytes);
  EXPECT_EQ(connection.ReadGoAway(), kEnhanceYourCalm);
  ExpectTold("resets-per-second", 1);
}

TEST_F(Http2LimitsTest, ResetsThatWeAreMadeToSendCountAsWell) {
  Http2FrontOptions options;
  options.limits.resets_burst = 100;
  options.limits.resets_per_second = 1;
  Serve(std::move(options));
  RawHttp2 connection(port());
  connection.Greet();
  std::string bytes;
  for (uint32_t stream = 1; stream < 600; stream += 2) {
    bytes += OpenStream(stream, "/test.Test/Stream") +
             FrameBytes(FrameType::kWindowUpdate, 0, stream, Word(0x7fffffff));
  }
  connection.Send(bytes);
  EXPECT_EQ(connection.ReadGoAway(), kEnhanceYourCalm);
}

TEST_F(Http2LimitsTest, ClientsMayCancelWhatTheyHaveUsed) {
  Http2FrontOptions options;
  options.limits.resets_burst = 10;
  options.limits.resets_per_second = 1;
  Serve(std::move(options));
  RawHttp2 connection(port());
  connection.Greet();
  std::string open;
  std::string cancel;
  for (uint32_t stream = 1; stream < 400; stream += 2) {
    open += OpenStream(stream, "/test.Test/Stream");
    cancel += FrameBytes(FrameType::kResetStream, 0, stream, Word(kCancel));
  }
  connection.Send(open);
  std::this_thread::sleep_for(std::chrono::milliseconds(1300));
  connection.Send(cancel);
  EXPECT_TRUE(Eventually([this] { return services_.canceled == 200; }));
  ExpectAlive(connection, 401);
}

TEST_F(Http2LimitsTest, FloodsOfIdleFramesEndTheConnection) {
  Http2FrontOptions options;
  options.limits.idle_frames_burst = 200;
  options.limits.idle_frames_per_second = 1;
  Serve(std::move(options));
  const std::vector<std::string> frames = {
      FrameBytes(FrameType::kSettings, 0, 0, ""),
      FrameBytes(FrameType::kData, 0, 1, ""),
  };
  for (const std::string& frame : frames) {
    std::string flood = OpenStream(1, "/test.Test/Stream");
    for (int i = 0; i < 400; ++i) flood += frame;
    ExpectConnectionError(flood, kEnhanceYourCalm);
  }
  ExpectTold("idle-frames-per-second", 2);
}

TEST_F(Http2LimitsTest, PingsThatNobodyReadTheAnswersOfAreNotKept) {
  Http2FrontOptions options;
  options.keepalive_min_time = 0;
  Serve(std::move(options));
  std::string flood;
  for (int i = 0; i < 50000; ++i) flood += FrameBytes(FrameType::kPing, 0, 0, "12345678");
  ExpectConnectionError(flood, kEnhanceYourCalm);
}

TEST_F(Http2LimitsTest, ContinuationsAreCounted) {
  Serve();
  std::string flood = FrameBytes(FrameType::kHeaders, 0, 1, CallHeaders("/test.Test/Echo"));
  for (int i = 0; i < 100; ++i) {
    flood += FrameBytes(FrameType::kContinuation, 0, 1, HeaderBytes("a", "b"));
  }
  ExpectConnectionError(flood, kEnhanceYourCalm);
  ExpectTold("continuations-max", 1);
}

TEST_F(Http2LimitsTest, HeadersAboveTheLimitAreRefused) {
  Http2FrontOptions options;
  options.limits.header_list_bytes_max = 4000;
  Serve(std::move(options));
  RawHttp2 connection(port());
  connection.Greet();
  connection.Send(FrameType::kHeaders, kEndHeaders | kEndStream, 1,
                  CallHeaders("/test.Test/Look") + HeaderBytes("token", std::string(5000, 't')));
  const RawAnswer answer = connection.ReadAnswer(1);
  EXPECT_EQ(answer.status(), "8");
  EXPECT_EQ(answer.message(), "grpc: received metadata larger than max");
  ExpectAlive(connection, 3);
  // Without all measure: one entry of the table, named over and over.
  std::string bomb = CallHeaders("/test.Test/Look");
  bomb += '\x40' + HeaderBytes("bomb", std::string(3000, 'b')).substr(1);
  bomb += std::string(10000, '\xbe');
  connection.Send(FrameType::kHeaders, kEndHeaders | kEndStream, 5, bomb);
  EXPECT_EQ(connection.ReadGoAway(), kEnhanceYourCalm);
  ExpectTold("header-bytes-max", 2);
}

TEST_F(Http2LimitsTest, StreamsBeyondTheLimitAreRefused) {
  Http2FrontOptions options;
  options.max_concurrent_streams = 10;
  Serve(std::move(options));
  RawHttp2 connection(port());
  connection.Send(std::string(kPreface) + FrameBytes(FrameType::kSettings, 0, 0, ""));
  for (uint32_t i = 0; i < 10; ++i) connection.Call(2 * i + 1, "/test.Test/Hold", "");
  ASSERT_TRUE(services_.AwaitHeld(10));
  // As long as our settings may not have arrived, one more is a misunderstanding.
  connection.Call(21, "/test.Test/Hold", "");
  EXPECT_EQ(connection.ReadAnswer(21).reset, kRefusedStream);
  ExpectTold("max-concurrent-streams", 1);
  // After that it is an error.
  connection.Send(FrameType::kSettings, kAck, 0, "");
  services_.AnswerHeld();
  EXPECT_EQ(connection.ReadAnswer(19).status(), "0");
  ExpectAlive(connection, 23);
  for (uint32_t i = 0; i < 11; ++i) connection.Call(2 * i + 25, "/test.Test/Hold", "");
  EXPECT_EQ(connection.ReadGoAway(), kProtocolError);
}

TEST_F(Http2LimitsTest, CallsOfAllClientsTogetherAreBounded) {
  Http2FrontOptions options;
  options.limits.held_bytes_max = 1 << 20;
  Serve(std::move(options));
  {
    RawHttp2 connection(port());
    connection.Greet();
    std::string open;
    for (uint32_t i = 0; i < 1100; ++i) open += OpenStream(2 * i + 1, "/test.Test/Stream");
    connection.Send(open);
    EXPECT_EQ(connection.ReadAnswer(2199).reset, kRefusedStream);
    ExpectTold("held-bytes-max", 1100 - 512);
  }
  // All of it is given back with the connection.
  EXPECT_TRUE(Eventually([this] { return services_.canceled == 512; }));
  ExpectServing();
}

TEST_F(Http2LimitsTest, MessagesThatDoNotEndAreBoundedTogether) {
  Http2FrontOptions options;
  options.limits.held_bytes_max = 1 << 20;
  Serve(std::move(options));
  {
    RawHttp2 connection(port());
    connection.Greet();
    const std::string part = std::string(1, '\0') + Word(200000) + std::string(15000, 'x');
    uint32_t stream = 1;
    for (; stream < 141; stream += 2) {
      connection.Send(OpenStream(stream, "/test.Test/Stream"));
      connection.Send(FrameType::kData, 0, stream, part);
    }
    // Thirty of them fit in the half that one may have, and have no answer yet.
    const std::optional<RawFrame> refusal = connection.ReadUntil(FrameType::kHeaders);
    ASSERT_TRUE(refusal.has_value());
    EXPECT_GT(refusal->stream, 60u);
    EXPECT_EQ(refusal->headers.at("grpc-status"), "8");
    EXPECT_EQ(refusal->headers.at("grpc-message"), "etcdserver: too many requests");
  }
  EXPECT_TRUE(Eventually([this] {
    return CallUnary(fixture().NewChannel(), "/test.Test/Echo", std::string(400000, 'x'))
        .status.ok();
  }));
}

TEST_F(Http2LimitsTest, WhoHoldsLittleIsServedWhenOthersHoldMuch) {
  Http2FrontOptions options;
  options.limits.held_bytes_max = 1 << 20;
  Serve(std::move(options));
  std::vector<std::unique_ptr<RawHttp2>> greedy;
  for (int i = 0; i < 4; ++i) {
    RawHttp2& connection = *greedy.emplace_back(std::make_unique<RawHttp2>(port()));
    connection.Greet();
    std::string open;
    for (uint32_t stream = 0; stream < 600; ++stream) {
      open += OpenStream(2 * stream + 1, "/test.Test/Stream");
    }
    connection.Send(open);
    EXPECT_EQ(connection.ReadAnswer(1199).reset, kRefusedStream);
  }
  RawHttp2 honest(port());
  honest.Greet();
  ExpectAlive(honest, 1);
  honest.Call(3, "/test.Test/Echo", std::string(15000, 'x'));
  EXPECT_EQ(honest.ReadAnswer(3).status(), "0");
}

TEST_F(Http2LimitsTest, AStreamsWindowIsKeptWhileItIsHeldBack) {
  Http2FrontOptions options;
  options.stream_high_mark = 1000;
  options.limits.stream_window_bytes = 100000;
  Serve(std::move(options));
  RawHttp2 connection(port());
  connection.Greet(Word(4).substr(2) + Word(0));
  connection.Send(OpenStream(1, "/test.Test/Stream"));
  std::string flood;
  for (int i = 0; i < 20; ++i) {
    flood += FrameBytes(FrameType::kData, 0, 1, MessageBytes(std::string(10000, 'm')));
  }
  connection.Send(flood);
  EXPECT_EQ(connection.ReadAnswer(1).reset, kFlowControlError);
  EXPECT_EQ(services_.stream_messages, 1);
  ExpectServing();
}

TEST_F(Http2LimitsTest, ASlowGreetingIsCutOff) {
  Http2FrontOptions options;
  options.limits.handshake_timeout = 200 * kNsPerMs;
  Serve(std::move(options));
  for (const std::string& bytes :
       {std::string(), std::string("P"), std::string(kPreface.substr(0, 20)), std::string(kPreface),
        std::string(kPreface) + "\0\0"}) {
    RawHttp2 connection(port());
    connection.Send(bytes);
    const server::MonotonicNs begin = fixture().clock.Now();
    connection.ReadRaw();
    EXPECT_LT(fixture().clock.Now() - begin, 9 * kNsPerSecond) << bytes.size();
  }
  ExpectTold("handshake-timeout", 5);
  // Who has greeted may be silent.
  RawHttp2 connection(port());
  connection.Greet();
  std::this_thread::sleep_for(std::chrono::milliseconds(400));
  ExpectAlive(connection, 1);
}

TEST_F(Http2LimitsTest, ConnectionsAreCounted) {
  Http2FrontOptions options;
  options.limits.connections_max = 20;
  Serve(std::move(options));
  {
    std::vector<std::unique_ptr<RawHttp2>> connections;
    for (int i = 0; i < 20; ++i) {
      connections.push_back(std::make_unique<RawHttp2>(port()));
      connections.back()->Greet();
      ExpectAlive(*connections.back(), 1);
    }
    for (int i = 0; i < 3; ++i) {
      RawHttp2 one_more(port());
      one_more.Greet();
      EXPECT_EQ(one_more.ReadRaw(), "");
    }
    ExpectTold("connections-max", 3);
    for (const auto& connection : connections) ExpectAlive(*connection, 3);
  }
  EXPECT_TRUE(Eventually(
      [this] { return CallUnary(fixture().NewChannel(), "/test.Test/Echo", "x").status.ok(); }));
}

TEST_F(Http2LimitsTest, DeadClientsAreFoundByPings) {
  ServeWithPings(100 * kNsPerMs, 200 * kNsPerMs);
  RawHttp2 dead(port());
  dead.Greet();
  dead.Send(OpenStream(1, "/test.Test/Stream"));
  const std::optional<RawFrame> ping = dead.ReadUntil(FrameType::kPing);
  ASSERT_TRUE(ping.has_value());
  EXPECT_EQ(ping->flags, 0);
  dead.ReadRaw();  // Ends as the ping is not answered.
  EXPECT_EQ(services_.canceled, 1);
  ExpectTold("grpc-keepalive-timeout", 1);
  RawHttp2 alive(port());
  alive.Greet();
  for (int i = 0; i < 5; ++i) {
    const std::optional<RawFrame> asked = alive.ReadUntil(FrameType::kPing);
    ASSERT_TRUE(asked.has_value());
    alive.Send(FrameType::kPing, kAck, 0, asked->payload);
  }
  ExpectAlive(alive, 1);
}

TEST_F(Http2LimitsTest, AStalledClientIsCutOff) {
  Http2FrontOptions options;
  options.limits.write_stall_timeout = 300 * kNsPerMs;
  Serve(std::move(options));
  RawHttp2 connection(port());
  Flood(connection);
  EXPECT_TRUE(Eventually([this] { return services_.canceled == 1; }));
  ExpectTold("write-stall-timeout", 1);
}

// A ping would wait behind what fills the socket.
TEST_F(Http2LimitsTest, AStalledClientIsCutOffNoLaterThanByPings) {
  ServeWithPings(500 * kNsPerMs, 200 * kNsPerMs);
  RawHttp2 connection(port());
  Flood(connection);
  EXPECT_TRUE(Eventually([this] { return services_.canceled == 1; }));
}

TEST_F(Http2LimitsTest, AnIntervalOfZeroMeansNoPings) { ExpectNoPings(0, 100 * kNsPerMs); }

TEST_F(Http2LimitsTest, ATimeoutOfZeroMeansNoPings) { ExpectNoPings(100 * kNsPerMs, 0); }

TEST_F(Http2LimitsTest, AnAnswerThatIsNotTakenIsGivenUp) {
  Http2FrontOptions options;
  options.limits.answer_timeout = 200 * kNsPerMs;
  options.limits.answer_bytes_per_second = 1 << 20;
  Serve(std::move(options));
  RawHttp2 connection(port());
  connection.Greet(Word(4).substr(2) + Word(1000));
  connection.Send(OpenStream(1, "/test.Test/Echo"));
  const std::string message = MessageBytes(std::string(100000, 'x'));
  for (size_t at = 0; at < message.size(); at += 16000) {
    connection.Send(FrameType::kData, at + 16000 >= message.size() ? kEndStream : 0, 1,
                    message.substr(at, 16000));
  }
  const RawAnswer answer = connection.ReadAnswer(1);
  EXPECT_EQ(answer.reset, kCancel);
  EXPECT_EQ(answer.data.size(), 1000u);
  ExpectTold("answer-timeout", 1);
  connection.Send(FrameType::kWindowUpdate, 0, 0, Word(100000));
  ExpectAlive(connection, 3);
}

TEST_F(Http2LimitsTest, ManyStreamsThatNobodyReadsHoldLittleTogether) {
  Http2FrontOptions options;
  options.stream_high_mark = 1 << 20;
  options.limits.stream_bytes_max = 4 << 20;
  Serve(std::move(options));
  RawHttp2 connection(port());
  connection.Greet(Word(4).substr(2) + Word(0));
  for (uint32_t i = 0; i < 100; ++i) {
    connection.Send(OpenStream(2 * i + 1, "/test.Test/Flood") +
                    FrameBytes(FrameType::kData, 0, 2 * i + 1, MessageBytes("10000")));
  }
  ExpectServing();
  // A stream that comes late is held to a sixteenth.
  services_.flood_queued = 0;
  connection.Send(OpenStream(301, "/test.Test/Flood") +
                  FrameBytes(FrameType::kData, 0, 301, MessageBytes("10000")));
  EXPECT_TRUE(Eventually([this] { return services_.flood_queued > 0; }));
  ExpectServing();
  EXPECT_LE(services_.flood_queued, (1u << 20) / 16 + 20000);
}

// A stream whose client does not read takes no more messages than its queue and window hold.
TEST_F(Http2LimitsTest, AStreamIsReadNoFasterThanItIsDrained) {
  Http2FrontOptions options;
  options.stream_high_mark = 50000;
  Serve(std::move(options));
  RawHttp2 connection(port());
  connection.Greet(Word(4).substr(2) + Word(0));
  connection.Send(OpenStream(1, "/test.Test/Stream"));
  std::string messages;
  for (int i = 0; i < 20; ++i) messages += MessageBytes(std::string(10000, 'm'));
  for (size_t at = 0; at < messages.size(); at += 16000) {
    connection.Send(FrameType::kData, at + 16000 >= messages.size() ? kEndStream : 0, 1,
                    messages.substr(at, 16000));
  }
  ExpectServing();
  EXPECT_LE(services_.stream_messages, 6);
  // As the client takes what there is, the rest goes through, in order.
  connection.Send(FrameType::kWindowUpdate, 0, 0, Word(1 << 20));
  connection.Send(FrameType::kWindowUpdate, 0, 1, Word(1 << 20));
  const RawAnswer answer = connection.ReadAnswer(1);
  EXPECT_TRUE(answer.data == messages) << answer.data.size() << " of " << messages.size();
  EXPECT_EQ(answer.status(), "0");
}

// Metrics tell what clients make the front hold, and that nothing of it is left when they vanish.
TEST_F(Http2LimitsTest, WhatIsHeldForClientsIsTold) {
  Serve();
  const auto told = [this](const std::string& name) {
    const std::string text = fixture().metrics.Text();
    const size_t at = text.find("\n" + name + " ");
    return at == std::string::npos ? -1 : std::stod(text.substr(at + name.size() + 2));
  };
  const auto all = [&] {
    return std::vector<double>{told("gavel_clients_connections"), told("gavel_clients_held_bytes"),
                               told("gavel_clients_stream_bytes")};
  };
  const std::vector<double> none = {0, 0, 0};
  EXPECT_EQ(all(), none);
  {
    RawHttp2 half(port());
    half.Greet();
    half.Send(OpenStream(1, "/test.Test/Echo"));
    half.Send(FrameType::kData, 0, 1, MessageBytes(std::string(10000, 'm')).substr(0, 5000));
    EXPECT_TRUE(Eventually([&] { return told("gavel_clients_held_bytes") >= 5000; }));
    RawHttp2 unread(port());
    unread.Greet();
    unread.Send(OpenStream(1, "/test.Test/Flood") +
                FrameBytes(FrameType::kData, 0, 1, MessageBytes("10000")));
    EXPECT_TRUE(Eventually([&] { return told("gavel_clients_stream_bytes") >= 10000; }));
    EXPECT_EQ(told("gavel_clients_connections"), 2);
  }
  EXPECT_TRUE(Eventually([&] { return all() == none; })) << fixture().metrics.Text();
}

}  // namespace
}  // namespace gavel::testing
