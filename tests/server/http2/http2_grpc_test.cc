// gRPC's protocol as it is on the wire, and what breaks it.

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/server/http2/test_services.h"

namespace gavel::testing {
namespace {

using ::testing::HasSubstr;

class Http2GrpcTest : public Http2Test {
 protected:
  Http2GrpcTest() {
    server::Http2FrontOptions options;
    options.message_bytes_max = 3000000;
    Serve(std::move(options));
  }

  // The answer to one call with `headers` (and those that every call has), and `data`.
  RawAnswer Ask(std::string_view path, const std::string& headers, const std::string& data) {
    RawHttp2 connection(port());
    connection.Greet();
    connection.Send(FrameType::kHeaders, kEndHeaders, 1, CallHeaders(path) + headers);
    connection.Send(FrameType::kData, kEndStream, 1, data);
    RawAnswer answer = connection.ReadAnswer(1);
    ExpectAlive(connection, 3);
    return answer;
  }
  static std::string HeadersWith(std::string_view method, std::string_view content_type) {
    return HeaderBytes(":method", method) + HeaderBytes(":scheme", "http") +
           HeaderBytes(":path", "/test.Test/Echo") + HeaderBytes(":authority", "localhost") +
           HeaderBytes("content-type", content_type);
  }
  RawAnswer AskRaw(const std::string& headers) {
    RawHttp2 connection(port());
    connection.Greet();
    connection.Send(FrameType::kHeaders, kEndHeaders | kEndStream, 1, headers);
    return connection.ReadAnswer(1);
  }
};

TEST_F(Http2GrpcTest, AnAnswerIsHeadersMessageAndTrailers) {
  const RawAnswer answer = Ask("/test.Test/Echo", "", MessageBytes("hello"));
  EXPECT_EQ(answer.headers, (std::map<std::string, std::string>{
                                {":status", "200"}, {"content-type", "application/grpc"}}));
  EXPECT_EQ(answer.data, MessageBytes("hello"));
  EXPECT_EQ(answer.trailers, (std::map<std::string, std::string>{{"grpc-status", "0"}}));
}

TEST_F(Http2GrpcTest, AnErrorIsTrailersOnly) {
  const RawAnswer answer = Ask("/test.Test/Nope", "", MessageBytes(""));
  EXPECT_EQ(answer.headers, answer.trailers);
  EXPECT_EQ(answer.headers.at(":status"), "200");
  EXPECT_EQ(answer.headers.at("content-type"), "application/grpc");
  EXPECT_EQ(answer.status(), "12");
  EXPECT_EQ(answer.message(), "unknown method Nope for service test.Test");
}

TEST_F(Http2GrpcTest, WhatIsNoGrpcIsAnsweredByHttpsCodes) {
  EXPECT_EQ(AskRaw(HeadersWith("POST", "application/json")).headers.at(":status"), "415");
  EXPECT_EQ(AskRaw(HeadersWith("POST", "application/grpc-web")).headers.at(":status"), "415");
  EXPECT_EQ(AskRaw(HeadersWith("GET", "application/grpc")).headers.at(":status"), "405");
  EXPECT_EQ(services_.echoes, 0);
  RawHttp2 connection(port());
  connection.Greet();
  connection.Send(FrameType::kHeaders, kEndHeaders, 1,
                  HeadersWith("POST", "application/grpc+proto"));
  connection.Send(FrameType::kData, kEndStream, 1, MessageBytes("x"));
  EXPECT_EQ(connection.ReadAnswer(1).status(), "0");
}

TEST_F(Http2GrpcTest, MetadataReachesTheHandlerWithoutProtocolHeaders) {
  const RawAnswer answer =
      Ask("/test.Test/Look",
          HeaderBytes("token", "abc") + HeaderBytes("user-agent", "test") +
              HeaderBytes("trace-bin", "AAEC/w==,Zm9v") + HeaderBytes("token", "def") +
              HeaderBytes("grpc-accept-encoding", "gzip") +
              HeaderBytes("grpc-encoding", "identity") + HeaderBytes("grpc-timeout", "10S"),
          MessageBytes(""));
  EXPECT_EQ(answer.data,
            MessageBytes("token=abc\nuser-agent=test\ntrace-bin=" + std::string("\0\1\2\xff", 4) +
                         "\ntrace-bin=foo\ntoken=def\n"));
}

TEST_F(Http2GrpcTest, MalformedHeadersAreRefused) {
  for (const char* timeout : {"", "10", "S", "-1S", "1234567890S", "1s"}) {
    const RawAnswer answer =
        Ask("/test.Test/Echo", HeaderBytes("grpc-timeout", timeout), MessageBytes(""));
    EXPECT_EQ(answer.status(), "13") << timeout;
    EXPECT_THAT(answer.message(), HasSubstr("grpc-timeout"));
  }
  const RawAnswer answer = Ask("/test.Test/Echo", HeaderBytes("some-bin", "!"), MessageBytes(""));
  EXPECT_EQ(answer.status(), "13");
  EXPECT_THAT(answer.message(), HasSubstr("binary metadata"));
  EXPECT_EQ(services_.echoes, 7);  // Those of the connections being alive.
}

TEST_F(Http2GrpcTest, CompressionIsRefusedAsGrpcSays) {
  RawAnswer answer =
      Ask("/test.Test/Echo", HeaderBytes("grpc-encoding", "gzip"), MessageBytes("x"));
  EXPECT_EQ(answer.status(), "12");
  EXPECT_EQ(answer.headers.at("grpc-accept-encoding"), "identity");
  EXPECT_THAT(answer.message(), HasSubstr("gzip"));
  std::string compressed = MessageBytes("x");
  compressed[0] = 1;
  for (const char* path : {"/test.Test/Echo", "/test.Test/Stream"}) {
    answer = Ask(path, "", compressed);
    EXPECT_EQ(answer.status(), "13");
    EXPECT_THAT(answer.message(), HasSubstr("compressed flag"));
  }
}

TEST_F(Http2GrpcTest, AMessageTooLargeIsRefusedByItsLengthAlone) {
  for (const char* path : {"/test.Test/Echo", "/test.Test/Stream"}) {
    RawHttp2 connection(port());
    connection.Greet();
    connection.Send(FrameType::kHeaders, kEndHeaders, 1, CallHeaders(path));
    // The client has only begun, and holds the stream open.
    connection.Send(FrameType::kData, 0, 1, std::string(1, '\0') + Word(4000000000));
    const RawAnswer answer = connection.ReadAnswer(1);
    EXPECT_EQ(answer.status(), "8");
    EXPECT_EQ(answer.message(), "grpc: received message larger than max (4000000000 vs. 3000000)");
    // It is told to stop.
    const std::optional<RawFrame> reset = connection.ReadUntil(FrameType::kResetStream);
    ASSERT_TRUE(reset.has_value());
    EXPECT_EQ(reset->error(), kNoError);
    ExpectAlive(connection, 3);
  }
}

TEST_F(Http2GrpcTest, DataForRefusedCallsDoNotUseTheWindowUp) {
  RawHttp2 connection(port());
  connection.Greet();
  // Three times the connection's window.
  uint32_t stream = 1;
  for (int i = 0; i < 96; ++i, stream += 2) {
    connection.Send(FrameType::kHeaders, kEndHeaders, stream, CallHeaders("/test.Test/Nope"));
    for (int part = 0; part < 8; ++part) {
      connection.Send(FrameType::kData, 0, stream, std::string(16384, 'x'));
    }
    EXPECT_EQ(connection.ReadAnswer(stream).status(), "12");
  }
  ExpectAlive(connection, stream);
}

TEST_F(Http2GrpcTest, MessagesMayBeCutAndJoinedAnywhere) {
  RawHttp2 connection(port());
  connection.Greet();
  connection.Send(FrameType::kHeaders, kEndHeaders, 1, CallHeaders("/test.Test/Stream"));
  std::string expected;
  for (int i = 0; i < 40; ++i) expected += MessageBytes(std::string(i * 7 % 50, 'm'));
  for (size_t at = 0, part = 1; at < expected.size(); at += part, part = part % 13 + 1) {
    connection.Send(FrameType::kData, 0, 1, expected.substr(at, part));
  }
  connection.Send(FrameType::kData, kEndStream, 1, "");
  const RawAnswer answer = connection.ReadAnswer(1);
  EXPECT_EQ(answer.data, expected);
  EXPECT_EQ(answer.status(), "0");
}

TEST_F(Http2GrpcTest, ARequestThatStopsShortIsRefused) {
  const std::string whole = MessageBytes("0123456789");
  for (const char* path : {"/test.Test/Echo", "/test.Test/Stream"}) {
    for (const size_t bytes : {1, 4, 5, 14}) {
      EXPECT_EQ(Ask(path, "", whole.substr(0, bytes)).status(), "13") << path << " " << bytes;
    }
  }
  EXPECT_EQ(Ask("/test.Test/Echo", "", "").status(), "13");
  EXPECT_EQ(Ask("/test.Test/Stream", "", "").status(), "0");
}

TEST_F(Http2GrpcTest, TheClientsTrailersEndItsMessages) {
  RawHttp2 connection(port());
  connection.Greet();
  connection.Send(FrameType::kHeaders, kEndHeaders, 1, CallHeaders("/test.Test/Stream"));
  connection.Send(FrameType::kData, 0, 1, MessageBytes("one"));
  connection.Send(FrameType::kHeaders, kEndHeaders | kEndStream, 1, HeaderBytes("t", "v"));
  const RawAnswer answer = connection.ReadAnswer(1);
  EXPECT_EQ(answer.data, MessageBytes("one"));
  EXPECT_EQ(answer.status(), "0");
}

TEST_F(Http2GrpcTest, OnlyTheFirstMessageOfAUnaryCallCounts) {
  const RawAnswer answer = Ask("/test.Test/Echo", "", MessageBytes("one") + MessageBytes("two"));
  EXPECT_EQ(answer.data, MessageBytes("one"));
  EXPECT_EQ(services_.echoes, 2);  // This one, and that of the connection being alive.
}

TEST_F(Http2GrpcTest, ADeadlineIsAnsweredByTheServer) {
  for (const char* path : {"/test.Test/Hold", "/test.Test/Stream"}) {
    RawHttp2 connection(port());
    connection.Greet();
    connection.Send(FrameType::kHeaders, kEndHeaders, 1,
                    CallHeaders(path) + HeaderBytes("grpc-timeout", "50m"));
    connection.Send(FrameType::kData, 0, 1, MessageBytes("x"));
    const RawAnswer answer = connection.ReadAnswer(1);
    EXPECT_EQ(answer.status(), "4") << path;
    EXPECT_EQ(answer.message(), "etcdserver: context deadline exceeded");
    ExpectAlive(connection, 3);
  }
  EXPECT_TRUE(Eventually([this] { return services_.canceled == 1; }));
  services_.AnswerHeld();
}

// What waits behind a window of nothing does not keep the call from ending.
TEST_F(Http2GrpcTest, ADeadlineEndsACallWhoseClientTakesNothing) {
  RawHttp2 connection(port());
  connection.Greet(Word(4).substr(2) + Word(0));  // Every stream's first window is empty.
  connection.Send(FrameType::kHeaders, kEndHeaders, 1,
                  CallHeaders("/test.Test/Stream") + HeaderBytes("grpc-timeout", "100m"));
  connection.Send(FrameType::kData, 0, 1, MessageBytes("x"));
  const RawAnswer answer = connection.ReadAnswer(1);
  EXPECT_EQ(answer.headers.at(":status"), "200");
  EXPECT_EQ(answer.data, "");
  EXPECT_EQ(answer.status(), "4");
  // A unary answer is on its way already, and is taken back.
  connection.Send(FrameType::kHeaders, kEndHeaders, 3,
                  CallHeaders("/test.Test/Echo") + HeaderBytes("grpc-timeout", "100m"));
  connection.Send(FrameType::kData, kEndStream, 3, MessageBytes("x"));
  EXPECT_EQ(connection.ReadAnswer(3).reset, kCancel);
}

TEST_F(Http2GrpcTest, WindowsOfTheClientAreKept) {
  RawHttp2 connection(port());
  connection.Greet(Word(4).substr(2) + Word(10));
  connection.Call(1, "/test.Test/Echo", "0123456789");
  std::string data;
  while (const std::optional<RawFrame> frame = connection.Read()) {
    if (frame->type != FrameType::kData) continue;
    EXPECT_LE(frame->payload.size(), 10u);
    data += frame->payload;
    if (data.size() == 10) break;
  }
  EXPECT_EQ(data, MessageBytes("0123456789").substr(0, 10));
  connection.Send(FrameType::kWindowUpdate, 0, 1, Word(100));
  EXPECT_EQ(data + connection.ReadAnswer(1).data, MessageBytes("0123456789"));
}

TEST_F(Http2GrpcTest, StreamsShareAConnectionFairly) {
  RawHttp2 connection(port());
  connection.Greet();
  // Room for all that the flood wants to say.
  connection.Send(FrameType::kWindowUpdate, 0, 0, Word(0x7fff0000 - 65535));
  connection.Send(FrameType::kHeaders, kEndHeaders, 1, CallHeaders("/test.Test/Flood"));
  connection.Send(FrameType::kWindowUpdate, 0, 1, Word(0x7fff0000 - 65535));
  connection.Send(FrameType::kData, 0, 1, MessageBytes("10000"));
  ASSERT_TRUE(connection.ReadUntil(FrameType::kData).has_value());
  connection.Call(3, "/test.Test/Echo", "between");
  EXPECT_EQ(connection.ReadAnswer(3).data, MessageBytes("between"));
}

}  // namespace
}  // namespace gavel::testing
