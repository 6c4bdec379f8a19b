// Watchers against a server that loses, refuses, splits and stays silent as told.
#include <atomic>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "proto/etcdserverpb/watch.pb.h"
#include "tests/client/client_test_support.h"
#include "tests/client/scripted_streams.h"

namespace gavel::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

using etcdserverpb::WatchRequest;
using etcdserverpb::WatchResponse;
using testing::MakeClient;
using testing::milliseconds;
using testing::Options;
using testing::ScriptedStream;
using testing::ScriptedStreamPtr;
using testing::SilentPort;
using testing::StreamServer;
using testing::UnusedPort;

constexpr int64_t kServerRevision = 100;

WatchResponse Created(const WatchRequest& request) {
  WatchResponse response;
  response.mutable_header()->set_revision(kServerRevision);
  response.mutable_header()->set_cluster_id(7);
  response.set_watch_id(request.create_request().watch_id());
  response.set_created(true);
  return response;
}

WatchResponse Events(int64_t watch_id, const std::vector<int64_t>& revisions,
                     size_t value_size = 1) {
  WatchResponse response;
  response.set_watch_id(watch_id);
  for (const int64_t revision : revisions) {
    response.mutable_header()->set_revision(revision);
    mvccpb::KeyValue& kv = *response.add_events()->mutable_kv();
    kv.set_key("k");
    kv.set_value(std::string(value_size, 'v'));
    kv.set_mod_revision(revision);
  }
  return response;
}

// A server that notes what is asked and, unless told otherwise, says "created".
class WatchServer {
 public:
  using OnCreate = std::function<void(const ScriptedStreamPtr&, const WatchRequest&)>;

  explicit WatchServer(OnCreate on_create = nullptr, int port = 0)
      : on_create_(std::move(on_create)),
        server_([this](const ScriptedStreamPtr& stream,
                       const std::string& bytes) { Handle(stream, bytes); },
                port) {}

  std::string target() const { return server_.target(); }
  std::vector<ScriptedStreamPtr> streams() const { return server_.streams(); }
  std::vector<WatchRequest> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }
  std::vector<WatchRequest> creations() const {
    std::vector<WatchRequest> all;
    for (const WatchRequest& request : requests()) {
      if (request.has_create_request()) all.push_back(request);
    }
    return all;
  }
  std::vector<int64_t> cancelled() const {
    std::vector<int64_t> all;
    for (const WatchRequest& request : requests()) {
      if (request.has_cancel_request()) all.push_back(request.cancel_request().watch_id());
    }
    return all;
  }
  size_t progress_requests() const {
    size_t count = 0;
    for (const WatchRequest& request : requests()) count += request.has_progress_request();
    return count;
  }

 private:
  void Handle(const ScriptedStreamPtr& stream, const std::string& bytes) {
    WatchRequest request;
    EXPECT_TRUE(request.ParseFromString(bytes));
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(request);
    }
    if (!request.has_create_request()) return;
    if (on_create_) return on_create_(stream, request);
    stream->Send(Created(request));
  }

  const OnCreate on_create_;
  mutable std::mutex mutex_;
  std::vector<WatchRequest> requests_;  // Guarded by mutex_.
  StreamServer server_;
};

void WaitUntil(const std::function<bool()>& condition) {
  while (!condition()) std::this_thread::sleep_for(milliseconds(2));
}

std::vector<int64_t> RevisionsOf(const Result<WatchBatch>& batch) {
  if (!batch.ok()) {
    ADD_FAILURE() << batch.status().ToString();
    return {};
  }
  std::vector<int64_t> revisions;
  for (const WatchEvent& event : batch->events) revisions.push_back(event.kv.mod_revision);
  return revisions;
}

