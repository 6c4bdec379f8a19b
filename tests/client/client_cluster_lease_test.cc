// Leases of real members: what is granted, renewed and lost while leaders are killed.
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/client/client_cluster_support.h"

namespace gavel::client {
namespace {

using ::testing::Contains;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

using std::chrono::seconds;
using testing::ClientClusterTest;
using testing::milliseconds;

class ClusterLeaseTest : public ClientClusterTest {};

TEST_F(ClusterLeaseTest, GrantsLookUpsAndRevocations) {
  const Client client = MakeClient();
  const Lease lease = client.lease();
  const Result<LeaseGrantResponse> grant = lease.Grant({.ttl = seconds(60)});
  ASSERT_TRUE(grant.ok()) << grant.status().ToString();
  EXPECT_EQ(grant->ttl, seconds(60));
  EXPECT_EQ(lease.Grant({.ttl = seconds(0)})->ttl, seconds(2));
  EXPECT_EQ(lease.Grant({.ttl = seconds(9), .id = grant->id}).status().reason(),
            Reason::kLeaseExists);
  EXPECT_EQ(lease.Grant({.ttl = seconds(9'000'000'001)}).status().reason(),
            Reason::kLeaseTtlTooLarge);
  ASSERT_TRUE(client.kv().Put({.key = "gl/b", .value = "1", .lease = grant->id}).ok());
  ASSERT_TRUE(client.kv().Put({.key = "gl/a", .value = "1", .lease = grant->id}).ok());
  const Result<LeaseTimeToLiveResponse> left = lease.TimeToLive(grant->id, /*keys=*/true);
  ASSERT_TRUE(left.ok());
  EXPECT_GT(left->remaining.count(), 0);
  EXPECT_EQ(left->granted, seconds(60));
  EXPECT_THAT(left->keys, UnorderedElementsAre("gl/a", "gl/b"));
  EXPECT_EQ(lease.KeepAliveOnce(grant->id)->ttl, seconds(60));
  EXPECT_THAT(lease.List()->ids, Contains(grant->id));

  Watcher watcher = client.watch().Start({.range = KeyRange::Prefix("gl/")});
  ASSERT_TRUE(watcher.Created().ok());
  ASSERT_TRUE(lease.Revoke(grant->id).ok());
  const Result<WatchBatch> gone = watcher.Next();
  ASSERT_TRUE(gone.ok());
  ASSERT_EQ(gone->events.size(), 2u) << "one revision";
  EXPECT_EQ(gone->events[0].kv.key, "gl/a");
  EXPECT_EQ(gone->events[1].type, EventType::kDelete);
  EXPECT_FALSE(lease.TimeToLive(grant->id)->exists());
  EXPECT_EQ(lease.Revoke(grant->id).status().reason(), Reason::kLeaseNotFound);
  EXPECT_EQ(lease.KeepAliveOnce(grant->id).status().reason(), Reason::kLeaseNotFound);
  EXPECT_EQ(client.lease().Open({.lease = grant->id}).status().reason(), Reason::kLeaseNotFound);
}

// Sessions outlive leaders; keys of one that stops, go.
TEST_F(ClusterLeaseTest, SessionsLiveThroughDeadLeadersAndEndWhenNobodyRenews) {
  const Client client = MakeClient();
  std::atomic<int> lost = 0;
  std::vector<Session> sessions;
  for (int i = 0; i < 50; ++i) {
    Result<Session> session =
        client.lease().Open({.ttl = seconds(5), .on_lost = [&](const Status&) { ++lost; }});
    ASSERT_TRUE(session.ok()) << session.status().ToString();
    ASSERT_TRUE(
        client.kv().Put({.key = "sl/" + std::to_string(i), .lease = session->lease()}).ok());
    sessions.push_back(*std::move(session));
  }
  for (int round = 0; round < 2; ++round) KillAndRestart(client, LeadingMember(client));
  // Longer than a lease lives that nobody renews.
  Watcher watcher = client.watch().Start({.range = KeyRange::Prefix("sl/")});
  ASSERT_TRUE(watcher.Created().ok());
  EXPECT_FALSE(watcher.NextAsync().WaitFor(milliseconds(7'000)));
  EXPECT_EQ(lost, 0);
  for (const Session& session : sessions) EXPECT_TRUE(session.alive());

  sessions[7].Stop();
  Watcher after = client.watch().Start({.range = "sl/7"});
  const Result<WatchBatch> gone = after.Next();
  ASSERT_TRUE(gone.ok());
  EXPECT_EQ(gone->events[0].type, EventType::kDelete);
  EXPECT_FALSE(sessions[7].alive());
  EXPECT_EQ(lost, 0) << "it was stopped, not lost";
  ASSERT_TRUE(sessions[8].Close().ok());
  EXPECT_EQ(client.kv().Get("sl/8")->kv, std::nullopt);
  EXPECT_TRUE(client.kv().Get("sl/9")->kv.has_value());
}

// A lease that others revoke is told to whoever holds it.
TEST_F(ClusterLeaseTest, ARevokedLeaseIsLost) {
  const Client client = MakeClient();
  std::atomic<bool> lost = false;
  Result<Session> session =
      client.lease().Open({.ttl = seconds(3), .on_lost = [&](const Status& status) {
                             EXPECT_EQ(status.reason(), Reason::kLeaseLost);
                             lost = true;
                           }});
  ASSERT_TRUE(session.ok());
  EXPECT_TRUE(session->alive());
  ASSERT_TRUE(client.lease().Revoke(session->lease()).ok());
  while (!lost) std::this_thread::sleep_for(milliseconds(5));
  EXPECT_FALSE(session->alive());
  EXPECT_TRUE(session->Close().ok());
  EXPECT_THAT(client.lease().List()->ids, Not(Contains(session->lease())));
}

// Without a quorum a session ends by its own clock.
TEST_F(ClusterLeaseTest, WithoutAQuorumSessionsAreLost) {
  const Client client = MakeClient();
  std::atomic<bool> lost = false;
  Result<Session> session =
      client.lease().Open({.ttl = seconds(3), .on_lost = [&](const Status&) { lost = true; }});
  ASSERT_TRUE(session.ok());
  cluster_->Kill({0, 1});
  while (!lost) std::this_thread::sleep_for(milliseconds(5));
  EXPECT_FALSE(session->alive());
  cluster_->Start(0);
  cluster_->Start(1);
}

}  // namespace
}  // namespace gavel::client
