// Both fronts over loopback: streams of every shape, their queues and their ends.

#include <atomic>
#include <thread>

#include "gtest/gtest.h"

#include "tests/server/rpc/front_client.h"

namespace gavel::testing {
namespace {

using server::CallContext;
using server::Encoded;
using server::FrontOptions;
using server::Router;
using server::RpcStatus;
using server::StatusCode;
using server::StreamHandler;
using server::StreamWriter;

// What the handlers of a test have seen.
struct Seen {
  std::atomic<int> messages = 0;
  std::atomic<int> writable = 0;
  Signal half_closed;
  Signal canceled;
  Signal gone;  // The handler has been destroyed.
};

// Sends back every message; ends with OK when the client is done.
class EchoStream : public StreamHandler {
 public:
  EchoStream(std::shared_ptr<StreamWriter> writer, Seen& seen)
      : writer_(std::move(writer)), seen_(seen) {}
  ~EchoStream() override { seen_.gone.Set(); }

  void OnMessage(std::string message) override {
    ++seen_.messages;
    writer_->Write(Encoded(std::move(message)));
  }
  void OnHalfClose() override {
    seen_.half_closed.Set();
    writer_->Finish(RpcStatus());
  }
  void OnWritable() override { ++seen_.writable; }
  void OnCancel() override { seen_.canceled.Set(); }

 protected:
  const std::shared_ptr<StreamWriter> writer_;
  Seen& seen_;
};

// Goes on after the client's half-close, as a watch does.
class EndlessStream final : public EchoStream {
 public:
  using EchoStream::EchoStream;
  void OnHalfClose() override { seen_.half_closed.Set(); }
};

template <class Handler>
std::shared_ptr<Router> RouterOf(Seen& seen) {
  auto router = std::make_shared<Router>();
  router->AddStream("/test.Test/Stream",
                    [&seen](CallContext, std::shared_ptr<StreamWriter> writer) {
                      return std::make_shared<Handler>(std::move(writer), seen);
                    });
  return router;
}

TEST(RpcFrontStreamTest, MessagesGoBothWaysInOrder) {
  Seen seen;
  FrontFixture fixture(RouterOf<EchoStream>(seen));
  ClientStream stream(fixture.NewChannel(), "/test.Test/Stream");
  std::string message;
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(stream.Write("message " + std::to_string(i)));
    ASSERT_TRUE(stream.Read(&message));
    EXPECT_EQ(message, "message " + std::to_string(i));
  }
  ASSERT_TRUE(stream.HalfClose());
  EXPECT_FALSE(stream.Read(&message));
  EXPECT_TRUE(stream.Finish().ok());
  EXPECT_TRUE(seen.gone.Wait());
}

TEST(RpcFrontStreamTest, WritesFromAnotherThreadArriveInOrderAndWhole) {
  auto router = std::make_shared<Router>();
  std::vector<std::thread> threads;
  router->AddStream("/test.Test/Count", [&](CallContext, std::shared_ptr<StreamWriter> writer) {
    threads.emplace_back([writer] {
      for (int i = 0; i < 20000; ++i) writer->Write(Encoded(std::to_string(i)));
      writer->Finish({StatusCode::kAborted, "enough"});
    });
    return std::shared_ptr<StreamHandler>();
  });
  FrontFixture fixture(router);
  ClientStream stream(fixture.NewChannel(), "/test.Test/Count");
  std::string message;
  int read = 0;
  for (int i = 0; i < 20000; ++i) {
    if (!stream.Read(&message)) break;
    EXPECT_EQ(message, std::to_string(i));
    ++read;
  }
  EXPECT_EQ(read, 20000);
  EXPECT_FALSE(stream.Read(&message));
  const grpc::Status status = stream.Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::ABORTED);
  EXPECT_EQ(status.error_message(), "enough");
  for (std::thread& thread : threads) thread.join();
}

