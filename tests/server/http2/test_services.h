// Methods that the tests of the HTTP/2 front call, and a front that serves them.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "server/rpc/service.h"
#include "tests/server/http2/raw_http2.h"
#include "tests/server/rpc/front_client.h"

namespace gavel::testing {

// "/test.Test/Echo" answers with the request, "/test.Test/Look" with the call's metadata,
// "/test.Test/Hold" when the test says so; "/test.Test/Stream" is an echo that ends with the
// client's half-close, "/test.Test/Flood" writes `message` bytes for ever, as fast as it may.
class TestServices {
 public:
  TestServices();
  ~TestServices() { AnswerHeld(); }

  std::shared_ptr<const server::Router> router() const { return router_; }
  // Waits until `count` calls are held.
  bool AwaitHeld(size_t count);
  // Answers all that are held with "held".
  void AnswerHeld();

  std::atomic<int> echoes = 0;
  std::atomic<int> stream_messages = 0;
  std::atomic<int> canceled = 0;         // Streams that were told of their end.
  std::atomic<size_t> flood_queued = 0;  // The most that any flood had queued.

 private:
  std::shared_ptr<server::Router> router_ = std::make_shared<server::Router>();
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<server::Completion> held_;
};

class Http2Test : public ::testing::Test {
 protected:
  // Serves with `options`.
  void Serve(server::Http2FrontOptions options = {});
  void TearDown() override;

  int port() const { return fixture_->port(); }
  FrontFixture& fixture() { return *fixture_; }
  // A new connection, greeted, is served.
  void ExpectServing();
  // The connection still carries calls.
  static void ExpectAlive(RawHttp2& connection, uint32_t stream);
  // Sends `bytes` on a new, greeted connection, which has to end with a GOAWAY of `error`.
  void ExpectConnectionError(const std::string& bytes, uint32_t error);

  TestServices services_;

 private:
  std::optional<FrontFixture> fixture_;
};

// Error codes of HTTP/2.
constexpr uint32_t kNoError = 0;
constexpr uint32_t kProtocolError = 1;
constexpr uint32_t kInternalError = 2;
constexpr uint32_t kFlowControlError = 3;
constexpr uint32_t kStreamClosed = 5;
constexpr uint32_t kFrameSizeError = 6;
constexpr uint32_t kRefusedStream = 7;
constexpr uint32_t kCancel = 8;
constexpr uint32_t kCompressionError = 9;
constexpr uint32_t kEnhanceYourCalm = 11;

// Waits, for ten seconds at most, until `condition` holds.
bool Eventually(const std::function<bool()>& condition);

}  // namespace gavel::testing
