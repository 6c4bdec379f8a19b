// What arrives on the port need not be gRPC, nor from a friend. Nothing of it may stop the server.

#include <string>

#include "gtest/gtest.h"

#include "raft/random.h"
#include "server/rpc/client_services.h"
#include "tests/server/http/raw_connection.h"
#include "tests/server/http2/raw_http2.h"
#include "tests/server/rpc/front_client.h"
#include "tests/server/rpc/test_gate.h"

namespace gavel::testing {
namespace {

using server::RawConnection;

class RpcFrontHostileTest : public ::testing::Test {
 protected:
  RpcFrontHostileTest() : services_(gate_, metrics_, {}), fixture_(services_.router()) {}
  ~RpcFrontHostileTest() override { fixture_.front->Shutdown(0); }

  uint16_t port() const { return static_cast<uint16_t>(fixture_.port()); }

  void ExpectServing() {
    EXPECT_TRUE(CallUnary(fixture_.NewChannel(), "/grpc.health.v1.Health/Check", "").status.ok());
  }

  // Whether the answer to one call has `text` in its data or its message.
  bool AnswerHas(const std::string& headers, const std::string& message, const std::string& text) {
    RawHttp2 connection(port());
    connection.Greet();
    connection.Send(FrameType::kHeaders, kEndHeaders, 1, headers);
    connection.Send(FrameType::kData, kEndStream, 1, MessageBytes(message));
    const RawAnswer answer = connection.ReadAnswer(1);
    return (answer.data + answer.message()).find(text) != std::string::npos;
  }

  TestGate gate_;
  server::Metrics metrics_;
  server::ClientServices services_;
  FrontFixture fixture_;
};

TEST_F(RpcFrontHostileTest, ACallWrittenByHandIsAnswered) {
  EXPECT_TRUE(AnswerHas(CallHeaders("/etcdserverpb.Maintenance/Status"), "", "3.7.1"));
}

TEST_F(RpcFrontHostileTest, AClientVersionThatIsNoUtf8IsRefused) {
  const std::string headers = CallHeaders("/etcdserverpb.Maintenance/Status") +
                              HeaderBytes("client-api-version", "3.7\xff\xfe");
  EXPECT_TRUE(AnswerHas(headers, "", "etcdserver: invalid client api version"));
  ExpectServing();
}

TEST_F(RpcFrontHostileTest, OtherMetadataMayHoldAnyBytes) {
  const std::string headers = CallHeaders("/etcdserverpb.Maintenance/Status") +
                              HeaderBytes("token", "\x01\xff\x80 odd") +
                              HeaderBytes("x-\xc3\x28", "y");
  RawHttp2 connection(port());
  connection.Greet();
  connection.Send(FrameType::kHeaders, kEndHeaders, 1, headers);
  connection.Send(FrameType::kData, kEndStream, 1, MessageBytes(""));
  EXPECT_TRUE(connection.Read().has_value());
  ExpectServing();
}

TEST_F(RpcFrontHostileTest, BytesThatAreNoMessageAreRefused) {
  EXPECT_TRUE(AnswerHas(CallHeaders("/etcdserverpb.KV/Put"), "\xff\xff\xff",
                        "grpc: error unmarshalling request"));
  EXPECT_TRUE(AnswerHas(CallHeaders("/nope"), "", R"(malformed method name: "/nope")"));
}

TEST_F(RpcFrontHostileTest, ACallWithoutAMessageIsRefused) {
  RawHttp2 connection(port());
  connection.Greet();
  connection.Send(FrameType::kHeaders, kEndHeaders | kEndStream, 1,
                  CallHeaders("/etcdserverpb.KV/Put"));
  EXPECT_EQ(connection.ReadAnswer(1).status(), "13");
  ExpectServing();
}

TEST_F(RpcFrontHostileTest, GarbageDoesNoHarm) {
  const std::string kGreeting = std::string(kPreface) + FrameBytes(FrameType::kSettings, 0, 0, "");
  raft::Random random(20260714);
  for (int round = 0; round < 60; ++round) {
    std::string bytes;
    // Some of it looks right at first.
    if (round % 3 > 0) bytes += kGreeting;
    if (round % 3 > 1) {
      bytes += FrameBytes(FrameType::kHeaders, kEndHeaders, 1, CallHeaders("/etcdserverpb.KV/Put"));
    }
    const uint64_t length = 1 + random.Next() % 3000;
    for (uint64_t i = 0; i < length; ++i) bytes += static_cast<char>(random.Next());
    RawConnection connection(port());
    connection.Send(bytes);
  }
  ExpectServing();
  EXPECT_TRUE(gate_.proposals().empty());
}

TEST_F(RpcFrontHostileTest, HttpAndTlsOnThePortAreClosed) {
  for (const std::string& bytes :
       {std::string("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
        std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11) + std::string(500, 'x')}) {
    RawConnection connection(port());
    connection.Send(bytes);
    connection.ReadToEnd();
  }
  ExpectServing();
}

TEST_F(RpcFrontHostileTest, MessagesThatStopHalfwayAreGivenUpWithTheirConnection) {
  for (int i = 0; i < 20; ++i) {
    RawHttp2 connection(port());
    std::string part = MessageBytes(std::string(1000, 'x'));
    part.resize(500);
    connection.Greet();
    connection.Send(FrameType::kHeaders, kEndHeaders, 1, CallHeaders("/etcdserverpb.KV/Put"));
    connection.Send(FrameType::kData, 0, 1, part);
  }
  ExpectServing();
  EXPECT_TRUE(gate_.proposals().empty());
}

// Random changes to a valid transaction: refused or carried out, and the server goes on.
TEST_F(RpcFrontHostileTest, DamagedRequestsAreAnswered) {
  etcdserverpb::TxnRequest txn;
  txn.add_compare()->set_key("k");
  txn.add_success()->mutable_request_put()->set_key("k");
  txn.add_failure()->mutable_request_txn()->add_success()->mutable_request_range()->set_key("r");
  const std::string good = txn.SerializeAsString();
  const auto channel = fixture_.NewChannel();
  raft::Random random(7);
  for (int round = 0; round < 500; ++round) {
    std::string bytes = good;
    for (uint64_t changes = 1 + random.Next() % 3; changes > 0; --changes) {
      bytes[random.Next() % bytes.size()] = static_cast<char>(random.Next());
    }
    const ClientAnswer answer = CallUnary(channel, "/etcdserverpb.KV/Txn", bytes);
    EXPECT_NE(answer.status.error_code(), grpc::StatusCode::UNAVAILABLE);
    EXPECT_NE(answer.status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  }
  ExpectServing();
}

}  // namespace
}  // namespace gavel::testing
