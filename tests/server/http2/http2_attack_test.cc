// Clients that only want to do harm, several at a time, while an honest one goes on being served.
//
// Each attack lasts a second, or as many as GAVEL_ATTACK_SECONDS says. How long the honest client's
// calls take is printed; what is asserted is that all succeed, and what the attack may cost.

#include <sys/socket.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

#include "raft/random.h"
#include "tests/server/http2/test_services.h"

namespace gavel::testing {
namespace {

using server::Http2FrontOptions;
using server::kNsPerMs;
using server::kNsPerSecond;
using server::MonotonicNs;

constexpr int kAttackers = 3;
// What an attack may add to the memory of this process, its attackers included.
constexpr int64_t kMemoryBytesMax = 400 << 20;

MonotonicNs AttackTime() {
  const char* seconds = std::getenv("GAVEL_ATTACK_SECONDS");
  return (seconds == nullptr ? 1 : std::atoi(seconds)) * kNsPerSecond;
}

int64_t ResidentBytes() {
  std::ifstream file("/proc/self/statm");
  int64_t size = 0;
  int64_t resident = 0;
  file >> size >> resident;
  return resident * 4096;
}

std::string OpenStream(uint32_t stream, std::string_view path) {
  return FrameBytes(FrameType::kHeaders, kEndHeaders, stream, CallHeaders(path));
}

class Http2AttackTest : public Http2Test {
 protected:
  Http2AttackTest() {
    Http2FrontOptions options;
    // What takes its time in a real server must not take it in a test.
    options.limits.handshake_timeout = 500 * kNsPerMs;
    options.limits.answer_timeout = 500 * kNsPerMs;
    options.limits.held_bytes_max = 64 << 20;
    options.limits.stream_bytes_max = 32 << 20;
    Serve(std::move(options));
  }

  // Runs `attack`, which is one connection's worth of harm, again and again on several threads.
  void Attack(const std::function<void(int port, raft::Random& random)>& attack) {
    const int64_t resident = ResidentBytes();
    const auto channel = fixture().NewChannel();
    const std::vector<MonotonicNs> quiet = Call(channel, AttackTime() / 4);
    std::atomic<bool> stop = false;
    std::atomic<int> attacks = 0;
    std::vector<std::thread> attackers;
    for (int i = 0; i < kAttackers; ++i) {
      attackers.emplace_back([&, i] {
        raft::Random random(static_cast<uint64_t>(i) + 1);
        while (!stop) {
          attack(port(), random);
          ++attacks;
        }
      });
    }
    const std::vector<MonotonicNs> under = Call(channel, AttackTime());
    const int64_t grown = ResidentBytes() - resident;
    stop = true;
    for (std::thread& attacker : attackers) attacker.join();
    EXPECT_GT(attacks, 0);
    EXPECT_LT(grown, kMemoryBytesMax);
    std::printf("%d attacks; honest calls: %zu, 99th percentile %ld us (quiet: %ld us); %ld MiB\n",
                attacks.load(), under.size(), static_cast<long>(P99(under) / 1000),
                static_cast<long>(P99(quiet) / 1000), static_cast<long>(grown >> 20));
  }

 private:
  // Calls one after the other for `time`; how long each took. Fails the test if one fails.
  std::vector<MonotonicNs> Call(const std::shared_ptr<grpc::Channel>& channel, MonotonicNs time) {
    std::vector<MonotonicNs> took;
    const MonotonicNs end = fixture().clock.Now() + time;
    while (fixture().clock.Now() < end) {
      const MonotonicNs begin = fixture().clock.Now();
      const ClientAnswer answer = CallUnary(channel, "/test.Test/Echo", "honest");
      EXPECT_TRUE(answer.status.ok()) << answer.status.error_message();
      took.push_back(fixture().clock.Now() - begin);
    }
    return took;
  }