TEST(ClientWatchTest, WhatIsAskedForArrivesAtTheServer) {
  WatchServer server;
  const Client client = MakeClient({server.target()});
  Watcher watcher = client.watch().Start({.range = KeyRange::Between("a", "b"),
                                          .start_revision = 5,
                                          .prev_kv = true,
                                          .no_put = true,
                                          .no_delete = true,
                                          .progress_notify = true});
  EXPECT_EQ(*watcher.Created(), 5);
  const etcdserverpb::WatchCreateRequest create = server.creations()[0].create_request();
  EXPECT_EQ(create.key(), "a");
  EXPECT_EQ(create.range_end(), "b");
  EXPECT_EQ(create.start_revision(), 5);
  EXPECT_TRUE(create.prev_kv());
  EXPECT_TRUE(create.progress_notify());
  EXPECT_TRUE(create.fragment());
  EXPECT_THAT(create.filters(), ElementsAre(etcdserverpb::WatchCreateRequest::NOPUT,
                                            etcdserverpb::WatchCreateRequest::NODELETE));
  EXPECT_TRUE(server.streams()[0]->metadata().contains("hasleader"));
  Watcher patient = client.watch().Start({.range = "k", .require_leader = false});
  EXPECT_EQ(*patient.Created(), kServerRevision + 1);
  EXPECT_FALSE(server.streams()[1]->metadata().contains("hasleader"));
}

TEST(ClientWatchTest, EventsKeepTheirKind) {
  WatchServer server([](const ScriptedStreamPtr& stream, const WatchRequest& request) {
    stream->Send(Created(request));
    WatchResponse response;
    response.set_watch_id(request.create_request().watch_id());
    mvccpb::Event& put = *response.add_events();
    put.mutable_kv()->set_key("k");
    put.mutable_kv()->set_value("v");
    put.mutable_kv()->set_create_revision(101);
    put.mutable_kv()->set_mod_revision(101);
    mvccpb::Event& gone = *response.add_events();
    gone.set_type(mvccpb::Event::DELETE);
    gone.mutable_kv()->set_key("k");
    gone.mutable_kv()->set_mod_revision(102);
    gone.mutable_prev_kv()->set_value("old");
    stream->Send(response);
  });
  const Client client = MakeClient({server.target()});
  Watcher watcher = client.watch().Start({.range = "k"});
  const Result<WatchBatch> batch = watcher.Next();
  ASSERT_THAT(RevisionsOf(batch), ElementsAre(101, 102));
  EXPECT_TRUE(batch->events[0].created());
  EXPECT_EQ(batch->events[0].kv.value, "v");
  EXPECT_EQ(batch->events[0].prev_kv, std::nullopt);
  EXPECT_EQ(batch->events[1].type, EventType::kDelete);
  EXPECT_FALSE(batch->events[1].created());
  EXPECT_EQ(batch->events[1].prev_kv->value, "old");
}

// A watch from "now" begins once, whatever happens to its streams.
TEST(ClientWatchTest, ALostStreamIsTakenUpWhereItEnded) {
  std::atomic<int> life = 0;
  WatchServer server([&](const ScriptedStreamPtr& stream, const WatchRequest& request) {
    const int64_t id = request.create_request().watch_id();
    stream->Send(Created(request));
    switch (life++) {
      case 0:
        stream->Finish(grpc::StatusCode::UNAVAILABLE, "etcdserver: no leader");
        break;
      case 1: {
        stream->Send(Events(id, {102, 103}));
        WatchResponse split = Events(id, {104});
        split.set_fragment(true);
        stream->Send(split);
        stream->Finish(grpc::StatusCode::UNAVAILABLE, "Socket closed");
        break;
      }
      default:
        // It repeats what it should not.
        stream->Send(Events(id, {103, 104, 104}));
    }
  });
  const Client client = MakeClient({server.target()});
  Watcher watcher = client.watch().Start({.range = "k"});
  EXPECT_THAT(RevisionsOf(watcher.Next()), ElementsAre(102, 103));
  EXPECT_THAT(RevisionsOf(watcher.Next()), ElementsAre(104, 104));
  EXPECT_EQ(watcher.next_revision(), 105);
  std::vector<int64_t> starts;
  for (const WatchRequest& request : server.creations()) {
    starts.push_back(request.create_request().start_revision());
  }
  EXPECT_THAT(starts, ElementsAre(0, 101, 104));
}

