// Whole ranges as streams, against a server that breaks, refuses and stays silent as told.
#include <algorithm>
#include <atomic>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "proto/etcdserverpb/kv.pb.h"
#include "tests/client/client_test_support.h"
#include "tests/client/scripted_streams.h"

namespace gavel::client {
namespace {

using ::testing::IsEmpty;

using etcdserverpb::RangeRequest;
using testing::MakeClient;
using testing::milliseconds;
using testing::Options;
using testing::ScriptedStreamPtr;
using testing::StreamServer;

using Rows = std::vector<KeyValue>;

// A store of the keys "00" to "99" at revision 50.
class RangeServer {
 public:
  // Does something else with a stream than to answer it; true if it did.
  using Instead = std::function<bool(const ScriptedStreamPtr&, const RangeRequest&)>;

  explicit RangeServer(Instead instead = nullptr)
      : instead_(std::move(instead)),
        server_([this](const ScriptedStreamPtr& stream, const std::string& bytes) {
          Handle(stream, bytes);
        }) {}

  std::string target() const { return server_.target(); }
  std::vector<RangeRequest> requests(const std::string& method) const {
    const std::lock_guard lock(mutex_);
    std::vector<RangeRequest> of_method;
    for (const auto& [name, request] : requests_) {
      if (name == method) of_method.push_back(request);
    }
    return of_method;
  }
  std::vector<ScriptedStreamPtr> streams() const { return server_.streams("RangeStream"); }

  // Sends the rows of a request from its first key on, five in a chunk, `chunks` of them at most;
  // true if those were all.
  static bool SendRows(const ScriptedStreamPtr& stream, const RangeRequest& request, int chunks) {
    const std::vector<std::string> keys = KeysOf(request);
    for (size_t i = 0; i < keys.size(); i += 5) {
      if (chunks-- == 0) return false;
      etcdserverpb::RangeStreamResponse chunk;
      for (size_t row = i; row < std::min(i + 5, keys.size()); ++row) {
        chunk.mutable_range_response()->add_kvs()->set_key(keys[row]);
      }
      stream->Send(chunk);
    }
    return true;
  }
  // Counts the rows from the request's first key on.
  static void SendEnd(const ScriptedStreamPtr& stream, RangeRequest request) {
    request.set_limit(0);
    etcdserverpb::RangeStreamResponse last;
    last.mutable_range_response()->mutable_header()->set_revision(50);
    last.mutable_range_response()->set_count(static_cast<int64_t>(KeysOf(request).size()));
    stream->Send(last);
    stream->Finish();
  }

 private:
  static std::vector<std::string> KeysOf(const RangeRequest& request) {
    std::vector<std::string> keys;
    for (int i = 0; i < 100; ++i) {
      const std::string key = {static_cast<char>('0' + i / 10), static_cast<char>('0' + i % 10)};
      if (key >= request.key()) keys.push_back(key);
    }
    if (request.limit() > 0 && keys.size() > static_cast<size_t>(request.limit())) {
      keys.resize(request.limit());
    }
    return keys;
  }

  void Handle(const ScriptedStreamPtr& stream, const std::string& bytes) {
    RangeRequest request;
    EXPECT_TRUE(request.ParseFromString(bytes));
    {
      const std::lock_guard lock(mutex_);
      requests_.emplace_back(stream->method(), request);
    }
    if (stream->method() == "RangeStream") {
      if (instead_ && instead_(stream, request)) return;
      SendRows(stream, request, 1000);
      return SendEnd(stream, request);
    }
    etcdserverpb::RangeResponse response;
    response.mutable_header()->set_revision(50);
    response.set_count(100);
    if (!request.count_only()) {
      const std::vector<std::string> keys = KeysOf(request);
      for (const std::string& key : keys) response.add_kvs()->set_key(key);
      response.set_more(!keys.empty() && keys.back() != "99");
    }
    stream->Send(response);
    stream->Finish();
  }