// A first message that is only buffered would never be reported as sent, and nothing would follow.
TEST(RpcFrontStreamTest, SeveralMessagesQueuedBeforeTheFirstIsSentAllArrive) {
  auto router = std::make_shared<Router>();
  router->AddStream("/test.Test/Burst", [&](CallContext, std::shared_ptr<StreamWriter> writer) {
    // The I/O thread is busy here until everything is queued.
    std::thread([writer] {
      for (int i = 0; i < 10; ++i) writer->Write(Encoded(std::to_string(i)));
    }).join();
    return std::shared_ptr<StreamHandler>();
  });
  FrontFixture fixture(router);
  ClientStream stream(fixture.NewChannel(), "/test.Test/Burst");
  std::string message;
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(stream.Read(&message)) << i;
    EXPECT_EQ(message, std::to_string(i));
  }
}

TEST(RpcFrontStreamTest, AHalfCloseDoesNotEndAStreamThatGoesOn) {
  Seen seen;
  FrontFixture fixture(RouterOf<EndlessStream>(seen));
  {
    ClientStream stream(fixture.NewChannel(), "/test.Test/Stream");
    ASSERT_TRUE(stream.Write("first"));
    ASSERT_TRUE(stream.HalfClose());
    ASSERT_TRUE(seen.half_closed.Wait());
    std::string message;
    ASSERT_TRUE(stream.Read(&message));
    EXPECT_EQ(message, "first");
    stream.Cancel();
  }
  // The client's leaving is noticed though there is nothing more to read or write.
  EXPECT_TRUE(seen.canceled.Wait());
  EXPECT_TRUE(seen.gone.Wait());
}