TEST(ClientWatchTest, AnotherMemberTakesOver) {
  const auto speak = [](const ScriptedStreamPtr& stream, const WatchRequest& request) {
    const int64_t next = std::max<int64_t>(request.create_request().start_revision(), 101);
    stream->Send(Created(request));
    stream->Send(Events(request.create_request().watch_id(), {next}));
  };
  auto first = std::make_unique<WatchServer>(speak);
  WatchServer second(speak);
  Client client = MakeClient({first->target()});
  Watcher watcher = client.watch().Start({.range = "k"});
  EXPECT_THAT(RevisionsOf(watcher.Next()), ElementsAre(101));
  ASSERT_TRUE(client.SetEndpoints({first->target(), second.target()}).ok());
  first.reset();
  EXPECT_THAT(RevisionsOf(watcher.Next()), ElementsAre(102));
  EXPECT_EQ(second.creations()[0].create_request().start_revision(), 102);
}

// A member that takes the watch and says nothing is left for another.
TEST(ClientWatchTest, ASilentMemberIsLeft) {
  WatchServer silent([](const ScriptedStreamPtr&, const WatchRequest&) {});
  WatchServer other;
  ClientOptions options = Options({silent.target()});
  options.silence_timeout = milliseconds(100);
  Client client = MakeClient(options);
  Watcher watcher = client.watch().Start({.range = "k"});
  WaitUntil([&] { return !silent.creations().empty(); });
  ASSERT_TRUE(client.SetEndpoints({silent.target(), other.target()}).ok());
  EXPECT_TRUE(watcher.Created().ok());
  EXPECT_EQ(other.creations().size(), 1u);
}

TEST(ClientWatchTest, ACompactionIsToldWithItsRevision) {
  WatchServer server([](const ScriptedStreamPtr& stream, const WatchRequest& request) {
    stream->Send(Created(request));
    WatchResponse compacted;
    compacted.set_watch_id(request.create_request().watch_id());
    compacted.set_canceled(true);
    compacted.set_compact_revision(77);
    stream->Send(compacted);
  });
  const Client client = MakeClient({server.target()});
  Watcher watcher = client.watch().Start({.range = "k", .start_revision = 5});
  for (int i = 0; i < 2; ++i) {
    const Status status = watcher.Next().status();
    EXPECT_EQ(status.reason(), Reason::kCompacted);
    EXPECT_EQ(status.code(), Code::kOutOfRange);
    EXPECT_EQ(status.compact_revision(), 77);
    EXPECT_EQ(status.error_class(), ErrorClass::kRejected);
  }
  EXPECT_EQ(watcher.next_revision(), 5);
}

// Refusals end the one watcher that they are about, with the server's text.
TEST(ClientWatchTest, RefusalsEndTheWatcherOnly) {
  WatchServer server([](const ScriptedStreamPtr& stream, const WatchRequest& request) {
    const std::string& key = request.create_request().key();
    WatchResponse response = Created(request);
    if (key != "good") {
      response.set_canceled(true);
      response.set_watch_id(-1);
      response.set_cancel_reason(key);
    }
    stream->Send(response);
  });
  const Client client = MakeClient({server.target()});
  Watcher denied = client.watch().Start(
      {.range = "rpc error: code = PermissionDenied desc = etcdserver: permission denied"});
  Watcher good = client.watch().Start({.range = "good"});
  Watcher empty = client.watch().Start({.range = "mvcc: watcher range is empty"});
  Watcher other = client.watch().Start({.range = "etcdserver: some limit"});
  EXPECT_EQ(denied.Next().status().reason(), Reason::kPermissionDenied);
  EXPECT_EQ(denied.Next().status().message(), "etcdserver: permission denied");
  EXPECT_EQ(empty.Created().status().reason(), Reason::kEmptyRange);
  EXPECT_EQ(other.Next().status().reason(), Reason::kOther);
  EXPECT_EQ(other.Next().status().message(), "etcdserver: some limit");
  EXPECT_TRUE(good.Created().ok());
  EXPECT_EQ(server.streams().size(), 1u);
}

