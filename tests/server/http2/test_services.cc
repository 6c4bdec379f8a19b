#include "tests/server/http2/test_services.h"

#include <chrono>
#include <thread>
#include <utility>

namespace gavel::testing {

using server::CallContext;
using server::Completion;
using server::Encoded;
using server::Http2FrontOptions;
using server::RpcStatus;
using server::StreamHandler;
using server::StreamWriter;

namespace {

class EchoStream final : public StreamHandler {
 public:
  EchoStream(std::shared_ptr<StreamWriter> writer, TestServices& services)
      : writer_(std::move(writer)), services_(services) {}
  void OnMessage(std::string message) override {
    ++services_.stream_messages;
    writer_->Write(Encoded(std::move(message)));
  }
  void OnHalfClose() override { writer_->Finish(RpcStatus()); }
  void OnCancel() override { ++services_.canceled; }

 private:
  const std::shared_ptr<StreamWriter> writer_;
  TestServices& services_;
};

class FloodStream final : public StreamHandler {
 public:
  FloodStream(std::shared_ptr<StreamWriter> writer, TestServices& services)
      : writer_(std::move(writer)), services_(services) {}
  void OnMessage(std::string message) override {
    bytes_ = std::stoul(message);
    Fill();
  }
  void OnWritable() override { Fill(); }
  void OnCancel() override { ++services_.canceled; }

 private:
  void Fill() {
    while (true) {
      const size_t queued = writer_->Write(Encoded(std::string(bytes_, 'f')));
      if (queued > services_.flood_queued) services_.flood_queued = queued;
      if (queued == 0 || queued > writer_->high_mark()) return;
    }
  }

  const std::shared_ptr<StreamWriter> writer_;
  TestServices& services_;
  size_t bytes_ = 0;
};

std::string MetadataText(const CallContext& context) {
  std::string text;
  for (const auto& [name, value] : context.metadata) text += name + "=" + value + "\n";
  return text;
}

}  // namespace

TestServices::TestServices() {
  router_->AddUnary("/test.Test/Echo", [this](std::string request, CallContext, Completion done) {
    ++echoes;
    std::move(done)(RpcStatus(), Encoded(std::move(request)));
  });
  router_->AddUnary("/test.Test/Look", [](std::string, CallContext context, Completion done) {
    std::move(done)(RpcStatus(), Encoded(MetadataText(context)));
  });
  router_->AddUnary("/test.Test/Hold", [this](std::string, CallContext, Completion done) {
    std::lock_guard lock(mutex_);
    held_.push_back(std::move(done));
    changed_.notify_all();
  });
  router_->AddStream("/test.Test/Stream",
                     [this](CallContext, std::shared_ptr<StreamWriter> writer) {
                       return std::make_shared<EchoStream>(std::move(writer), *this);
                     });
  router_->AddStream("/test.Test/Flood", [this](CallContext, std::shared_ptr<StreamWriter> writer) {
    return std::make_shared<FloodStream>(std::move(writer), *this);
  });
}

bool TestServices::AwaitHeld(size_t count) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::seconds(10), [&] { return held_.size() >= count; });
}

void TestServices::AnswerHeld() {
  std::vector<Completion> held;
  {
    std::lock_guard lock(mutex_);
    held.swap(held_);
  }
  for (Completion& done : held) std::move(done)(RpcStatus(), Encoded(std::string("held")));
}

void Http2Test::Serve(Http2FrontOptions options) {
  fixture_.emplace(services_.router(), std::move(options));
}

void Http2Test::TearDown() {
  if (fixture_) {
    ExpectServing();
    fixture_->front->Shutdown(0);
  }
}

void Http2Test::ExpectServing() {
  const ClientAnswer answer = CallUnary(fixture_->NewChannel(), "/test.Test/Echo", "serving");
  EXPECT_TRUE(answer.status.ok()) << answer.status.error_message();
  EXPECT_EQ(answer.response, "serving");
}

void Http2Test::ExpectAlive(RawHttp2& connection, uint32_t stream) {
  connection.Call(stream, "/test.Test/Echo", "alive");
  const RawAnswer answer = connection.ReadAnswer(stream);
  EXPECT_EQ(answer.status(), "0");
  EXPECT_EQ(answer.data, MessageBytes("alive"));
}

void Http2Test::ExpectConnectionError(const std::string& bytes, uint32_t error) {
  RawHttp2 connection(port());
  connection.Greet();
  connection.Send(bytes);
  const std::optional<uint32_t> told = connection.ReadGoAway();
  ASSERT_TRUE(told.has_value()) << "closed without a word";
  EXPECT_EQ(*told, error);
}

bool Eventually(const std::function<bool()>& condition) {
  for (int i = 0; i < 1000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return condition();
}

}  // namespace gavel::testing