TEST(RpcFrontStreamTest, ACancelReachesTheHandler) {
  Seen seen;
  FrontFixture fixture(RouterOf<EchoStream>(seen));
  ClientStream stream(fixture.NewChannel(), "/test.Test/Stream");
  std::string message;
  ASSERT_TRUE(stream.Write("x"));
  ASSERT_TRUE(stream.Read(&message));
  stream.Cancel();
  EXPECT_EQ(stream.Finish().error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_TRUE(seen.gone.Wait());
}

TEST(RpcFrontStreamTest, WritesAfterTheEndAreDropped) {
  auto router = std::make_shared<Router>();
  std::shared_ptr<StreamWriter> kept;
  Signal begun;
  Seen seen;
  router->AddStream("/test.Test/Keep", [&](CallContext, std::shared_ptr<StreamWriter> writer) {
    kept = writer;
    begun.Set();
    return std::make_shared<EndlessStream>(std::move(writer), seen);
  });
  FrontFixture fixture(router);
  {
    ClientStream stream(fixture.NewChannel(), "/test.Test/Keep");
    ASSERT_TRUE(begun.Wait());
    stream.Cancel();
  }
  ASSERT_TRUE(seen.canceled.Wait());
  ASSERT_TRUE(seen.gone.Wait());
  EXPECT_EQ(kept->Write(Encoded(std::string("x"))), 0u);
  kept->Finish(RpcStatus());
  fixture.front.reset();
  EXPECT_EQ(kept->Write(Encoded(std::string("x"))), 0u);
}

// Says nothing by itself.
class Silent final : public StreamHandler {
 public:
  void OnMessage(std::string) override {}
};

// Writes until the high mark, and goes on whenever it is told to.
class Flood final : public StreamHandler {
 public:
  Flood(std::shared_ptr<StreamWriter> writer, std::atomic<size_t>& queued_max)
      : writer_(std::move(writer)), queued_max_(queued_max) {}
  void OnMessage(std::string) override { Fill(); }
  void OnWritable() override { Fill(); }

 private:
  void Fill() {
    while (left_ > 0) {
      --left_;
      const size_t queued = writer_->Write(Encoded(std::string(10000, 'x')));
      if (queued > queued_max_) queued_max_ = queued;
      if (queued > writer_->high_mark()) return;
    }
    writer_->Finish(RpcStatus());
  }

  const std::shared_ptr<StreamWriter> writer_;
  std::atomic<size_t>& queued_max_;
  int left_ = 3000;
};

TEST(RpcFrontStreamTest, ASlowReaderHoldsTheHandlerBack) {
  std::atomic<size_t> queued_max = 0;
  auto router = std::make_shared<Router>();
  router->AddStream("/test.Test/Flood", [&](CallContext, std::shared_ptr<StreamWriter> writer) {
    return std::make_shared<Flood>(std::move(writer), queued_max);
  });
  server::Http2FrontOptions options;
  options.stream_high_mark = 100000;
  FrontFixture fixture(router, options);
  ClientStream stream(fixture.NewChannel(), "/test.Test/Flood");
  ASSERT_TRUE(stream.Write("go"));
  std::string message;
  int messages = 0;
  while (stream.Read(&message)) ++messages;
  EXPECT_EQ(messages, 3000);
  EXPECT_TRUE(stream.Finish().ok());
  EXPECT_LE(queued_max, 100000u + 10000u);
}

// All streams together may pass their limit between a Write and the question whether it was too
// much. A handler that then waited would wait for ever: nobody knew that it was above its mark.
TEST(RpcFrontStreamTest, TheHighMarkIsTheOneThatTheLastWriteWentBy) {
  std::mutex mutex;
  std::vector<std::shared_ptr<StreamWriter>> writers;
  auto router = std::make_shared<Router>();
  router->AddStream("/test.Test/Keep", [&](CallContext, std::shared_ptr<StreamWriter> writer) {
    const std::lock_guard lock(mutex);
    writers.push_back(std::move(writer));
    return std::make_shared<Silent>();
  });
  server::Http2FrontOptions options;
  options.stream_high_mark = 1000000;
  options.limits.stream_bytes_max = 2000000;
  FrontFixture fixture(router, options);
  ClientStream one(fixture.NewChannel(), "/test.Test/Keep");
  ClientStream other(fixture.NewChannel(), "/test.Test/Keep");
  const auto both = [&] {
    const std::lock_guard lock(mutex);
    return writers.size() == 2;
  };
  for (int i = 0; i < 5000 && !both(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  ASSERT_TRUE(both());
  EXPECT_EQ(writers[0]->Write(Encoded(std::string(500000, 'x'))), 500005u);
  EXPECT_EQ(writers[1]->Write(Encoded(std::string(10000000, 'x'))), 10000005u);
  EXPECT_EQ(writers[0]->high_mark(), 1000000u);
  writers[0]->Write(Encoded(std::string(1, 'x')));
  EXPECT_EQ(writers[0]->high_mark(), 1000000u / 16);
}

TEST(RpcFrontStreamTest, AClientThatNeverReadsIsNotReadFromEither) {
  Seen seen;
  server::Http2FrontOptions options;
  options.stream_high_mark = 100000;
  FrontFixture fixture(RouterOf<EchoStream>(seen), options);
  const auto channel = fixture.NewChannel();
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  const auto stream = stub.PrepareCall(&context, "/test.Test/Stream", &queue);
  stream->StartCall(nullptr);
  void* tag = nullptr;
  bool ok = false;
  ASSERT_TRUE(queue.Next(&tag, &ok));
  // Writes until the network takes no more.
  const std::string message(50000, 'x');
  bool stuck = false;
  int written = 0;
  while (!stuck && written < 2000) {
    stream->Write(ToBuffer(message), nullptr);
    stuck = queue.AsyncNext(&tag, &ok,
                            std::chrono::system_clock::now() + std::chrono::milliseconds(500)) ==
            grpc::CompletionQueue::TIMEOUT;
    if (!stuck) ++written;
  }
  EXPECT_TRUE(stuck) << "all of " << written << " messages were taken";
  context.TryCancel();
  ASSERT_TRUE(queue.Next(&tag, &ok));
  grpc::Status status;
  stream->Finish(&status, nullptr);
  ASSERT_TRUE(queue.Next(&tag, &ok));
  EXPECT_TRUE(seen.gone.Wait());
}

TEST(RpcFrontStreamTest, AMessageOverTheLimitEndsTheStream) {
  Seen seen;
  server::Http2FrontOptions options;
  options.message_bytes_max = 1000;
  FrontFixture fixture(RouterOf<EchoStream>(seen), options);
  ClientStream stream(fixture.NewChannel(), "/test.Test/Stream");
  ASSERT_TRUE(stream.Write(std::string(1001, 'x')));
  std::string message;
  EXPECT_FALSE(stream.Read(&message));
  const grpc::Status status = stream.Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(status.error_message(), "grpc: received message larger than max (1001 vs. 1000)");
  EXPECT_TRUE(seen.canceled.Wait());
}

TEST(RpcFrontStreamTest, AShutdownEndsOpenStreamsAtOnce) {
  Seen seen;
  FrontFixture fixture(RouterOf<EndlessStream>(seen));
  ClientStream stream(fixture.NewChannel(), "/test.Test/Stream");
  std::string message;
  ASSERT_TRUE(stream.Write("x"));
  ASSERT_TRUE(stream.Read(&message));
  const server::MonotonicNs before = fixture.clock.Now();
  std::thread stopper([&] { fixture.front->Shutdown(20 * server::kNsPerSecond); });
  EXPECT_FALSE(stream.Read(&message));
  const grpc::Status status = stream.Finish();
  stopper.join();
  EXPECT_LT(fixture.clock.Now() - before, 10 * server::kNsPerSecond);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(status.error_message(), "etcdserver: server stopped");
  EXPECT_TRUE(seen.canceled.Wait());
}

// Ends by itself when its slow work is done.
class SlowStream final : public StreamHandler {
 public:
  explicit SlowStream(std::shared_ptr<StreamWriter> writer) : writer_(std::move(writer)) {}
  ~SlowStream() override { thread_.join(); }
  void OnMessage(std::string) override {
    thread_ = std::thread([writer = writer_] {
      std::this_thread::sleep_for(std::chrono::milliseconds(300));
      writer->Write(Encoded(std::string("whole")));
      writer->Finish(RpcStatus());
    });
    writer_->Write(Encoded(std::string("begun")));
  }
  bool EndsByItself() const override { return true; }

 private:
  const std::shared_ptr<StreamWriter> writer_;
  std::thread thread_;
};

TEST(RpcFrontStreamTest, AShutdownWaitsForStreamsThatEndByThemselves) {
  auto router = std::make_shared<Router>();
  router->AddStream("/test.Test/Slow", [](CallContext, std::shared_ptr<StreamWriter> writer) {
    return std::make_shared<SlowStream>(std::move(writer));
  });
  FrontFixture fixture(router);
  ClientStream stream(fixture.NewChannel(), "/test.Test/Slow");
  ASSERT_TRUE(stream.Write("x"));
  std::string message;
  ASSERT_TRUE(stream.Read(&message));
  std::thread stopper([&] { fixture.front->Shutdown(20 * server::kNsPerSecond); });
  ASSERT_TRUE(stream.Read(&message));
  EXPECT_EQ(message, "whole");
  EXPECT_TRUE(stream.Finish().ok());
  stopper.join();
}

// A range in pieces ends as soon as it can; of other streams nobody can say that they are slow.
TEST(RpcFrontStreamTest, OfStreamsOnlyASlowRangeIsLogged) {
  auto router = std::make_shared<Router>();
  const std::string names[] = {"/etcdserverpb.KV/RangeStream", "/etcdserverpb.Watch/Watch"};
  for (const std::string& name : names) {
    router->AddStream(name, [](CallContext, std::shared_ptr<StreamWriter> writer) {
      return std::make_shared<SlowStream>(std::move(writer));
    });
  }
  server::Http2FrontOptions options;
  options.warning_unary_duration = 50 * server::kNsPerMs;
  FrontFixture fixture(router, options);
  for (const std::string& name : names) {
    ClientStream stream(fixture.NewChannel(), name);
    ASSERT_TRUE(stream.Write("x"));
    std::string message;
    while (stream.Read(&message)) {
    }
    EXPECT_TRUE(stream.Finish().ok());
  }
  fixture.front->Shutdown(20 * server::kNsPerSecond);
  std::vector<std::string> slow;
  for (const std::string& line : fixture.log.lines()) {
    if (line.starts_with("slow request")) slow.push_back(line);
  }
  ASSERT_EQ(slow.size(), 1u);
  EXPECT_NE(slow[0].find("method=/etcdserverpb.KV/RangeStream"), std::string::npos);
}

}  // namespace
}  // namespace gavel::testing