TEST(ClientWatchTest, AStreamThatIsRefusedEndsItsWatchers) {
  WatchServer server([](const ScriptedStreamPtr& stream, const WatchRequest&) {
    stream->Finish(grpc::StatusCode::UNIMPLEMENTED, "unknown service etcdserverpb.Watch");
  });
  const Client client = MakeClient({server.target()});
  Watcher watcher = client.watch().Start({.range = "k"});
  EXPECT_EQ(watcher.Next().status().reason(), Reason::kNotServed);
}

TEST(ClientWatchTest, NonsenseEndsTheWatcher) {
  WatchServer server([](const ScriptedStreamPtr& stream, const WatchRequest&) {
    stream->Send(std::string("\xff\xff\xff"));
  });
  const Client client = MakeClient({server.target()});
  Watcher watcher = client.watch().Start({.range = "k"});
  EXPECT_EQ(watcher.Next().status().reason(), Reason::kBadResponse);
}

// Revisions of one cluster say nothing about another.
TEST(ClientWatchTest, AnotherClusterEndsTheWatcher) {
  std::atomic<int> life = 0;
  WatchServer server([&](const ScriptedStreamPtr& stream, const WatchRequest& request) {
    WatchResponse created = Created(request);
    created.mutable_header()->set_cluster_id(++life);
    stream->Send(created);
    if (life == 1) stream->Finish(grpc::StatusCode::UNAVAILABLE, "gone");
  });
  const Client client = MakeClient({server.target()});
  Watcher watcher = client.watch().Start({.range = "k"});
  EXPECT_EQ(watcher.Next().status().reason(), Reason::kOtherCluster);
}

TEST(ClientWatchTest, WithoutAServerAWatcherWaitsAsLongAsItIsTold) {
  ClientOptions options = Options({"127.0.0.1:" + std::to_string(UnusedPort())});
  options.dial_timeout = milliseconds(100);
  const Client client = MakeClient(options);
  Watcher impatient = client.watch().Start({.range = "k", .unreachable_timeout = milliseconds(1)});
  const Status status = impatient.Next().status();
  EXPECT_EQ(status.reason(), Reason::kNoEndpoint);
  EXPECT_THAT(status.message(), HasSubstr("Connection refused"));
  Watcher patient = client.watch().Start({.range = "k"});
  EXPECT_FALSE(patient.NextAsync().WaitFor(milliseconds(300)));
  EXPECT_EQ(client.watch().Start({.range = "k", .endpoint = "nonsense"}).Next().status().reason(),
            Reason::kInvalidOptions);
}

TEST(ClientWatchTest, ManyWatchersShareAStreamAndItsNews) {
  WatchServer server;
  const Client client = MakeClient({server.target()});
  std::vector<Watcher> watchers;
  for (int i = 0; i < 50; ++i) watchers.push_back(client.watch().Start({.range = "k"}));
  for (Watcher& watcher : watchers) ASSERT_TRUE(watcher.Created().ok());
  ASSERT_EQ(server.streams().size(), 1u);
  const std::vector<WatchRequest> creations = server.creations();
  for (size_t i = 0; i < creations.size(); ++i) {
    server.streams()[0]->Send(
        Events(creations[i].create_request().watch_id(), {200 + static_cast<int64_t>(i)}));
  }
  for (size_t i = 0; i < watchers.size(); ++i) {
    EXPECT_THAT(RevisionsOf(watchers[i].Next()), ElementsAre(200 + static_cast<int64_t>(i)));
  }
  // One leaves; the others stay.
  const int64_t left = creations[0].create_request().watch_id();
  watchers.erase(watchers.begin());
  WaitUntil([&] { return server.cancelled().size() == 1; });
  EXPECT_THAT(server.cancelled(), ElementsAre(left));
  server.streams()[0]->Send(Events(left, {300}));  // On its way when it left.
  server.streams()[0]->Send(Events(creations[1].create_request().watch_id(), {301}));
  EXPECT_THAT(RevisionsOf(watchers[0].Next()), ElementsAre(301));
}

