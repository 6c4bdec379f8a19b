// HTTP/2 broken in every way that its own test suites know: each answered as the standard says
// (RFC 9113), with the server alive afterwards.

#include <algorithm>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "raft/random.h"
#include "tests/server/http2/test_services.h"

namespace gavel::testing {
namespace {

class Http2ProtocolTest : public Http2Test {
 protected:
  Http2ProtocolTest() { Serve(); }

  static std::string Headers(uint32_t stream, uint8_t flags = kEndHeaders,
                             std::string_view path = "/test.Test/Echo") {
    return FrameBytes(FrameType::kHeaders, flags, stream, CallHeaders(path));
  }
  // `bytes` cost their stream 1, with `error`, and not the connection.
  void ExpectStreamError(const std::string& bytes, uint32_t error) {
    RawHttp2 connection(port());
    connection.Greet();
    connection.Send(bytes);
    const RawAnswer answer = connection.ReadAnswer(1);
    ASSERT_TRUE(answer.reset.has_value()) << "status " << answer.status();
    EXPECT_EQ(*answer.reset, error);
    ExpectAlive(connection, 101);
  }

  // So many connections had `fault`, and one line of the log gives `reason`.
  void ExpectTold(const std::string& fault, int times, const std::string& reason) {
    const std::string counter = "gavel_clients_protocol_errors_total{fault=\"" + fault + "\"} ";
    EXPECT_TRUE(Eventually([&] {
      return fixture().metrics.Text().find(counter + std::to_string(times) + "\n") !=
             std::string::npos;
    })) << fault;
    int lines = 0;
    for (const std::string& line : fixture().log.lines()) {
      if (line.find(reason) != std::string::npos) ++lines;
    }
    EXPECT_EQ(lines, 1) << fault;
  }
};

TEST_F(Http2ProtocolTest, ACallMayComeByteByByte) {
  RawHttp2 connection(port());
  const std::string bytes = std::string(kPreface) + FrameBytes(FrameType::kSettings, 0, 0, "") +
                            Headers(1) +
                            FrameBytes(FrameType::kData, kEndStream, 1, MessageBytes("slow"));
  for (const char byte : bytes) connection.Send(std::string(1, byte));
  EXPECT_EQ(connection.ReadAnswer(1).data, MessageBytes("slow"));
}

TEST_F(Http2ProtocolTest, AWrongPrefaceIsNoHttp2) {
  for (const std::string& bytes :
       {std::string("PRI * HTTP/2.0\r\n\r\nXM\r\n\r\n"), std::string("PRI * HTTP/3.0\r\n\r\n"),
        std::string("GET / HTTP/1.1\r\n\r\n")}) {
    RawHttp2 connection(port());
    connection.Send(bytes);
    const std::string answer = connection.ReadRaw();
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 400 ")) << answer;
    EXPECT_TRUE(answer.ends_with("\r\n\r\nthis port speaks gRPC over HTTP/2\n")) << answer;
  }
  for (const std::string& bytes :
       {std::string("\x16\x03\x01\x02\x00\x01", 6), std::string(50, '\0')}) {
    RawHttp2 connection(port());
    connection.Send(bytes);
    EXPECT_EQ(connection.ReadRaw(), "");
  }
  ExpectTold("http1", 3, "speaks HTTP/1");
  ExpectTold("tls", 1, "begins with TLS");
  ExpectTold("unknown", 1, "speaks no HTTP");
}

TEST_F(Http2ProtocolTest, ThePrefaceIsFollowedBySettings) {
  RawHttp2 connection(port());
  connection.Send(kPreface);
  connection.Send(FrameType::kPing, 0, 0, std::string(8, 'p'));
  EXPECT_EQ(connection.ReadGoAway(), kProtocolError);
  ExpectTold("http2", 1, "breaks the rules of HTTP/2");
}

TEST_F(Http2ProtocolTest, FramesOfAWrongSizeEndTheConnection) {
  ExpectConnectionError(FrameBytes(FrameType::kPing, 0, 0, "1234567"), kFrameSizeError);
  ExpectConnectionError(FrameBytes(FrameType::kSettings, 0, 0, "12345"), kFrameSizeError);
  ExpectConnectionError(FrameBytes(FrameType::kSettings, kAck, 0, "123456"), kFrameSizeError);
  ExpectConnectionError(FrameBytes(FrameType::kWindowUpdate, 0, 0, "123"), kFrameSizeError);
  ExpectConnectionError(FrameBytes(FrameType::kGoAway, 0, 0, "1234567"), kFrameSizeError);
  ExpectConnectionError(Headers(1) + FrameBytes(FrameType::kResetStream, 0, 1, "123"),
                        kFrameSizeError);
  ExpectConnectionError(Headers(1) + FrameBytes(FrameType::kPriority, 0, 1, "1234"),
                        kFrameSizeError);
  // Longer than the largest frame that we announced.
  ExpectConnectionError(Headers(1) + FrameBytes(FrameType::kData, 0, 1, std::string(16385, 'x')),
                        kFrameSizeError);
  ExpectConnectionError(FrameBytes(FrameType::kHeaders, kEndHeaders, 1, std::string(16385, '\x82')),
                        kFrameSizeError);
}

TEST_F(Http2ProtocolTest, FramesOnAWrongStreamEndTheConnection) {
  const std::string message = MessageBytes("x");
  ExpectConnectionError(FrameBytes(FrameType::kData, 0, 0, message), kProtocolError);
  ExpectConnectionError(FrameBytes(FrameType::kHeaders, kEndHeaders, 0, CallHeaders("/x")),
                        kProtocolError);
  ExpectConnectionError(FrameBytes(FrameType::kSettings, 0, 1, ""), kProtocolError);
  ExpectConnectionError(FrameBytes(FrameType::kPing, 0, 1, "12345678"), kProtocolError);
  ExpectConnectionError(FrameBytes(FrameType::kGoAway, 0, 1, "12345678"), kProtocolError);
  ExpectConnectionError(FrameBytes(FrameType::kResetStream, 0, 0, Word(0)), kProtocolError);
  // Streams of the client are odd, and their numbers grow.
  ExpectConnectionError(Headers(2), kProtocolError);
  // Streams that were never opened.
  ExpectConnectionError(FrameBytes(FrameType::kData, 0, 7, message), kProtocolError);
  ExpectConnectionError(FrameBytes(FrameType::kResetStream, 0, 7, Word(0)), kProtocolError);
  ExpectConnectionError(FrameBytes(FrameType::kWindowUpdate, 0, 7, Word(5)), kProtocolError);
  ExpectConnectionError(
      FrameBytes(FrameType::kPushPromise, kEndHeaders, 1, Word(2) + CallHeaders("/x")),
      kProtocolError);
}

TEST_F(Http2ProtocolTest, NumbersOfStreamsDoNotFall) {
  RawHttp2 connection(port());
  connection.Greet();
  ExpectAlive(connection, 5);
  // It could be the trailers of a stream that is forgotten, so nothing is said, and nothing done.
  connection.Send(Headers(3) + FrameBytes(FrameType::kResetStream, 0, 3, Word(kCancel)));
  ExpectAlive(connection, 7);
  EXPECT_EQ(services_.echoes, 2);
}

TEST_F(Http2ProtocolTest, HeadersThatCannotBeDecodedEndTheConnection) {
  // An index that the table does not have, and a change of the table's size in mid-block.
  ExpectConnectionError(FrameBytes(FrameType::kHeaders, kEndHeaders, 1, "\xff\xff\x7f"),
                        kCompressionError);
  ExpectConnectionError(FrameBytes(FrameType::kHeaders, kEndHeaders, 1, std::string(1, '\x80')),
                        kCompressionError);
  ExpectConnectionError(
      FrameBytes(FrameType::kHeaders, kEndHeaders, 1, CallHeaders("/x") + "\x3f\xe1\xff\xff\x7f"),
      kCompressionError);
  // A block that stops within a header.
  ExpectConnectionError(
      FrameBytes(FrameType::kHeaders, kEndHeaders, 1, CallHeaders("/x") + std::string("\0\x05", 2)),
      kCompressionError);
}

TEST_F(Http2ProtocolTest, HeadersThatHttpForbidsCostTheirStream) {
  const std::string good = CallHeaders("/test.Test/Echo");
  const std::vector<std::string> blocks = {
      good + HeaderBytes("Upper", "case"),
      good + HeaderBytes(":path", "/again"),
      good + HeaderBytes(":unknown", "x"),
      good + HeaderBytes(":status", "200"),
      good + HeaderBytes("connection", "keep-alive"),
      good + HeaderBytes("te", "gzip"),
      HeaderBytes("content-type", "application/grpc") + good,  // Pseudo-headers come first.
      HeaderBytes(":method", "POST") + HeaderBytes(":scheme", "http"),
      HeaderBytes(":method", "POST") + HeaderBytes(":scheme", "http") + HeaderBytes(":path", ""),
      HeaderBytes(":scheme", "http") + HeaderBytes(":path", "/x"),
      good + HeaderBytes("", "x"),
      good + HeaderBytes("sp ace", "x"),
      good + HeaderBytes("transfer-encoding", "chunked"),
      good + HeaderBytes("content-length", "-1"),
      good + HeaderBytes("content-length", "5") + HeaderBytes("content-length", "5"),
      CallHeaders("/test.Test/Echo", std::string("a\0", 2)),
  };
  for (const std::string& block : blocks) {
    ExpectStreamError(FrameBytes(FrameType::kHeaders, kEndHeaders, 1, block), kProtocolError);
  }
}

// etcd's clients send as authority what they were configured with, and etcd serves them.
TEST_F(Http2ProtocolTest, TheAuthorityMayBeAnyText) {
  for (const char* authority :
       {"", "http://127.0.0.1:2379", "#initially=[http://127.0.0.1:2379;http://127.0.0.1:22379]",
        "etcd-endpoints://0xc000426000/127.0.0.1:2379", "unix:///tmp/a.sock", "[::1]:2379"}) {
    for (const std::string& headers :
         {CallHeaders("/test.Test/Echo", authority),
          CallHeaders("/test.Test/Echo") + HeaderBytes("host", authority)}) {
      RawHttp2 connection(port());
      connection.Greet();
      connection.Send(FrameType::kHeaders, kEndHeaders, 1, headers);
      connection.Send(FrameType::kData, kEndStream, 1, MessageBytes("hi"));
      const RawAnswer answer = connection.ReadAnswer(1);
      EXPECT_FALSE(answer.reset.has_value()) << authority;
      EXPECT_EQ(answer.status(), "0") << authority;
    }
  }
}

// What follows the headers of a request is its data and trailers, and nothing else.
TEST_F(Http2ProtocolTest, TrailersEndTheirStream) {
  const std::string open =
      FrameBytes(FrameType::kHeaders, kEndHeaders, 1, CallHeaders("/test.Test/Stream"));
  const auto then = [&](uint8_t flags, std::string_view name) {
    return open + FrameBytes(FrameType::kHeaders, flags, 1, HeaderBytes(name, "x"));
  };
  ExpectStreamError(then(kEndHeaders, "more"), kProtocolError);
  ExpectStreamError(then(kEndHeaders | kEndStream, ":path"), kProtocolError);
  ExpectStreamError(then(kEndHeaders | kEndStream, "Upper"), kProtocolError);
}

TEST_F(Http2ProtocolTest, DataThatBelieContentLengthCostTheirStream) {
  const std::string headers = CallHeaders("/test.Test/Stream") + HeaderBytes("content-length", "9");
  const std::string open = FrameBytes(FrameType::kHeaders, kEndHeaders, 1, headers);
  ExpectStreamError(open + FrameBytes(FrameType::kData, 0, 1, MessageBytes("12345")),
                    kProtocolError);
  ExpectStreamError(open + FrameBytes(FrameType::kData, kEndStream, 1, MessageBytes("1")),
                    kProtocolError);
}

TEST_F(Http2ProtocolTest, ABlockOfHeadersIsNotInterrupted) {
  const std::string begun = Headers(1, 0);
  ExpectConnectionError(begun + FrameBytes(FrameType::kPing, 0, 0, "12345678"), kProtocolError);
  ExpectConnectionError(begun + FrameBytes(FrameType::kData, 0, 1, "x"), kProtocolError);
  ExpectConnectionError(begun + Headers(3), kProtocolError);
  ExpectConnectionError(
      begun + FrameBytes(FrameType::kContinuation, kEndHeaders, 3, HeaderBytes("a", "b")),
      kProtocolError);
  // One that continues nothing.
  ExpectConnectionError(FrameBytes(FrameType::kContinuation, kEndHeaders, 1, HeaderBytes("a", "b")),
                        kProtocolError);
  ExpectConnectionError(
      Headers(1) + FrameBytes(FrameType::kContinuation, kEndHeaders, 1, HeaderBytes("a", "b")),
      kProtocolError);
}

TEST_F(Http2ProtocolTest, ABlockOfHeadersMayComeInParts) {
  RawHttp2 connection(port());
  connection.Greet();
  const std::string block = CallHeaders("/test.Test/Look") + HeaderBytes("token", "abc");
  connection.Send(FrameType::kHeaders, 0, 1, block.substr(0, 7));
  connection.Send(FrameType::kContinuation, 0, 1, block.substr(7, 20));
  connection.Send(FrameType::kContinuation, 0, 1, "");
  connection.Send(FrameType::kContinuation, kEndHeaders, 1, block.substr(27));
  connection.Send(FrameType::kData, kEndStream, 1, MessageBytes(""));
  EXPECT_EQ(connection.ReadAnswer(1).data, MessageBytes("token=abc\n"));
}

TEST_F(Http2ProtocolTest, WindowsThatOverflowOrDoNotGrow) {
  ExpectConnectionError(FrameBytes(FrameType::kWindowUpdate, 0, 0, Word(0x7fffffff)),
                        kFlowControlError);
  ExpectConnectionError(FrameBytes(FrameType::kWindowUpdate, 0, 0, Word(0)), kProtocolError);
  const std::string open = Headers(1, kEndHeaders, "/test.Test/Stream");
  ExpectStreamError(open + FrameBytes(FrameType::kWindowUpdate, 0, 1, Word(0x7fffffff)),
                    kFlowControlError);
  ExpectConnectionError(open + FrameBytes(FrameType::kWindowUpdate, 0, 1, Word(0)), kProtocolError);
}

TEST_F(Http2ProtocolTest, SettingsThatMakeNoSenseEndTheConnection) {
  const auto settings = [](uint16_t id, uint32_t value) {
    return FrameBytes(FrameType::kSettings, 0, 0, Word(id).substr(2) + Word(value));
  };
  ExpectConnectionError(settings(2, 2), kProtocolError);              // Push: 0 or 1.
  ExpectConnectionError(settings(4, 0x80000000), kFlowControlError);  // First window.
  ExpectConnectionError(settings(5, 16383), kProtocolError);          // Frame size.
  ExpectConnectionError(settings(5, 0x1000000), kProtocolError);
  // Unknown ones are ignored.
  RawHttp2 connection(port());
  connection.Greet(Word(0xabcd).substr(2) + Word(7));
  ExpectAlive(connection, 1);
}

TEST_F(Http2ProtocolTest, DataOnAStreamThatIsClosed) {
  {
    RawHttp2 connection(port());
    connection.Greet();
    ExpectAlive(connection, 1);
    // The stream is forgotten: its data may have been under way when it was closed.
    connection.Send(FrameType::kData, 0, 1, MessageBytes("more"));
    ExpectAlive(connection, 3);
    EXPECT_EQ(services_.echoes, 2);
  }
  // Half closed by the client, while the answer is held back.
  RawHttp2 connection(port());
  connection.Greet();
  connection.Call(1, "/test.Test/Hold", "");
  connection.Send(FrameType::kData, 0, 1, MessageBytes("more"));
  const std::optional<uint32_t> error = connection.ReadGoAway();
  EXPECT_EQ(error, kStreamClosed);
}

TEST_F(Http2ProtocolTest, PaddedFramesCarryWhatIsBetween) {
  RawHttp2 connection(port());
  connection.Greet();
  const std::string headers = std::string(1, '\x05') + Word(0) + '\x10' +
                              CallHeaders("/test.Test/Echo") + std::string(5, '\0');
  connection.Send(FrameType::kHeaders, kEndHeaders | kPadded | kPriorityFlag, 1, headers);
  const std::string data = std::string(1, '\x0a') + MessageBytes("padded") + std::string(10, '\0');
  connection.Send(FrameType::kData, kEndStream | kPadded, 1, data);
  EXPECT_EQ(connection.ReadAnswer(1).data, MessageBytes("padded"));
  // More padding than there is frame.
  ExpectConnectionError(Headers(1) + FrameBytes(FrameType::kData, kPadded, 1,
                                                std::string("\x05"
                                                            "abc")),
                        kProtocolError);
  ExpectConnectionError(FrameBytes(FrameType::kHeaders, kEndHeaders | kPadded, 1,
                                   "\x7f"
                                   "abc"),
                        kProtocolError);
}

TEST_F(Http2ProtocolTest, PaddingIsGivenBackToTheWindows) {
  RawHttp2 connection(port());
  connection.Greet();
  connection.Send(Headers(1, kEndHeaders, "/test.Test/Stream"));
  const std::string padding = std::string(1, '\xff') + std::string(255, '\0');
  // More than both windows hold, sent as they allow.
  int64_t stream_window = 256 << 10;
  int64_t window = 65535;
  for (int i = 0; i < 25000; ++i) {
    while (std::min(window, stream_window) < 256) {
      const std::optional<RawFrame> update = connection.ReadUntil(FrameType::kWindowUpdate);
      ASSERT_TRUE(update.has_value());
      (update->stream == 0 ? window : stream_window) += update->error();
    }
    connection.Send(FrameType::kData, kPadded, 1, padding);
    window -= 256;
    stream_window -= 256;
  }
  connection.Send(FrameType::kData, kEndStream, 1, MessageBytes("end"));
  EXPECT_EQ(connection.ReadAnswer(1).data, MessageBytes("end"));
}

TEST_F(Http2ProtocolTest, UnknownFramesAndPrioritiesAreIgnored) {
  RawHttp2 connection(port());
  connection.Greet();
  connection.Send(static_cast<FrameType>(0xfa), 0xff, 1, "unknown");
  connection.Send(FrameType::kPriority, 0, 3, Word(0) + 'w');
  connection.Send(FrameType::kPing, 0, 0, "12345678");
  const std::optional<RawFrame> pong = connection.ReadUntil(FrameType::kPing);
  ASSERT_TRUE(pong.has_value());
  EXPECT_EQ(pong->flags, kAck);
  EXPECT_EQ(pong->payload, "12345678");
  ExpectAlive(connection, 5);
}

TEST_F(Http2ProtocolTest, AClientsGoAwayLetsItsCallsEnd) {
  RawHttp2 connection(port());
  connection.Greet();
  connection.Call(1, "/test.Test/Hold", "");
  ASSERT_TRUE(services_.AwaitHeld(1));
  connection.Send(FrameType::kGoAway, 0, 0, Word(0) + Word(kNoError));
  services_.AnswerHeld();
  EXPECT_EQ(connection.ReadAnswer(1).data, MessageBytes("held"));
}

TEST_F(Http2ProtocolTest, RandomFramesDoNoHarm) {
  raft::Random random(20260715);
  for (int round = 0; round < 300; ++round) {
    RawHttp2 connection(port());
    connection.Greet();
    std::string bytes;
    for (uint64_t frames = 1 + random.Next() % 20; frames > 0; --frames) {
      std::string payload;
      if (random.Next() % 2 == 0) payload = CallHeaders("/test.Test/Stream");
      for (uint64_t i = random.Next() % 30; i > 0; --i) payload += static_cast<char>(random.Next());
      bytes += FrameBytes(static_cast<FrameType>(random.Next() % 11),
                          static_cast<uint8_t>(random.Next()), random.Next() % 12, payload);
    }
    connection.Send(bytes);
    if (round % 10 == 0) connection.Read();
  }
}

}  // namespace
}  // namespace gavel::testing
