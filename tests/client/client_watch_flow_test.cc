// Watchers that are slow, that ask for progress, and that end.
#include <algorithm>
#include <atomic>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/client/watch_server.h"

namespace gavel::client {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

using testing::Created;
using testing::Events;
using testing::MakeClient;
using testing::milliseconds;
using testing::Options;
using testing::RevisionsOf;
using testing::ScriptedStreamPtr;
using testing::WaitUntil;
using testing::WatchRequest;
using testing::WatchResponse;
using testing::WatchServer;

// --- Slow consumers ---------------------------------------------------------------------------

constexpr size_t kValue = 64 << 10;

// What a client has not taken stays with the server, apart from its buffer and the connection's.
TEST(ClientWatchFlowTest, AStreamIsNotReadWhileItsOnlyWatcherIsFull) {
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
TEST(ClientWatchFlowTest, AFullWatcherGetsAStreamOfItsOwn) {
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
TEST(ClientWatchFlowTest, ANewWatcherDoesNotWaitForAFullOne) {
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

TEST(ClientWatchFlowTest, ProgressIsAskedForUntilItComes) {
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

TEST(ClientWatchFlowTest, TimedProgressMovesTheNextRevision) {
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

TEST(ClientWatchFlowTest, ACallbackGetsEverythingAndTheEnd) {
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

TEST(ClientWatchFlowTest, EveryWayToCancelEndsNext) {
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
TEST(ClientWatchFlowTest, AClientMayEndInACallback) {
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
TEST(ClientWatchFlowTest, WaitingInACallbackIsRefused) {
  WatchServer server([](const ScriptedStreamPtr& stream, const WatchRequest& request) {
    stream->Send(Created(request));
    stream->Send(Events(request.create_request().watch_id(), {101}));
  });
  const Client client = MakeClient({server.target()});
  Watcher other = client.watch().Start({.range = "other"});
  ASSERT_THAT(RevisionsOf(other.Next()), ElementsAre(101));
  // The callback is also told of the end, when the watcher is gone.
  struct Told {
    std::promise<Reason> next;
    std::atomic<bool> once = false;
  };
  const auto told = std::make_shared<Told>();
  Watcher watcher = client.watch().Start({.range = "k"}, [told, &other](const Result<WatchBatch>&) {
    if (told->once.exchange(true)) return;
    told->next.set_value(other.Next().status().reason());
  });
  EXPECT_EQ(told->next.get_future().get(), Reason::kWouldDeadlock);
}

}  // namespace
}  // namespace gavel::client
