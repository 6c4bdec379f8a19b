// Watches over sockets: the front, its threads, the services and a member's threads.

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

#include "proto/etcdserverpb/watch.pb.h"
#include "server/rpc/client_services.h"
#include "tests/server/rpc/front_client.h"
#include "tests/server/rpc/test_gate.h"
#include "tests/server/rpc/watch_caller.h"

namespace gavel::testing {
namespace {

using etcdserverpb::WatchCreateRequest;
using etcdserverpb::WatchRequest;
using etcdserverpb::WatchResponse;

class RpcWatchFrontTest : public ::testing::Test {
 protected:
  void Serve(server::Http2FrontOptions options = {}) {
    fixture_ = std::make_unique<FrontFixture>(services_.router(), options);
  }
  std::unique_ptr<ClientStream> Open() {
    return std::make_unique<ClientStream>(fixture_->NewChannel(), kWatchMethod);
  }
  static std::string Create(const WatchCreateRequest& create) {
    WatchRequest request;
    *request.mutable_create_request() = create;
    return request.SerializeAsString();
  }
  static WatchResponse Read(ClientStream& stream) {
    std::string bytes;
    WatchResponse response;
    EXPECT_TRUE(stream.Read(&bytes));
    EXPECT_TRUE(response.ParseFromString(bytes));
    return response;
  }
  template <class Condition>
  static bool Eventually(Condition condition) {
    for (int i = 0; i < 5000 && !condition(); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return condition();
  }
  server::WatchCounts counts() { return gate_.watches().counts(); }

  TestGate gate_{TestGate::Mode::kThread};
  server::Metrics metrics_;
  server::ClientServices services_{gate_, metrics_, {}};
  std::unique_ptr<FrontFixture> fixture_;
};

TEST_F(RpcWatchFrontTest, EventsOfAllSizesArriveWholeAndInOrder) {
  server::Http2FrontOptions options;
  options.io_threads = 2;
  Serve(options);
  std::vector<std::unique_ptr<ClientStream>> streams;
  constexpr int kWatchers = 20;
  for (int i = 0; i < 3; ++i) {
    streams.push_back(Open());
    for (int j = 0; j < kWatchers; ++j) {
      WatchCreateRequest create = WatchCaller::Request("k", j % 2 == 0 ? "l" : "");
      create.set_prev_kv(j % 3 == 0);
      ASSERT_TRUE(streams.back()->Write(Create(create)));
      EXPECT_TRUE(Read(*streams.back()).created());
    }
  }
  const std::vector<size_t> sizes = {0, 10, 1000, 1100, 3000, 20000, 70000, 300000, 5};
  for (const size_t size : sizes) gate_.Fill("k", std::string(size, 'v'));
  for (const auto& stream : streams) {
    std::map<int64_t, size_t> events;
    for (size_t left = kWatchers * sizes.size(); left > 0;) {
      const WatchResponse response = Read(*stream);
      for (const mvccpb::Event& event : response.events()) {
        size_t& seen = events[response.watch_id()];
        ASSERT_EQ(event.kv().mod_revision(), static_cast<int64_t>(2 + seen));
        ASSERT_EQ(event.kv().value().size(), sizes[seen]);
        const bool with_previous = response.watch_id() % 3 == 0 && seen > 0;
        ASSERT_EQ(event.has_prev_kv(), with_previous);
        if (with_previous) {
          ASSERT_EQ(event.prev_kv().value().size(), sizes[seen - 1]);
        }
        ++seen;
        --left;
      }
    }
  }
}

TEST_F(RpcWatchFrontTest, ItGoesOnWhenTheClientHasSaidAll) {
  Serve();
  const auto stream = Open();
  ASSERT_TRUE(stream->Write(Create(WatchCaller::Request("k"))));
  ASSERT_TRUE(stream->HalfClose());
  EXPECT_TRUE(Read(*stream).created());
  gate_.Fill("k", "1");
  EXPECT_EQ(Read(*stream).events_size(), 1);
}

TEST_F(RpcWatchFrontTest, WhatAClientDoesNotReadIsNotKeptForIt) {
  server::Http2FrontOptions options;
  options.stream_high_mark = 200000;
  Serve(options);
  const auto slow = Open();
  const auto fast = Open();
  for (ClientStream* stream : {slow.get(), fast.get()}) {
    ASSERT_TRUE(stream->Write(Create(WatchCaller::Request("k"))));
    EXPECT_TRUE(Read(*stream).created());
  }
  constexpr int kPuts = 1500;
  const auto read_all = [](ClientStream& stream) {
    int64_t next = 2;
    while (next < kPuts + 2) {
      const WatchResponse response = Read(stream);
      for (const mvccpb::Event& event : response.events()) {
        ASSERT_EQ(event.kv().mod_revision(), next++);
      }
      if (::testing::Test::HasFailure()) return;
    }
  };
  std::thread reader([&] { read_all(*fast); });
  for (int i = 0; i < kPuts; ++i) gate_.Fill("k", std::string(10000, 'v'));
  reader.join();
  EXPECT_TRUE(Eventually([&] { return counts().catching_up == 1; }));
  read_all(*slow);
  EXPECT_TRUE(Eventually([&] { return counts().catching_up == 0; }));
}

// G-6: nothing is left of clients that go without a word.
TEST_F(RpcWatchFrontTest, ClientsThatGoLeaveNothingBehind) {
  Serve();
  for (int round = 0; round < 3; ++round) {
    std::vector<std::unique_ptr<ClientStream>> streams;
    for (int i = 0; i < 20; ++i) {
      streams.push_back(Open());
      for (int j = 0; j < 50; ++j) {
        ASSERT_TRUE(streams.back()->Write(Create(WatchCaller::Request("k"))));
      }
      for (int j = 0; j < 50; ++j) Read(*streams.back());
    }
    EXPECT_EQ(counts().watchers, 1000u);
    gate_.Fill("k", std::string(1000, 'v'));
    streams.clear();
    EXPECT_TRUE(Eventually([&] { return counts().streams == 0; }));
    EXPECT_EQ(counts().watchers, 0u);
    EXPECT_EQ(counts().pending_events, 0u);
  }
}

TEST_F(RpcWatchFrontTest, AServerThatStopsSaysSo) {
  Serve();
  const auto stream = Open();
  ASSERT_TRUE(stream->Write(Create(WatchCaller::Request("k"))));
  EXPECT_TRUE(Read(*stream).created());
  fixture_->front->Shutdown(server::kNsPerSecond);
  std::string bytes;
  EXPECT_FALSE(stream->Read(&bytes));
  EXPECT_EQ(stream->Finish().error_message(), "etcdserver: server stopped");
  EXPECT_EQ(counts().watchers, 0u);
}

}  // namespace
}  // namespace gavel::testing