// --- Slow consumers ---------------------------------------------------------------------------

constexpr size_t kValue = 64 << 10;

// What a client has not taken stays with the server, apart from its buffer and the connection's.
TEST(ClientWatchTest, AStreamIsNotReadWhileItsOnlyWatcherIsFull) {
  constexpr int kMessages = 1000;
  WatchServer server([](const ScriptedStreamPtr& stream, const WatchRequest& request) {
    stream->Send(Created(request));
    for (int i = 0; i < kMessages; ++i) {
      stream->Send(Events(request.create_request().watch_id(), {101 + i}, kValue));
    }
  });
  const Client client = MakeClient({server.target()});
  Watcher watcher = client.watch().Start({.range = "k", .buffer_bytes_max = 1 << 20});
  ASSERT_TRUE(watcher.Created().ok());
  size_t sent = 0;
  WaitUntil([&] {
    std::this_thread::sleep_for(milliseconds(200));
    return std::exchange(sent, server.streams()[0]->sent()) == server.streams()[0]->sent();
  });
  // The buffer, one message more, and what gRPC lets be under way on a connection.
  EXPECT_LT(sent, kMessages / 2u);
  for (int i = 0; i < kMessages; ++i) {
    ASSERT_THAT(RevisionsOf(watcher.Next()), ElementsAre(101 + i));
  }
  EXPECT_EQ(server.creations().size(), 1u);
}

// The others on the stream do not wait for it, and it misses nothing.
TEST(ClientWatchTest, AFullWatcherGetsAStreamOfItsOwn) {
  WatchServer server([](const ScriptedStreamPtr& stream, const WatchRequest& request) {
    stream->Send(Created(request));
    if (request.create_request().key() != "slow") return;
    const int64_t start = std::max<int64_t>(request.create_request().start_revision(), 101);
    for (int64_t revision = start; revision < 201; ++revision) {
      stream->Send(Events(request.create_request().watch_id(), {revision}, kValue));
    }
  });
  const Client client = MakeClient({server.target()});
  Watcher quick = client.watch().Start({.range = "quick"});
  ASSERT_TRUE(quick.Created().ok());
  Watcher slow = client.watch().Start({.range = "slow", .buffer_bytes_max = 1 << 20});
  WaitUntil([&] { return server.cancelled().size() == 1; });
  server.streams()[0]->Send(Events(server.creations()[0].create_request().watch_id(), {150}));
  EXPECT_THAT(RevisionsOf(quick.Next()), ElementsAre(150));
  EXPECT_EQ(server.streams().size(), 1u);
  for (int64_t revision = 101; revision < 201; ++revision) {
    ASSERT_THAT(RevisionsOf(slow.Next()), ElementsAre(revision));
  }
  EXPECT_EQ(server.streams().size(), 2u);
  EXPECT_GT(server.creations()[2].create_request().start_revision(), 101);
  EXPECT_EQ(server.creations()[2].create_request().key(), "slow");
  // The shared stream goes on.
  server.streams()[0]->Send(Events(server.creations()[0].create_request().watch_id(), {151}));
  EXPECT_THAT(RevisionsOf(quick.Next()), ElementsAre(151));
}

// Newcomers do not join a stream that is not read.
TEST(ClientWatchTest, ANewWatcherDoesNotWaitForAFullOne) {
  WatchServer server([](const ScriptedStreamPtr& stream, const WatchRequest& request) {
    stream->Send(Created(request));
    if (request.create_request().key() != "slow") return;
    for (int i = 0; i < 100; ++i) {
      stream->Send(Events(request.create_request().watch_id(), {101 + i}, kValue));
    }
  });
  const Client client = MakeClient({server.target()});
  Watcher slow = client.watch().Start({.range = "slow", .buffer_bytes_max = 64});
  ASSERT_TRUE(slow.Created().ok());
  WaitUntil([&] { return slow.next_revision() > 101; });
  // Full by now, or at the next message at the latest; then the newcomer moves it out of the way.
  Watcher quick = client.watch().Start({.range = "quick"});
  EXPECT_TRUE(quick.Created().ok());
  for (int i = 0; i < 100; ++i) ASSERT_THAT(RevisionsOf(slow.Next()), ElementsAre(101 + i));
}

