// Leases against a server that answers, refuses and stays silent as told.
#include <atomic>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "proto/etcdserverpb/lease.pb.h"
#include "tests/client/client_test_support.h"
#include "tests/client/scripted_streams.h"

namespace gavel::client {
namespace {

using ::testing::ElementsAre;

using std::chrono::seconds;
using testing::MakeClient;
using testing::milliseconds;
using testing::Options;
using testing::ScriptedStreamPtr;
using testing::StreamServer;

void WaitUntil(const std::function<bool()>& condition) {
  while (!condition()) std::this_thread::sleep_for(milliseconds(2));
}

template <class Message>
Message Parse(const std::string& bytes) {
  Message message;
  EXPECT_TRUE(message.ParseFromString(bytes));
  return message;
}

// Grants every lease one second and counts what is asked. How renewals are answered can be changed.
class LeaseServer {
 public:
  // Answers a renewal, or does not.
  using Renew = std::function<void(const ScriptedStreamPtr&, int64_t)>;

  explicit LeaseServer(Renew renew = nullptr)
      : renew_(std::move(renew)),
        server_([this](const ScriptedStreamPtr& stream, const std::string& bytes) {
          Handle(stream, bytes);
        }) {}

  std::string target() const { return server_.target(); }
  size_t streams() const { return server_.streams("LeaseKeepAlive").size(); }
  std::map<int64_t, int> renewals() const {
    const std::lock_guard lock(mutex_);
    return renewals_;
  }
  std::vector<int64_t> revoked() const {
    const std::lock_guard lock(mutex_);
    return revoked_;
  }

  static void Answer(const ScriptedStreamPtr& stream, int64_t id, int64_t ttl) {
    etcdserverpb::LeaseKeepAliveResponse response;
    response.set_id(id);
    response.set_ttl(ttl);
    stream->Send(response);
  }

 private:
  void Handle(const ScriptedStreamPtr& stream, const std::string& bytes) {
    if (stream->method() == "LeaseKeepAlive") {
      const int64_t id = Parse<etcdserverpb::LeaseKeepAliveRequest>(bytes).id();
      {
        const std::lock_guard lock(mutex_);
        ++renewals_[id];
      }
      return renew_ ? renew_(stream, id) : Answer(stream, id, 1);
    }
    if (stream->method() == "LeaseGrant") {
      etcdserverpb::LeaseGrantResponse response;
      response.set_id(++last_id_);
      response.set_ttl(1);
      stream->Send(response);
    } else if (stream->method() == "LeaseRevoke") {
      const std::lock_guard lock(mutex_);
      revoked_.push_back(Parse<etcdserverpb::LeaseRevokeRequest>(bytes).id());
      stream->Send(etcdserverpb::LeaseRevokeResponse());
    }
    stream->Finish();
  }

  const Renew renew_;
  std::atomic<int64_t> last_id_ = 0;
  mutable std::mutex mutex_;
  std::map<int64_t, int> renewals_;  // Guarded by mutex_.
  std::vector<int64_t> revoked_;     // Guarded by mutex_.
  StreamServer server_;
};

// How often sessions have told that they are lost or renewed.
struct Told {
  std::atomic<int> lost = 0;
  std::atomic<int> renewed = 0;

