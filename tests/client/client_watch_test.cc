// Watchers against a server that loses, refuses, splits and stays silent as told.
#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/client/watch_server.h"

namespace gavel::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

using testing::Created;
using testing::Events;
using testing::kServerRevision;
using testing::MakeClient;
using testing::milliseconds;
using testing::Options;
using testing::RevisionsOf;
using testing::ScriptedStreamPtr;
using testing::UnusedPort;
using testing::WaitUntil;
using testing::WatchRequest;
using testing::WatchResponse;
using testing::WatchServer;

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

// What answers with an HTTP status is no member: a watcher goes past it, but does not wait for a
// member where none has ever been.
TEST(ClientWatchTest, AnEndpointThatIsNoMemberIsLeft) {
  const auto no_member = [](const ScriptedStreamPtr& stream, const WatchRequest&) {
    stream->Finish(grpc::StatusCode::UNIMPLEMENTED, "Received http2 header with status: 404");
  };
  WatchServer web(no_member);
  WatchServer server;
  EXPECT_TRUE(
      MakeClient({web.target(), server.target()}).watch().Start({.range = "k"}).Created().ok());
  const Client client = MakeClient({web.target()});
  Watcher vain = client.watch().Start({.range = "k"});
  EXPECT_EQ(vain.Next().status().reason(), Reason::kBadResponse);
  EXPECT_EQ(vain.Next().status().endpoint(), web.target());

  std::atomic<int> created = 0;
  WatchServer once([&](const ScriptedStreamPtr& stream, const WatchRequest& request) {
    const int turn = ++created;
    if (turn > 1 && turn < 5) return no_member(stream, request);
    stream->Send(Created(request));
    if (turn == 1) return stream->Finish(grpc::StatusCode::UNAVAILABLE, "Socket closed");
    stream->Send(Events(request.create_request().watch_id(), {101}));
  });
  const Client patient = MakeClient({once.target()});
  Watcher watcher = patient.watch().Start({.range = "k"});
  EXPECT_THAT(RevisionsOf(watcher.Next()), ElementsAre(101));
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

}  // namespace
}  // namespace gavel::client