// --- Progress ---------------------------------------------------------------------------------

TEST(ClientWatchTest, ProgressIsAskedForUntilItComes) {
  WatchServer server;
  const Client client = MakeClient({server.target()});
  Watcher asks = client.watch().Start({.range = "k"});
  Watcher quiet = client.watch().Start({.range = "k"});
  ASSERT_TRUE(quiet.Created().ok());
  asks.RequestProgress();
  WaitUntil([&] { return server.progress_requests() >= 2; });
  WatchResponse progress;
  progress.mutable_header()->set_revision(150);
  progress.set_watch_id(-1);
  const int64_t first = server.creations()[0].create_request().watch_id();
  server.streams()[0]->Send(Events(first, {149}));
  server.streams()[0]->Send(progress);
  server.streams()[0]->Send(Events(first, {149 + 2}));
  EXPECT_THAT(RevisionsOf(asks.Next()), ElementsAre(149));
  const Result<WatchBatch> told = asks.Next();
  ASSERT_THAT(RevisionsOf(told), IsEmpty());
  EXPECT_TRUE(told->progress());
  EXPECT_EQ(told->header.revision, 150);
  EXPECT_THAT(RevisionsOf(asks.Next()), ElementsAre(151));
  server.streams()[0]->Send(Events(server.creations()[1].create_request().watch_id(), {152}));
  EXPECT_THAT(RevisionsOf(quiet.Next()), ElementsAre(152));
}

TEST(ClientWatchTest, TimedProgressMovesTheNextRevision) {
  WatchServer server([](const ScriptedStreamPtr& stream, const WatchRequest& request) {
    stream->Send(Created(request));
    WatchResponse progress;
    progress.mutable_header()->set_revision(500);
    progress.set_watch_id(request.create_request().watch_id());
    stream->Send(progress);
  });
  const Client client = MakeClient({server.target()});
  Watcher watcher = client.watch().Start({.range = "k", .progress_notify = true});
  const Result<WatchBatch> told = watcher.Next();
  ASSERT_TRUE(told.ok());
  EXPECT_TRUE(told->progress());
  EXPECT_EQ(watcher.next_revision(), 501);
}

// --- Ends ---------------------------------------------------------------------------------------

TEST(ClientWatchTest, ACallbackGetsEverythingAndTheEnd) {
  WatchServer server([](const ScriptedStreamPtr& stream, const WatchRequest& request) {
    stream->Send(Created(request));
    for (int i = 0; i < 10; ++i) {
      stream->Send(Events(request.create_request().watch_id(), {101 + i}));
    }
  });
  struct Log {
    std::mutex mutex;
    std::vector<int64_t> revisions;
    std::vector<Reason> ends;
    size_t size() {
      const std::lock_guard lock(mutex);
      return revisions.size() + ends.size();
    }
  };
  const auto log = std::make_shared<Log>();
  const Client client = MakeClient({server.target()});
  {
    Watcher watcher = client.watch().Start({.range = "k"}, [log](const Result<WatchBatch>& batch) {
      const std::lock_guard lock(log->mutex);
      if (!batch.ok()) return log->ends.push_back(batch.status().reason());
      for (const WatchEvent& event : batch->events) {
        log->revisions.push_back(event.kv.mod_revision);
      }
    });
    EXPECT_EQ(watcher.Next().status().reason(), Reason::kInvalidOptions);
    WaitUntil([&] { return log->size() == 10; });
  }
  WaitUntil([&] { return log->size() == 11; });
  EXPECT_THAT(log->revisions, ElementsAre(101, 102, 103, 104, 105, 106, 107, 108, 109, 110));
  EXPECT_THAT(log->ends, ElementsAre(Reason::kCancelled));
}