  const Instead instead_;
  mutable std::mutex mutex_;
  std::vector<std::pair<std::string, RangeRequest>> requests_;  // Guarded by mutex_.
  StreamServer server_;
};

std::string KeysOf(const Rows& rows) {
  std::string keys;
  for (const KeyValue& row : rows) keys += row.key;
  return keys;
}

std::string AllKeys() {
  std::string keys;
  for (int i = 0; i < 100; ++i) {
    keys += {static_cast<char>('0' + i / 10), static_cast<char>('0' + i % 10)};
  }
  return keys;
}

// Everything that is left.
std::string ReadAll(RangeStream* rows) {
  std::string keys;
  while (!rows->done()) {
    const Result<Rows> chunk = rows->Next();
    if (!chunk.ok()) {
      ADD_FAILURE() << chunk.status().ToString();
      break;
    }
    keys += KeysOf(*chunk);
  }
  return keys;
}

TEST(ClientRangeStreamTest, ARangeComesInChunksAtOneRevision) {
  RangeServer server;
  const Client client = MakeClient({server.target()});
  RangeStream rows = client.kv().Stream({.range = KeyRange::From("0")});
  EXPECT_EQ(rows.revision(), 0);
  const Result<Rows> first = rows.Next();
  ASSERT_TRUE(first.ok()) << first.status().ToString();
  EXPECT_EQ(KeysOf(*first), "0001020304");
  EXPECT_EQ(rows.revision(), 50);
  EXPECT_TRUE(rows.streamed());
  EXPECT_EQ("0001020304" + ReadAll(&rows), AllKeys());
  EXPECT_EQ(rows.count(), 100);
  EXPECT_THAT(*rows.Next(), IsEmpty());
  ASSERT_EQ(server.requests("RangeStream").size(), 1u);
  EXPECT_EQ(server.requests("RangeStream")[0].revision(), 50);
  // A revision that is given needs no other call.
  RangeStream past = client.kv().Stream({.range = KeyRange::From("5"), .revision = 40});
  EXPECT_EQ(ReadAll(&past).size(), 100u);
  EXPECT_EQ(server.requests("Range").size(), 1u);
  EXPECT_EQ(server.requests("RangeStream")[1].revision(), 40);
}

// Rows come once, at the same revision, over streams that break anywhere, and all are counted.
TEST(ClientRangeStreamTest, ABrokenStreamGoesOnAfterItsLastRow) {
  std::atomic<int> chunks = 0;
  RangeServer server([&](const ScriptedStreamPtr& stream, const RangeRequest& request) {
    if (RangeServer::SendRows(stream, request, chunks++)) {
      RangeServer::SendEnd(stream, request);
      return true;
    }
    stream->Finish(grpc::StatusCode::UNAVAILABLE, "Socket closed");
    return true;
  });
  const Client client = MakeClient({server.target()});
  RangeStream rows = client.kv().Stream({.range = KeyRange::From("0")});
  EXPECT_EQ(ReadAll(&rows), AllKeys());
  EXPECT_EQ(rows.count(), 100);
  EXPECT_GT(server.requests("RangeStream").size(), 3u);
  for (const RangeRequest& request : server.requests("RangeStream")) {
    EXPECT_EQ(request.revision(), 50);
  }
}

TEST(ClientRangeStreamTest, ALimitIsForAllStreamsTogether) {
  std::atomic<int> lives = 0;
  RangeServer server([&](const ScriptedStreamPtr& stream, const RangeRequest& request) {
    const bool all = RangeServer::SendRows(stream, request, ++lives == 1 ? 2 : 1000);
    EXPECT_EQ(all, lives != 1);
    stream->Finish(grpc::StatusCode::UNAVAILABLE, "Socket closed");
    return true;
  });
  const Client client = MakeClient({server.target()});
  RangeStream rows = client.kv().Stream({.range = KeyRange::From("0"), .limit = 15});
  EXPECT_EQ(ReadAll(&rows), AllKeys().substr(0, 30));
  ASSERT_EQ(server.requests("RangeStream").size(), 2u);
  EXPECT_EQ(server.requests("RangeStream")[1].limit(), 5);
}

TEST(ClientRangeStreamTest, AServerWithoutItIsAskedForPages) {
  RangeServer server([](const ScriptedStreamPtr& stream, const RangeRequest&) {
    stream->Finish(grpc::StatusCode::UNIMPLEMENTED,
                   "unknown method RangeStream for service etcdserverpb.KV");
    return true;
  });
  const Client client = MakeClient({server.target()});
  RangeStream rows = client.kv().Stream({.range = KeyRange::From("0")});
  EXPECT_EQ(ReadAll(&rows), AllKeys());
  EXPECT_FALSE(rows.streamed());
  EXPECT_EQ(rows.count(), 100);
  EXPECT_EQ(server.requests("Range").back().revision(), 50);
}

// Nor does what is no member end a stream for which there are members.
TEST(ClientRangeStreamTest, AnEndpointThatIsNoMemberIsLeft) {
  RangeServer web([](const ScriptedStreamPtr& stream, const RangeRequest&) {
    stream->Finish(grpc::StatusCode::UNIMPLEMENTED, "Received http2 header with status: 404");
    return true;
  });
  RangeServer server([](const ScriptedStreamPtr&, const RangeRequest&) { return false; });
  const Client client = MakeClient({web.target(), server.target()});
  RangeStream rows = client.kv().Stream({.range = KeyRange::From("0")});
  EXPECT_EQ(ReadAll(&rows), AllKeys());
}

TEST(ClientRangeStreamTest, RefusalsMoveNothing) {
  std::atomic<int> lives = 0;
  RangeServer server([&](const ScriptedStreamPtr& stream, const RangeRequest& request) {
    if (++lives > 2) return false;
    if (lives == 1) RangeServer::SendRows(stream, request, 1);
    stream->Finish(grpc::StatusCode::OUT_OF_RANGE,
                   "etcdserver: mvcc: required revision has been compacted");
    return true;
  });
  const Client client = MakeClient({server.target()});
  RangeStream rows = client.kv().Stream({.range = KeyRange::From("0")});
  EXPECT_EQ(KeysOf(*rows.Next()), "0001020304");
  for (int i = 0; i < 2; ++i) {
    const Result<Rows> chunk = rows.Next();
    if (chunk.ok()) break;  // The second answer came before it was asked for.
    EXPECT_EQ(chunk.status().reason(), Reason::kCompacted);
    EXPECT_EQ(rows.next_key(), std::string("04\0", 3));
  }
  EXPECT_EQ(client.kv()
                .Stream(client::RangeRequest{.range = "a", .count_only = true})
                .Next()
                .status()
                .reason(),
            Reason::kInvalidOptions);
  EXPECT_EQ(client.kv()
                .Stream(client::RangeRequest{.range = "a", .sort_order = SortOrder::kDescend})
                .Next()
                .status()
                .reason(),
            Reason::kInvalidOptions);
}

// What is not taken stays with the server.
TEST(ClientRangeStreamTest, ChunksWaitAtTheServer) {
  constexpr size_t kChunks = 1000;
  RangeServer server([](const ScriptedStreamPtr& stream, const RangeRequest& request) {
    for (size_t i = 0; i < kChunks; ++i) {
      etcdserverpb::RangeStreamResponse chunk;
      mvccpb::KeyValue& kv = *chunk.mutable_range_response()->add_kvs();
      kv.set_key(request.key() + std::to_string(10'000 + i));
      kv.set_value(std::string(64 << 10, 'v'));
      stream->Send(chunk);
    }
    RangeServer::SendEnd(stream, request);
    return true;
  });
  const Client client = MakeClient({server.target()});
  RangeStream rows = client.kv().Stream({.range = KeyRange::From("0")});
  ASSERT_TRUE(rows.Next().ok());
  size_t sent = 0;
  do {
    sent = server.streams()[0]->sent();
    std::this_thread::sleep_for(milliseconds(200));
  } while (sent != server.streams()[0]->sent());
  EXPECT_LT(sent, kChunks / 2);
  EXPECT_EQ(ReadAll(&rows).size(), (kChunks - 1) * 6);
}

TEST(ClientRangeStreamTest, ASilentMemberIsLeftAndTimeIsUp) {
  RangeServer silent([](const ScriptedStreamPtr&, const RangeRequest&) { return true; });
  RangeServer other;
  ClientOptions options = Options({silent.target()});
  options.silence_timeout = milliseconds(100);
  Client client = MakeClient(options);
  RangeStream rows =
      client.kv().Stream({.range = KeyRange::From("0")}, {.timeout = milliseconds(300)});
  const Result<Rows> late = rows.Next();
  EXPECT_EQ(late.status().reason(), Reason::kDeadline) << late.status().ToString();
  ASSERT_TRUE(client.SetEndpoints({silent.target(), other.target()}).ok());
  RangeStream again = client.kv().Stream({.range = KeyRange::From("0")});
  EXPECT_EQ(ReadAll(&again), AllKeys());
}

TEST(ClientRangeStreamTest, EveryWayToEndIsTold) {
  RangeServer silent([](const ScriptedStreamPtr&, const RangeRequest&) { return true; });
  std::optional<Client> client = MakeClient({silent.target()});
  std::stop_source stop;
  RangeStream stopped =
      client->kv().Stream({.range = KeyRange::From("0")}, {.stop = stop.get_token()});
  const Pending<Rows> pending = stopped.NextAsync();
  EXPECT_EQ(stopped.Next().status().reason(), Reason::kInvalidOptions);
  stop.request_stop();
  EXPECT_EQ(pending.Get().status().reason(), Reason::kCancelled);
  EXPECT_EQ(stopped.Next().status().reason(), Reason::kCancelled);
  RangeStream kept = client->kv().Stream({.range = KeyRange::From("0")});
  const Pending<Rows> cancelled = kept.NextAsync();
  cancelled.Cancel();
  EXPECT_EQ(cancelled.Get().status().reason(), Reason::kCancelled);
  const Pending<Rows> last = kept.NextAsync();
  const Pending<Rows> dropped =
      RangeStream(client->kv().Stream({.range = KeyRange::From("0")})).NextAsync();
  EXPECT_EQ(dropped.Get().status().reason(), Reason::kCancelled);
  while (silent.streams().empty()) std::this_thread::yield();
  client.reset();
  EXPECT_TRUE(last.ready());
  EXPECT_EQ(last.Get().status().reason(), Reason::kCancelled);
  EXPECT_EQ(kept.Next().status().reason(), Reason::kCancelled);
}

}  // namespace
}  // namespace gavel::client