  Result<Session> Open(const Client& client) {
    return client.lease().Open(
        {.on_lost = [this](const Status&) { ++lost; },
         .on_renewed = [this](const LeaseKeepAliveResponse&) { ++renewed; }});
  }
};

TEST(ClientLeaseTest, RequestsAndResponsesKeepTheirFields) {
  StreamServer server([](const ScriptedStreamPtr& stream, const std::string& bytes) {
    if (stream->method() == "LeaseGrant") {
      const auto request = Parse<etcdserverpb::LeaseGrantRequest>(bytes);
      etcdserverpb::LeaseGrantResponse response;
      response.mutable_header()->set_revision(5);
      response.set_id(request.id());
      response.set_ttl(request.ttl() + 1);
      stream->Send(response);
    } else if (stream->method() == "LeaseRevoke") {
      etcdserverpb::LeaseRevokeResponse response;
      response.mutable_header()->set_revision(Parse<etcdserverpb::LeaseRevokeRequest>(bytes).id());
      stream->Send(response);
    } else if (stream->method() == "LeaseTimeToLive") {
      const auto request = Parse<etcdserverpb::LeaseTimeToLiveRequest>(bytes);
      etcdserverpb::LeaseTimeToLiveResponse response;
      response.set_id(request.id());
      response.set_ttl(request.keys() ? 3 : -1);
      response.set_grantedttl(9);
      if (request.keys()) response.add_keys("k");
      stream->Send(response);
    } else if (stream->method() == "LeaseLeases") {
      etcdserverpb::LeaseLeasesResponse response;
      response.add_leases()->set_id(3);
      response.add_leases()->set_id(4);
      stream->Send(response);
    }
    stream->Finish();
  });
  const Client client = MakeClient({server.target()});
  const Lease lease = client.lease();
  const Result<LeaseGrantResponse> grant = lease.Grant({.ttl = seconds(10), .id = 77});
  ASSERT_TRUE(grant.ok()) << grant.status().ToString();
  EXPECT_EQ(grant->id, 77);
  EXPECT_EQ(grant->ttl, seconds(11));
  EXPECT_EQ(grant->header.revision, 5);
  EXPECT_EQ(lease.Revoke(8)->header.revision, 8);
  const Result<LeaseTimeToLiveResponse> left = lease.TimeToLive(6, /*keys=*/true);
  EXPECT_EQ(left->id, 6);
  EXPECT_EQ(left->remaining, seconds(3));
  EXPECT_EQ(left->granted, seconds(9));
  EXPECT_THAT(left->keys, ElementsAre("k"));
  EXPECT_TRUE(left->exists());
  EXPECT_FALSE(lease.TimeToLive(6)->exists());
  EXPECT_THAT(lease.List()->ids, ElementsAre(3, 4));
}

TEST(ClientLeaseTest, OneRenewalIsAnsweredRefusedAndRepeated) {
  std::atomic<int> to_break = 2;
  LeaseServer server([&](const ScriptedStreamPtr& stream, int64_t id) {
    if (id == 9) return;
    if (id == 3 && to_break-- > 0) {
      return stream->Finish(grpc::StatusCode::UNAVAILABLE, "etcdserver: leader changed");
    }
    if (id == 4) {
      return stream->Finish(grpc::StatusCode::PERMISSION_DENIED, "etcdserver: permission denied");
    }
    LeaseServer::Answer(stream, id, id == 2 ? 0 : 60);
  });
  const Client client = MakeClient({server.target()});
  const Lease lease = client.lease();
  EXPECT_EQ(lease.KeepAliveOnce(1)->ttl, seconds(60));
  EXPECT_EQ(lease.KeepAliveOnce(2).status().reason(), Reason::kLeaseNotFound);
  EXPECT_EQ(lease.KeepAliveOnce(2).status().message(), "etcdserver: requested lease not found");
  EXPECT_EQ(lease.KeepAliveOnce(3)->ttl, seconds(60));
  EXPECT_EQ(server.renewals()[3], 3);
  EXPECT_EQ(lease.KeepAliveOnce(4).status().reason(), Reason::kPermissionDenied);
  EXPECT_EQ(server.renewals()[4], 1);
  EXPECT_EQ(lease.KeepAliveOnce(9, {.timeout = milliseconds(50)}).status().reason(),
            Reason::kDeadline);
  EXPECT_EQ(lease.KeepAliveOnce(1, {.endpoint = server.target()}).status().reason(),
            Reason::kInvalidOptions);
  const Pending<LeaseKeepAliveResponse> pending = lease.KeepAliveOnceAsync(9);
  pending.Cancel();
  EXPECT_EQ(pending.Get().status().reason(), Reason::kCancelled);
  std::stop_source stop;
  const Pending<LeaseKeepAliveResponse> stopped =
      lease.KeepAliveOnceAsync(9, {.stop = stop.get_token()});
  stop.request_stop();
  EXPECT_EQ(stopped.Get().status().reason(), Reason::kCancelled);
  EXPECT_EQ(lease.KeepAliveOnce(1, {.stop = stop.get_token()}).status().reason(),
            Reason::kCancelled);
  EXPECT_EQ(lease.KeepAliveOnce(1)->ttl, seconds(60));
}

// They live for many TTLs, on one stream.
TEST(ClientLeaseTest, ManySessionsAreRenewedOnOneStream) {
  LeaseServer server;
  const Client client = MakeClient({server.target()});
  Told told;
  std::vector<Session> sessions;
  for (int i = 0; i < 100; ++i) {
    Result<Session> session = told.Open(client);
    ASSERT_TRUE(session.ok());
    EXPECT_EQ(session->ttl(), seconds(1));
    sessions.push_back(*std::move(session));
  }
  WaitUntil([&] { return server.renewals()[100] >= 5; });
  for (const Session& session : sessions) {
    EXPECT_TRUE(session.alive());
    EXPECT_GT(session.valid_for().count(), 0);
    EXPECT_FALSE(session.lost().stop_requested());
  }
  EXPECT_EQ(told.lost, 0);
  EXPECT_GE(told.renewed, 400);
  EXPECT_EQ(server.streams(), 1u);
  EXPECT_EQ(server.revoked().size(), 0u);
}

TEST(ClientLeaseTest, AnExistingLeaseIsTakenOver) {
  LeaseServer server;
  const Client client = MakeClient({server.target()});
  Result<Session> session = client.lease().Open({.lease = 42});
  ASSERT_TRUE(session.ok());
  EXPECT_EQ(session->lease(), 42);
  EXPECT_EQ(session->ttl(), seconds(1));
  WaitUntil([&] { return server.renewals()[42] >= 3; });
  EXPECT_TRUE(session->alive());
}

TEST(ClientLeaseTest, ALeaseThatEndedIsToldAtOnce) {
  std::atomic<bool> gone = false;
  LeaseServer server([&](const ScriptedStreamPtr& stream, int64_t id) {
    LeaseServer::Answer(stream, id, gone ? 0 : 3600);
  });
  const Client client = MakeClient({server.target()});
  std::promise<Status> told;
  // Renewed soon for the first time, since the grant is for one second.
  Result<Session> session =
      client.lease().Open({.on_lost = [&](const Status& status) { told.set_value(status); }});
  ASSERT_TRUE(session.ok());
  gone = true;
  const Status status = told.get_future().get();
  EXPECT_EQ(status.reason(), Reason::kLeaseLost);
  EXPECT_FALSE(session->alive());
  EXPECT_EQ(session->valid_for().count(), 0);
  EXPECT_TRUE(session->lost().stop_requested());
}

// Nobody answers: the clock says when the lease may have ended. It is not alive when that is told.
TEST(ClientLeaseTest, SilenceLosesTheLeaseByTheClock) {
  LeaseServer server([](const ScriptedStreamPtr&, int64_t) {});
  const Client client = MakeClient({server.target()});
  std::promise<std::pair<Status, bool>> told;
  std::optional<Session> session;
  std::promise<void> ready;
  std::shared_future<void> is_ready = ready.get_future();
  Result<Session> opened = client.lease().Open({.on_lost = [&](const Status& status) {
    is_ready.wait();
    told.set_value({status, session->alive()});
  }});
  ASSERT_TRUE(opened.ok());
  EXPECT_TRUE(opened->alive());
  session = *opened;
  ready.set_value();
  const auto [status, alive] = told.get_future().get();
  EXPECT_EQ(status.reason(), Reason::kLeaseLost);
  EXPECT_FALSE(alive);
}

// What alive() says does not depend on the client's thread.
TEST(ClientLeaseTest, AliveEndsAlsoWhileCallbacksBlock) {
  LeaseServer server;
  const Client client = MakeClient({server.target()});
  std::promise<void> go_on;
  std::shared_future<void> goes_on = go_on.get_future();
  std::atomic<bool> lost = false;
  Result<Session> session =
      client.lease().Open({.on_lost = [&](const Status&) { lost = true; },
                           .on_renewed = [&](const LeaseKeepAliveResponse&) { goes_on.wait(); }});
  ASSERT_TRUE(session.ok());
  WaitUntil([&] { return !session->alive(); });
  EXPECT_FALSE(lost);
  go_on.set_value();
  WaitUntil([&] { return lost.load(); });
  EXPECT_TRUE(session->lost().stop_requested());
}

TEST(ClientLeaseTest, ASilentMemberIsLeftBeforeTheLeaseEnds) {
  LeaseServer silent([](const ScriptedStreamPtr&, int64_t) {});
  LeaseServer other(
      [](const ScriptedStreamPtr& stream, int64_t id) { LeaseServer::Answer(stream, id, 3600); });
  Client client = MakeClient({silent.target()});
  std::atomic<bool> lost = false;
  Result<Session> session = client.lease().Open({.on_lost = [&](const Status&) { lost = true; }});
  ASSERT_TRUE(session.ok());
  ASSERT_TRUE(client.SetEndpoints({silent.target(), other.target()}).ok());
  WaitUntil([&] { return lost || other.renewals()[1] > 0; });
  WaitUntil([&] { return lost || session->ttl() == seconds(3600); });
  EXPECT_FALSE(lost);
  EXPECT_TRUE(session->alive());
}

TEST(ClientLeaseTest, ABrokenStreamIsOpenedAgainAndAsksAgain) {
  std::atomic<int> asked = 0;
  LeaseServer server([&](const ScriptedStreamPtr& stream, int64_t id) {
    if (++asked % 3 != 0) return stream->Finish(grpc::StatusCode::UNAVAILABLE, "Socket closed");
    LeaseServer::Answer(stream, id, 1);
  });
  const Client client = MakeClient({server.target()});
  Told told;
  const Result<Session> session = told.Open(client);
  ASSERT_TRUE(session.ok());
  WaitUntil([&] { return told.renewed >= 3 || told.lost > 0; });
  EXPECT_EQ(told.lost, 0);
}

// A renewal that nobody answers tells why.
TEST(ClientLeaseTest, OneRenewalTellsHowItsLastStreamEnded) {
  LeaseServer server([](const ScriptedStreamPtr& stream, int64_t) {
    stream->Finish(grpc::StatusCode::UNAVAILABLE, "etcdserver: no leader");
  });
  const Client client = MakeClient({server.target()});
  const Status status = client.lease().KeepAliveOnce(1, {.timeout = milliseconds(400)}).status();
  EXPECT_EQ(status.reason(), Reason::kNoLeader);
  EXPECT_EQ(status.error_class(), ErrorClass::kUnknown);
  EXPECT_EQ(status.endpoint(), server.target());
}

// What answers with an HTTP status is no member, and says nothing of a lease.
TEST(ClientLeaseTest, ALeaseIsNotLostToAnEndpointThatIsNoMember) {
  std::atomic<int> asked = 0;
  LeaseServer server([&](const ScriptedStreamPtr& stream, int64_t id) {
    const int turn = ++asked;
    if (turn == 2) {
      return stream->Finish(grpc::StatusCode::UNIMPLEMENTED,
                            "Received http2 header with status: 404");
    }
    LeaseServer::Answer(stream, id, turn == 1 ? 6 : 60);
  });
  const Client client = MakeClient({server.target()});
  Told told;
  const Result<Session> session = told.Open(client);
  ASSERT_TRUE(session.ok());
  WaitUntil([&] { return told.renewed >= 2 || told.lost > 0; });
  EXPECT_EQ(told.lost, 0);
  EXPECT_EQ(asked, 3);
}

TEST(ClientLeaseTest, CloseAndTheLastCopyRevokeAndStopDoesNot) {
  LeaseServer server;
  const Client client = MakeClient({server.target()});
  Result<Session> closed = client.lease().Open();
  ASSERT_TRUE(closed.ok());
  EXPECT_TRUE(closed->CloseAsync().Get().ok());
  EXPECT_THAT(server.revoked(), ElementsAre(1));
  {
    Result<Session> stopped = client.lease().Open();
    ASSERT_TRUE(stopped.ok());
    stopped->Stop();
  }
  std::optional<Session> copy;
  {
    Result<Session> dropped = client.lease().Open();
    ASSERT_TRUE(dropped.ok());
    copy = *dropped;
  }
  const int renewals = server.renewals()[3];
  WaitUntil([&] { return server.renewals()[3] > renewals; });
  EXPECT_THAT(server.revoked(), ElementsAre(1));
  copy.reset();
  WaitUntil([&] { return server.revoked().size() == 2; });
  EXPECT_THAT(server.revoked(), ElementsAre(1, 3));
  EXPECT_EQ(server.renewals()[2], 0);
}

TEST(ClientLeaseTest, TheEndOfTheClientIsALoss) {
  LeaseServer server([](const ScriptedStreamPtr&, int64_t) {});
  std::optional<Client> client = MakeClient({server.target()});
  std::atomic<int> told = 0;
  const auto on_lost = [&](const Status& status) {
    EXPECT_EQ(status.reason(), Reason::kCancelled);
    ++told;
  };
  Result<Session> session = client->lease().Open({.on_lost = on_lost});
  ASSERT_TRUE(session.ok());
  const Pending<LeaseKeepAliveResponse> once = client->lease().KeepAliveOnceAsync(5);
  const Lease left = client->lease();
  client.reset();
  EXPECT_EQ(told, 1);
  EXPECT_FALSE(session->alive());
  EXPECT_EQ(once.Get().status().reason(), Reason::kCancelled);
  EXPECT_EQ(left.KeepAliveOnce(5).status().reason(), Reason::kCancelled);
  EXPECT_EQ(left.Open().status().reason(), Reason::kCancelled);
  EXPECT_EQ(session->Close().reason(), Reason::kCancelled);
}

}  // namespace
}  // namespace gavel::client
