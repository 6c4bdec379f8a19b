// The clients' port: whatever arrives on a connection, the next client is served.
#include <sys/socket.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "raft/check.h"
#include "server/http2/http2_front.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/server/http2/raw_http2.h"
#include "tests/support/temporary_directory.h"

namespace gavel::fuzz {
namespace {

using server::CallContext;
using server::Completion;
using server::Encoded;
using server::RpcStatus;
using server::StreamHandler;
using server::StreamWriter;
using testing::CallHeaders;
using testing::FrameBytes;
using testing::FrameType;
using testing::HeaderBytes;
using testing::kEndHeaders;
using testing::kEndStream;
using testing::MessageBytes;
using testing::RawHttp2;
using testing::Word;

// The first byte of an input: bytes of a new connection, bytes after a good greeting, or choices
// from which frames are made.
enum Kind : char { kConnection, kGreeted, kFrames, kKinds };

constexpr std::string_view kPaths[] = {"/test.Test/Echo", "/test.Test/Stream", "/test.Test/Nope"};

class EchoStream final : public StreamHandler {
 public:
  explicit EchoStream(std::shared_ptr<StreamWriter> writer) : writer_(std::move(writer)) {}
  void OnMessage(std::string message) override { writer_->Write(Encoded(std::move(message))); }
  void OnHalfClose() override { writer_->Finish(RpcStatus()); }

 private:
  const std::shared_ptr<StreamWriter> writer_;
};

std::shared_ptr<server::Router> TestRouter() {
  auto router = std::make_shared<server::Router>();
  router->AddUnary("/test.Test/Echo", [](std::string request, CallContext, Completion done) {
    std::move(done)(RpcStatus(), Encoded(std::move(request)));
  });
  router->AddStream("/test.Test/Stream", [](CallContext, std::shared_ptr<StreamWriter> writer) {
    return std::make_shared<EchoStream>(std::move(writer));
  });
  return router;
}

std::string HeaderBlock(Choices& choices) {
  std::string block;
  if (choices.Below(8) > 0) block = CallHeaders(kPaths[choices.Below(std::size(kPaths))]);
  for (uint64_t more = choices.Below(4); more > 0; --more) {
    constexpr std::string_view kNames[] = {"grpc-timeout", "grpc-encoding",  "x-bin", "token",
                                           "te",           "content-length", ":path"};
    const std::string_view name = kNames[choices.Below(std::size(kNames))];
    block += HeaderBytes(name, choices.Bytes(choices.Below(12)));
  }
  return block.append(choices.Bytes(choices.Below(4)));
}

std::string Data(Choices& choices) {
  const std::string_view bytes = choices.Bytes(choices.Below(64));
  return choices.Below(3) == 0 ? std::string(bytes) : MessageBytes(bytes);
}

std::string Frames(Choices& choices) {
  std::string frames;
  while (!choices.empty()) {
    const auto type = static_cast<FrameType>(choices.Below(11));
    const uint32_t stream = static_cast<uint32_t>(choices.Below(16));
    uint8_t flags = 0;
    std::string payload;
    switch (type) {
      case FrameType::kHeaders:
      case FrameType::kContinuation:
        flags = choices.Below(4) > 0 ? kEndHeaders : choices.Byte();
        payload = HeaderBlock(choices);
        break;
      case FrameType::kData:
        flags = choices.Below(3) == 0 ? kEndStream : 0;
        payload = Data(choices);
        break;
      case FrameType::kWindowUpdate:
      case FrameType::kResetStream:
        payload = Word(static_cast<uint32_t>(choices.Number(3)));
        break;
      default:
        flags = choices.Byte();
        payload = choices.Bytes(choices.Below(40));
        break;
    }
    frames += FrameBytes(type, flags, stream, payload);
  }
  return frames;
}

std::string GoodCalls() {
  return FrameBytes(FrameType::kHeaders, kEndHeaders, 1, CallHeaders(kPaths[0])) +
         FrameBytes(FrameType::kData, kEndStream, 1, MessageBytes("unary")) +
         FrameBytes(FrameType::kHeaders, kEndHeaders, 3,
                    CallHeaders(kPaths[1]) + HeaderBytes("grpc-timeout", "10S") +
                        HeaderBytes("trace-bin", "Zm9v")) +
         FrameBytes(FrameType::kData, 0, 3, MessageBytes("one") + MessageBytes("two")) +
         FrameBytes(FrameType::kPing, 0, 0, "12345678") +
         FrameBytes(FrameType::kWindowUpdate, 0, 3, Word(1000)) +
         FrameBytes(FrameType::kData, kEndStream, 3, "") +
         FrameBytes(FrameType::kHeaders, kEndHeaders, 5, CallHeaders(kPaths[2])) +
         FrameBytes(FrameType::kResetStream, 0, 5, Word(8));
}

}  // namespace

void OneInput(std::string_view input) {
  if (input.empty()) return;
  Choices choices(input);
  const uint64_t kind = choices.Below(kKinds);
  server::SystemClock clock;
  const std::unique_ptr<server::Logger> logger = server::NullLogger();
  server::Metrics metrics;
  server::Http2FrontOptions options;
  // A server and two connections for each input: ports of TCP would run out in half a minute.
  static const testing::TemporaryDirectory directory;
  const std::string socket = directory.path() + "/socket";
  options.addresses = {"unix:" + socket};
  const auto front = server::Http2Front::Start(options, TestRouter(), clock, *logger, metrics);
  GAVEL_CHECK(front.ok()) << front.status().message();
  {
    RawHttp2 connection(socket);
    if (kind != kConnection) connection.Greet();
    connection.Send(kind == kFrames ? Frames(choices) : std::string(choices.left()));
    shutdown(connection.socket(), SHUT_WR);
    connection.ReadRaw();
  }
  RawHttp2 honest(socket);
  honest.Greet();
  honest.Call(1, kPaths[0], "still there");
  GAVEL_CHECK(honest.ReadAnswer(1).data == MessageBytes("still there"));
}

std::vector<std::string> Seeds() {
  const std::string greeting =
      std::string(testing::kPreface) + FrameBytes(FrameType::kSettings, 0, 0, "");
  std::vector<std::string> seeds = {
      std::string(1, kConnection) + greeting + GoodCalls(),
      std::string(1, kConnection) + "GET /health HTTP/1.1\r\n\r\n",
      std::string(1, kGreeted) + GoodCalls(),
      std::string(1, kGreeted) +
          FrameBytes(FrameType::kHeaders, 0, 1, CallHeaders(kPaths[0]).substr(0, 9)) +
          FrameBytes(FrameType::kContinuation, kEndHeaders, 1, CallHeaders(kPaths[0]).substr(9)),
  };
  raft::Random random(20260801);
  for (int i = 0; i < 20; ++i) {
    std::string seed(1, kFrames);
    for (int byte = 0; byte < 200; ++byte) seed += static_cast<char>(random.Next());
    seeds.push_back(std::move(seed));
  }
  return seeds;
}

void Mend(std::string&, raft::Random&) {}

}  // namespace gavel::fuzz