TEST(ClientWatchTest, EveryWayToCancelEndsNext) {
  WatchServer server;
  std::optional<Client> client = MakeClient({server.target()});
  Watcher by_hand = client->watch().Start({.range = "k"});
  const Pending<WatchBatch> pending = by_hand.NextAsync();
  EXPECT_EQ(by_hand.NextAsync().Get().status().reason(), Reason::kInvalidOptions);
  by_hand.Cancel();
  EXPECT_EQ(pending.Get().status().reason(), Reason::kCancelled);
  EXPECT_EQ(by_hand.Next().status().reason(), Reason::kCancelled);

  std::stop_source stop;
  Watcher by_token = client->watch().Start({.range = "k", .stop = stop.get_token()});
  const Pending<WatchBatch> stopped = by_token.NextAsync();
  stop.request_stop();
  EXPECT_EQ(stopped.Get().status().reason(), Reason::kCancelled);
  EXPECT_EQ(
      client->watch().Start({.range = "k", .stop = stop.get_token()}).Next().status().reason(),
      Reason::kCancelled);

  // A wait that is given up loses nothing.
  Watcher kept = client->watch().Start({.range = "k"});
  ASSERT_TRUE(kept.Created().ok());
  const Pending<WatchBatch> given_up = kept.NextAsync();
  given_up.Cancel();
  EXPECT_EQ(given_up.Get().status().reason(), Reason::kCancelled);
  server.streams().back()->Send(
      Events(server.creations().back().create_request().watch_id(), {150}));
  EXPECT_THAT(RevisionsOf(kept.Next()), ElementsAre(150));

  const Watch left = client->watch();
  std::atomic<int> told = 0;
  const auto count = [&](const Result<WatchBatch>& batch) {
    EXPECT_EQ(batch.status().reason(), Reason::kCancelled);
    ++told;
  };
  Watcher open = client->watch().Start({.range = "k"}, count);
  const Pending<WatchBatch> last = kept.NextAsync();
  client.reset();
  EXPECT_EQ(told, 1);
  EXPECT_TRUE(last.ready());
  EXPECT_EQ(last.Get().status().message(), "the client was closed");
  Watcher late = left.Start({.range = "k"}, count);
  EXPECT_EQ(told, 2);
  EXPECT_EQ(left.Start({.range = "k"}).Next().status().reason(), Reason::kCancelled);
}

// The client may go away in a callback of a watcher.
TEST(ClientWatchTest, AClientMayEndInACallback) {
  WatchServer server([](const ScriptedStreamPtr& stream, const WatchRequest& request) {
    stream->Send(Created(request));
    stream->Send(Events(request.create_request().watch_id(), {101}));
  });
  std::optional<Client> client = MakeClient({server.target()});
  std::atomic<bool> gone = false, ended = false;
  std::atomic<bool> ready = false;
  Watcher watcher = client->watch().Start({.range = "k"}, [&](const Result<WatchBatch>& batch) {
    if (!batch.ok()) {
      ended = true;
      return;
    }
    WaitUntil([&] { return ready.load(); });
    client.reset();
    gone = true;
  });
  ready = true;
  WaitUntil([&] { return gone && ended; });
}

// Blocking in a callback is refused.
TEST(ClientWatchTest, WaitingInACallbackIsRefused) {
  WatchServer server([](const ScriptedStreamPtr& stream, const WatchRequest& request) {
    stream->Send(Created(request));
    stream->Send(Events(request.create_request().watch_id(), {101}));
  });
  const Client client = MakeClient({server.target()});
  Watcher other = client.watch().Start({.range = "other"});
  ASSERT_THAT(RevisionsOf(other.Next()), ElementsAre(101));
  std::promise<Reason> next;
  std::atomic<bool> once = false;
  Watcher watcher = client.watch().Start({.range = "k"}, [&](const Result<WatchBatch>&) {
    if (once.exchange(true)) return;
    next.set_value(other.Next().status().reason());
  });
  EXPECT_EQ(next.get_future().get(), Reason::kWouldDeadlock);
}

}  // namespace
}  // namespace gavel::client
