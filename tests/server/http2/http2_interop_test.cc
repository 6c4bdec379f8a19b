// The front with clients that others wrote, on every kind of address, and beside HTTP/1.

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/server/http2/test_services.h"

namespace gavel::testing {
namespace {

using server::Http2FrontOptions;
using ::testing::HasSubstr;

class Http2InteropTest : public Http2Test {};

std::string Output(const std::string& command) {
  FILE* pipe = popen(command.c_str(), "r");
  std::string output;
  std::array<char, 4096> buffer{};
  while (const size_t count = fread(buffer.data(), 1, buffer.size(), pipe)) {
    output.append(buffer.data(), count);
  }
  pclose(pipe);
  return output;
}

// A file that is removed at the end.
class ScratchFile {
 public:
  explicit ScratchFile(const std::string& name)
      : path_(std::filesystem::temp_directory_path() / (name + "." + std::to_string(getpid()))) {}
  ~ScratchFile() { std::filesystem::remove(path_); }
  std::string path() const { return path_; }

 private:
  std::filesystem::path path_;
};

TEST_F(Http2InteropTest, H2loadSeesEveryCallSucceed) {
  Http2FrontOptions options;
  options.io_threads = 2;
  Serve(std::move(options));
  const ScratchFile body("gavel-h2load");
  std::ofstream(body.path(), std::ios::binary) << MessageBytes(std::string(300, 'x'));
  const std::string output =
      Output("h2load -n 20000 -c 10 -m 50 -d " + body.path() +
             " -H 'content-type: application/grpc' -H 'te: trailers' http://127.0.0.1:" +
             std::to_string(port()) + "/test.Test/Echo 2>&1");
  EXPECT_THAT(output, HasSubstr("20000 total, 20000 started, 20000 done, 20000 succeeded, "
                                "0 failed, 0 errored, 0 timeout"));
  EXPECT_EQ(services_.echoes, 20000);
}

TEST_F(Http2InteropTest, ManyStreamsAtOnceOnOneConnection) {
  Serve();
  const auto channel = fixture().NewChannel();
  std::vector<std::unique_ptr<ClientStream>> streams;
  for (int i = 0; i < 300; ++i) {
    streams.push_back(std::make_unique<ClientStream>(channel, "/test.Test/Stream"));
  }
  for (int round = 0; round < 3; ++round) {
    for (size_t i = 0; i < streams.size(); ++i) {
      ASSERT_TRUE(streams[i]->Write(std::to_string(i)));
    }
    for (size_t i = 0; i < streams.size(); ++i) {
      std::string message;
      ASSERT_TRUE(streams[i]->Read(&message));
      EXPECT_EQ(message, std::to_string(i));
    }
  }
  for (size_t i = 0; i < streams.size(); i += 2) {
    streams[i]->HalfClose();
    EXPECT_TRUE(streams[i]->Finish().ok());
  }
  streams.clear();
  EXPECT_TRUE(Eventually([this] { return services_.canceled == 150; }));
}

TEST_F(Http2InteropTest, LargeMessagesGoBothWaysOverManyConnectionsAndThreads) {
  Http2FrontOptions options;
  options.io_threads = 3;
  options.message_bytes_max = 32 << 20;
  Serve(std::move(options));
  std::vector<std::thread> clients;
  for (int c = 0; c < 4; ++c) {
    clients.emplace_back([&, c] {
      const auto channel = fixture().NewChannel();
      for (int i = 0; i < 5; ++i) {
        std::string request((3 << 20) * (c + 1) + i, 'x');
        for (size_t at = 0; at < request.size(); at += 11) request[at] = static_cast<char>(at);
        const ClientAnswer answer = CallUnary(channel, "/test.Test/Echo", request);
        EXPECT_TRUE(answer.status.ok()) << answer.status.error_message();
        EXPECT_TRUE(answer.response == request);
      }
    });
  }
  for (std::thread& client : clients) client.join();
}

TEST_F(Http2InteropTest, BinaryMetadataOfGrpcsClientArrives) {
  Serve();
  const std::string value("\0\xff\x80,bytes", 9);
  const ClientAnswer answer = CallUnary(fixture().NewChannel(), "/test.Test/Look", "", 20000,
                                        {{"trace-bin", value}, {"plain", "text"}});
  EXPECT_THAT(answer.response, HasSubstr("trace-bin=" + value + "\n"));
  EXPECT_THAT(answer.response, HasSubstr("plain=text\n"));
  EXPECT_THAT(answer.response, HasSubstr("user-agent=grpc-c++/"));
}

TEST_F(Http2InteropTest, LocalSocketsAndIpv6AreServed) {
  const ScratchFile socket("gavel-socket");
  std::ofstream(socket.path() + ".not-a-socket") << "kept";
  Http2FrontOptions options;
  options.addresses = {"127.0.0.1:0", "unix:" + socket.path(), "[::1]:0", "localhost:0"};
  Serve(options);
  const std::vector<int> ports = fixture().front->ports();
  ASSERT_EQ(ports.size(), 4u);
  EXPECT_EQ(ports[1], 0);
  for (const std::string& target :
       {"unix:" + socket.path(), "ipv6:[::1]:" + std::to_string(ports[2]),
        "127.0.0.1:" + std::to_string(ports[3])}) {
    const auto channel = grpc::CreateChannel(target, grpc::InsecureChannelCredentials());
    EXPECT_EQ(CallUnary(channel, "/test.Test/Echo", "x").response, "x") << target;
  }
  // What a killed process has left is taken over; a file that is no socket is not.
  FrontFixture second(services_.router(), [&] {
    Http2FrontOptions again;
    again.addresses = {"unix:" + socket.path()};
    return again;
  }());
  EXPECT_EQ(
      CallUnary(grpc::CreateChannel("unix:" + socket.path(), grpc::InsecureChannelCredentials()),
                "/test.Test/Echo", "x")
          .response,
      "x");
  options.addresses = {"unix:" + socket.path() + ".not-a-socket"};
  const auto third = server::Http2Front::Start(options, services_.router(), fixture().clock,
                                               fixture().log, fixture().metrics);
  EXPECT_EQ(std::string(third.status().message()),
            "cannot listen on " + options.addresses[0] + ": Address already in use");
  std::filesystem::remove(socket.path() + ".not-a-socket");
}

TEST_F(Http2InteropTest, AddressesThatAreNoneAreNamed) {
  Serve();
  for (const std::string& address :
       {std::string("127.0.0.1"), std::string("no.such.host.invalid:1"), std::string("192.0.2.1:0"),
        "unix:" + std::string(200, 'x'), std::string("unix:")}) {
    Http2FrontOptions options;
    options.addresses = {"127.0.0.1:0", address};
    const auto started = server::Http2Front::Start(options, services_.router(), fixture().clock,
                                                   fixture().log, fixture().metrics);
    ASSERT_FALSE(started.ok()) << address;
    EXPECT_THAT(std::string(started.status().message()),
                ::testing::StartsWith("cannot listen on " + address + ": "));
  }
}

TEST_F(Http2InteropTest, Http1GoesToItsHook) {
  std::mutex mutex;
  std::string first_bytes;
  Http2FrontOptions options;
  options.on_http1 = [&](int fd, std::string bytes) {
    std::lock_guard lock(mutex);
    first_bytes = std::move(bytes);
    const std::string answer = "HTTP/1.1 204 No Content\r\n\r\n";
    EXPECT_EQ(send(fd, answer.data(), answer.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(answer.size()));
    close(fd);
  };
  Serve(std::move(options));
  RawHttp2 connection(port());
  connection.Send("P");
  connection.Send("OST /v3/kv/range HTTP/1.1\r\n");
  EXPECT_EQ(connection.ReadRaw(), "HTTP/1.1 204 No Content\r\n\r\n");
  std::lock_guard lock(mutex);
  EXPECT_TRUE(std::string("POST /v3/kv/range HTTP/1.1\r\n").starts_with(first_bytes));
  EXPECT_GE(first_bytes.size(), 2u);
}

}  // namespace
}  // namespace gavel::testing
