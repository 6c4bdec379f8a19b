// Lists and the changes after them, against a server that compacts and breaks as told.
#include <atomic>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "proto/etcdserverpb/kv.pb.h"
#include "tests/client/watch_server.h"

namespace gavel::client {
namespace {

using ::testing::ElementsAre;

using testing::Events;
using testing::MakeClient;
using testing::milliseconds;
using testing::Options;
using testing::ScriptedStreamPtr;
using testing::StreamServer;
using testing::UnusedPort;
using testing::WatchRequest;
using testing::WatchResponse;

// Lists two rows at a revision that grows by a hundred with each list, and watches as told.
class FollowServer {
 public:
  using OnWatch = std::function<void(const ScriptedStreamPtr&, const WatchRequest&)>;

  explicit FollowServer(OnWatch on_watch)
      : on_watch_(std::move(on_watch)),
        server_([this](const ScriptedStreamPtr& stream, const std::string& bytes) {
          Handle(stream, bytes);
        }) {}
  std::string target() const { return server_.target(); }
  int lists() const { return lists_; }
  // The next list breaks after its first row, because of a compaction.
  void CompactDuringNextList() { compact_ = true; }

 private:
  void Handle(const ScriptedStreamPtr& stream, const std::string& bytes) {
    if (stream->method() == "Watch") {
      WatchRequest request;
      EXPECT_TRUE(request.ParseFromString(bytes));
      if (request.has_create_request()) on_watch_(stream, request);
      return;
    }
    if (stream->method() == "Range") {
      etcdserverpb::RangeResponse response;
      response.mutable_header()->set_revision(100 * ++lists_);
      stream->Send(response);
      return stream->Finish();
    }
    etcdserverpb::RangeRequest request;
    EXPECT_TRUE(request.ParseFromString(bytes));
    for (const char* key : {"a", "b"}) {
      if (request.revision() <= compacted_) {
        return stream->Finish(grpc::StatusCode::OUT_OF_RANGE,
                              "etcdserver: mvcc: required revision has been compacted");
      }
      etcdserverpb::RangeStreamResponse chunk;
      chunk.mutable_range_response()->add_kvs()->set_key(key);
      stream->Send(chunk);
      if (compact_.exchange(false)) compacted_ = request.revision();
    }
    etcdserverpb::RangeStreamResponse last;
    last.mutable_range_response()->mutable_header()->set_revision(request.revision());
    last.mutable_range_response()->set_count(2);
    stream->Send(last);
    stream->Finish();
  }

  const OnWatch on_watch_;
  std::atomic<int> lists_ = 0;
  std::atomic<bool> compact_ = false;
  std::atomic<int64_t> compacted_ = 0;
  StreamServer server_;
};

// Takes a whole list: its keys, and the revision.
std::pair<std::string, int64_t> TakeList(Follower* follower) {
  std::string keys;
  for (bool first = true;; first = false) {
    const Result<FollowBatch> batch = follower->Next();
    if (!batch.ok()) {
      ADD_FAILURE() << batch.status().ToString();
      return {};
    }
    EXPECT_TRUE(batch->events.empty());
    if (batch->restarted) keys.clear();
    EXPECT_TRUE(batch->restarted || !first);
    for (const KeyValue& row : batch->rows) keys += row.key;
    if (batch->complete) return {keys, batch->revision};
  }
}

TEST(ClientFollowTest, ChangesBeginWhereTheListEnds) {
  FollowServer server([](const ScriptedStreamPtr& stream, const WatchRequest& request) {
    EXPECT_EQ(request.create_request().start_revision(), 101);
    stream->Send(testing::Created(request));
    stream->Send(Events(request.create_request().watch_id(), {101, 103}));
  });
  const Client client = MakeClient({server.target()});
  Follower follower = client.watch().Follow({.range = KeyRange::All()});
  EXPECT_EQ(TakeList(&follower), std::pair(std::string("ab"), int64_t{100}));
  const Result<FollowBatch> changes = follower.Next();
  ASSERT_TRUE(changes.ok());
  EXPECT_FALSE(changes->restarted);
  EXPECT_FALSE(changes->complete);
  EXPECT_EQ(changes->revision, 103);
  EXPECT_EQ(changes->events.size(), 2u);
}

// A gap is bridged by a new list, whether it opens while listing or while watching.
TEST(ClientFollowTest, AGapBeginsTheListAnew) {
  std::atomic<int> watches = 0;
  FollowServer server([&](const ScriptedStreamPtr& stream, const WatchRequest& request) {
    stream->Send(testing::Created(request));
    if (watches++ > 0) {
      stream->Send(
          Events(request.create_request().watch_id(), {request.create_request().start_revision()}));
      return;
    }
    WatchResponse compacted;
    compacted.set_watch_id(request.create_request().watch_id());
    compacted.set_canceled(true);
    compacted.set_compact_revision(150);
    stream->Send(compacted);
  });
  server.CompactDuringNextList();
  const Client client = MakeClient({server.target()});
  Follower follower = client.watch().Follow({.range = KeyRange::All()});
  EXPECT_EQ(TakeList(&follower), std::pair(std::string("ab"), int64_t{200}));
  EXPECT_EQ(TakeList(&follower), std::pair(std::string("ab"), int64_t{300}));
  const Result<FollowBatch> changes = follower.Next();
  ASSERT_TRUE(changes.ok());
  EXPECT_EQ(changes->revision, 301);
  EXPECT_EQ(server.lists(), 3);
}

TEST(ClientFollowTest, ItEndsWhenItIsTold) {
  FollowServer server([](const ScriptedStreamPtr& stream, const WatchRequest& request) {
    stream->Send(testing::Created(request));
  });
  std::optional<Client> client = MakeClient({server.target()});
  Follower follower = client->watch().Follow({.range = KeyRange::All()});
  TakeList(&follower);
  const Pending<FollowBatch> pending = follower.NextAsync();
  EXPECT_EQ(follower.Next().status().reason(), Reason::kInvalidOptions);
  follower.Cancel();
  EXPECT_EQ(pending.Get().status().reason(), Reason::kCancelled);
  EXPECT_EQ(follower.Next().status().reason(), Reason::kCancelled);

  std::stop_source stop;
  Follower stopped = client->watch().Follow({.range = KeyRange::All(), .stop = stop.get_token()});
  TakeList(&stopped);
  const Pending<FollowBatch> last = stopped.NextAsync();
  stop.request_stop();
  EXPECT_EQ(last.Get().status().reason(), Reason::kCancelled);

  Follower open = client->watch().Follow({.range = KeyRange::All()});
  TakeList(&open);
  const Pending<FollowBatch> closed = open.NextAsync();
  client.reset();
  EXPECT_EQ(closed.Get().status().reason(), Reason::kCancelled);
}

TEST(ClientFollowTest, WithoutAServerItWaitsAsLongAsItIsTold) {
  ClientOptions options = Options({"127.0.0.1:" + std::to_string(UnusedPort())});
  options.dial_timeout = milliseconds(50);
  const Client client = MakeClient(options);
  Follower impatient =
      client.watch().Follow({.range = KeyRange::All(), .unreachable_timeout = milliseconds(1)});
  EXPECT_EQ(impatient.Next().status().reason(), Reason::kNoEndpoint);
  Follower patient = client.watch().Follow({.range = KeyRange::All()});
  EXPECT_FALSE(patient.NextAsync().WaitFor(milliseconds(300)));
}

}  // namespace
}  // namespace gavel::client