  static MonotonicNs P99(std::vector<MonotonicNs> took) {
    std::sort(took.begin(), took.end());
    return took[took.size() * 99 / 100];
  }
};

TEST_F(Http2AttackTest, MalformedFrames) {
  Attack([](int port, raft::Random& random) {
    RawHttp2 connection(port);
    connection.Greet();
    std::string bytes;
    for (int frames = 0; frames < 50; ++frames) {
      std::string payload = random.OneIn(2) ? CallHeaders("/test.Test/Stream") : "";
      for (uint64_t i = random.Below(40); i > 0; --i) payload += static_cast<char>(random.Next());
      bytes +=
          FrameBytes(static_cast<FrameType>(random.Below(12)), static_cast<uint8_t>(random.Next()),
                     static_cast<uint32_t>(random.Below(20)), payload);
    }
    connection.Send(bytes);
    shutdown(connection.socket(), SHUT_WR);
    connection.ReadRaw();
  });
}

TEST_F(Http2AttackTest, RapidResets) {
  Attack([](int port, raft::Random&) {
    RawHttp2 connection(port);
    connection.Greet();
    std::string bytes;
    for (uint32_t stream = 1; stream < 4000; stream += 2) {
      bytes += OpenStream(stream, "/test.Test/Stream") +
               FrameBytes(FrameType::kResetStream, 0, stream, Word(kCancel));
    }
    connection.Send(bytes);
    EXPECT_EQ(connection.ReadGoAway(), kEnhanceYourCalm);
  });
}

TEST_F(Http2AttackTest, Headers) {
  Attack([](int port, raft::Random& random) {
    RawHttp2 connection(port);
    connection.Greet();
    std::string bomb = CallHeaders("/test.Test/Echo");
    bomb += '\x40' + HeaderBytes("bomb", std::string(3000, 'b')).substr(1);
    if (random.OneIn(2)) {
      // Just what is allowed, for many calls that never get their message.
      bomb += std::string(15, '\xbe');
      connection.Send(FrameType::kHeaders, kEndHeaders, 1, bomb);
      const std::string again = CallHeaders("/test.Test/Echo") + std::string(18, '\xbe');
      std::string bytes;
      for (uint32_t stream = 3; stream < 1000; stream += 2) {
        bytes += FrameBytes(FrameType::kHeaders, kEndHeaders, stream, again);
      }
      connection.Send(bytes);
      connection.Read();
      return;
    }
    connection.Send(FrameType::kHeaders, 0, 1, bomb);
    for (int i = 0; i < 20; ++i) {
      connection.Send(FrameType::kContinuation, 0, 1, std::string(16000, '\xbe'));
    }
    connection.ReadRaw();
  });
}

TEST_F(Http2AttackTest, SlowReaders) {
  Attack([](int port, raft::Random&) {
    std::vector<std::unique_ptr<RawHttp2>> connections;
    for (int i = 0; i < 10; ++i) {
      RawHttp2& connection = *connections.emplace_back(std::make_unique<RawHttp2>(port));
      // Half of them behind windows that stay shut, half behind a socket that is not read.
      connection.Greet(Word(4).substr(2) + Word(i % 2 == 0 ? 0 : 0x7fffffff));
      connection.Send(FrameType::kWindowUpdate, 0, 0, Word(0x7fff0000 - 65535));
      for (uint32_t stream = 1; stream < 100; stream += 2) {
        connection.Send(OpenStream(stream, "/test.Test/Flood") +
                        FrameBytes(FrameType::kData, 0, stream, MessageBytes("10000")));
      }
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
  });
}

TEST_F(Http2AttackTest, HalfOpenConnections) {
  Attack([](int port, raft::Random& random) {
    std::vector<std::unique_ptr<RawHttp2>> connections;
    for (int i = 0; i < 100; ++i) {
      connections.push_back(std::make_unique<RawHttp2>(port));
      connections.back()->Send(kPreface.substr(0, random.Below(kPreface.size() + 1)));
    }
    if (random.OneIn(4)) connections.front()->ReadRaw();  // Until it is cut off.
  });
}

TEST_F(Http2AttackTest, FramesWithoutUse) {
  Attack([](int port, raft::Random& random) {
    RawHttp2 connection(port);
    connection.Greet();
    const std::string frames[] = {
        FrameBytes(FrameType::kPing, 0, 0, "12345678"),
        FrameBytes(FrameType::kSettings, 0, 0, ""),
        FrameBytes(FrameType::kPriority, 0, 1, Word(0) + 'w'),
        FrameBytes(FrameType::kWindowUpdate, 0, 0, Word(1)),
        FrameBytes(static_cast<FrameType>(0xfe), 0, 0, ""),
        FrameBytes(FrameType::kData, 0, 1, ""),
    };
    const std::string& frame = frames[random.Below(std::size(frames))];
    std::string bytes = OpenStream(1, "/test.Test/Stream");
    while (bytes.size() < 1 << 20) bytes += frame;
    connection.Send(bytes);
  });
}

}  // namespace
}  // namespace gavel::testing
