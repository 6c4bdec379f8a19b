// Leases in a whole cluster: what is promised over renewals, leaders that die or pause, restarts
// and storms.

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "storage/state/lease_reader.h"
#include "tests/server/node/node_cluster.h"
#include "tests/support/matchers.h"

namespace gavel::testing {
namespace {

using server::CommandField;
using server::GateResult;
using server::kNsPerMs;
using server::kNsPerSecond;
using server::MonotonicNs;

class LeaseCluster : public NodeCluster {
 public:
  using NodeCluster::NodeCluster;

  // Requires: it is carried out.
  void Propose(int index, CommandField field, const std::string& request) {
    auto done = std::make_shared<bool>(false);
    gate(index).Propose(field, request, std::nullopt, [done](server::ProposeResult result) {
      EXPECT_EQ(result.result, GateResult::kOk);
      *done = true;
    });
    EXPECT_TRUE(RunUntil([&] { return *done; }));
  }

  void Grant(int index, int64_t id, int64_t ttl_seconds) {
    Propose(index, CommandField::kLeaseGrant, GrantBytes(id, ttl_seconds));
  }
  static std::string GrantBytes(int64_t id, int64_t ttl_seconds) {
    etcdserverpb::LeaseGrantRequest grant;
    grant.set_id(id);
    grant.set_ttl(ttl_seconds);
    return grant.SerializeAsString();
  }

  void PutWith(int index, const std::string& key, int64_t lease) {
    etcdserverpb::PutRequest put;
    put.set_key(key);
    put.set_lease(lease);
    Propose(index, CommandField::kPut, put.SerializeAsString());
  }

  struct Renewed {
    GateResult result = GateResult::kStopped;
    int64_t ttl_seconds = 0;
  };
  // Not waited for; nothing while there is no answer.
  std::shared_ptr<std::optional<Renewed>> StartRenew(int index, int64_t id) {
    auto answer = std::make_shared<std::optional<Renewed>>();
    gate(index).RenewLease(id, std::nullopt, [answer](GateResult result, int64_t ttl_seconds) {
      EXPECT_FALSE(answer->has_value()) << "answered twice";
      *answer = Renewed{result, ttl_seconds};
    });
    return answer;
  }
  Renewed Renew(int index, int64_t id) {
    const auto answer = StartRenew(index, id);
    EXPECT_TRUE(RunUntil([&] { return answer->has_value(); }));
    return answer->value_or(Renewed());
  }

  std::optional<storage::LeaseRow> Row(int index, int64_t id) {
    const auto row = storage::ReadLease(*gate(index).view(), id);
    EXPECT_OK(row.status());
    return row.ok() ? *row : std::nullopt;
  }
  bool Exists(int index, int64_t id) { return Row(index, id).has_value(); }

  MonotonicNs now() { return clock().Now(); }
  // Runs until it is that late.
  void RunTo(MonotonicNs time) {
    if (time > now()) Run(static_cast<uint64_t>((time - now()) / kNsPerMs));
  }
  // When the lease has gone on node `index`.
  MonotonicNs AwaitEnd(int index, int64_t id, uint64_t ms_max = 60000) {
    EXPECT_TRUE(RunUntil([&] { return !Exists(index, id); }, ms_max));
    return now();
  }
};

// What a lease may last beyond its TTL while nothing goes wrong.
constexpr MonotonicNs kLate = 300 * kNsPerMs;

TEST(LeaseClusterTest, ALeaseEndsEverywhereWithItsKeys) {
  LeaseCluster cluster(3, 1);
  cluster.StartAll();
  const int leader = cluster.AwaitLeader();
  cluster.Grant((leader + 1) % 3, 7, 5);
  const MonotonicNs granted = cluster.now();
  cluster.PutWith((leader + 2) % 3, "a", 7);
  cluster.PutWith(leader, "b", 7);
  ASSERT_EQ(cluster.PutAndWait(leader, "c", "stays").result, GateResult::kOk);
  const storage::Revision before = cluster.gate(leader).view()->revision;
  cluster.RunTo(granted + 4900 * kNsPerMs);
  EXPECT_TRUE(cluster.Exists(leader, 7));
  EXPECT_LE(cluster.AwaitEnd(leader, 7), granted + 5 * kNsPerSecond + kLate);
  cluster.Run(100);
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(cluster.Exists(i, 7));
    EXPECT_EQ(cluster.gate(i).view()->revision, before + 1) << "one revision for both keys";
    EXPECT_EQ(cluster.GetAndWait(i, "a").value, std::nullopt);
    EXPECT_EQ(cluster.GetAndWait(i, "b").value, std::nullopt);
    EXPECT_EQ(cluster.GetAndWait(i, "c").value, "stays");
    EXPECT_EQ(cluster.Hash(i), cluster.Hash(leader));
  }
}

TEST(LeaseClusterTest, ARenewalThroughAnyMemberGivesTheWholeTtl) {
  LeaseCluster cluster(3, 2);
  cluster.StartAll();
  const int leader = cluster.AwaitLeader();
  cluster.Grant(leader, 7, 5);
  MonotonicNs sent = 0;
  for (int i = 0; i < 6; ++i) {
    cluster.Run(4000);
    sent = cluster.now();
    EXPECT_EQ(cluster.Renew(i % 3, 7).ttl_seconds, 5);
    EXPECT_EQ(cluster.Renew(i % 3, 8).ttl_seconds, 0) << "there is no such lease";
  }
  cluster.RunTo(sent + 5 * kNsPerSecond - kNsPerMs);
  EXPECT_TRUE(cluster.Exists(leader, 7));
  EXPECT_LE(cluster.AwaitEnd(leader, 7), sent + 5 * kNsPerSecond + kLate);
}

// A new leader goes on from the newest reading in its log: the time that had passed counts, and
// only the failover, up to a second more, is given on top.
TEST(LeaseClusterTest, AChangeOfTheLeaderKeepsTheRemainingTime) {
  for (uint64_t seed = 10; seed < 22; ++seed) {
    LeaseCluster cluster(3, seed);
    cluster.StartAll();
    int leader = cluster.AwaitLeader();
    const MonotonicNs sent = cluster.now();
    cluster.Grant(leader, 7, 20);
    MonotonicNs gained = 0;
    for (int change = 0; change < 3; ++change) {
      cluster.Run(3000 + cluster.random().Below(1000));
      const MonotonicNs lost = cluster.now();
      cluster.Crash(leader, CrashMode::kLoseAll);
      const int old = std::exchange(leader, cluster.AwaitLeader());
      ASSERT_TRUE(cluster.RunUntil([&] {
        const server::MemberStatus status = cluster.gate(leader).status();
        return status.applied == status.raft.last;
      }));
      gained += cluster.now() - lost + kNsPerSecond;
      ASSERT_OK(cluster.Start(old));
    }
    cluster.RunTo(sent + 20 * kNsPerSecond - kNsPerMs);
    ASSERT_TRUE(cluster.Exists(leader, 7)) << "seed " << seed;
    ASSERT_LE(cluster.AwaitEnd(leader, 7), sent + 20 * kNsPerSecond + gained + kLate)
        << "seed " << seed;
  }
}

// All members at once: deadlines and clock are in the state.
TEST(LeaseClusterTest, ARestartOfAllKeepsTheRemainingTime) {
  LeaseCluster cluster(3, 31);
  cluster.StartAll();
  int leader = cluster.AwaitLeader();
  const MonotonicNs sent = cluster.now();
  for (int64_t id = 1; id <= 300; ++id) cluster.Grant(leader, id, 20);
  const MonotonicNs last = cluster.now();
  cluster.RunTo(sent + 10 * kNsPerSecond);
  for (int i = 0; i < 3; ++i) cluster.Crash(i, CrashMode::kLoseAll);
  cluster.clock().Advance(3600 * kNsPerSecond);  // Nobody's clock counts that.
  const MonotonicNs restarted = cluster.now();
  cluster.StartAll();
  leader = cluster.AwaitLeader();
  const MonotonicNs began = cluster.now();
  cluster.RunTo(restarted + 10 * kNsPerSecond - (last - sent));
  for (int64_t id = 1; id <= 300; ++id) ASSERT_TRUE(cluster.Exists(leader, id)) << id;
  for (int64_t id = 1; id <= 300; ++id) cluster.AwaitEnd(leader, id);
  EXPECT_LE(cluster.now(), began + 11 * kNsPerSecond + (last - sent) + kLate);
}

// A leader that was stopped while others elected a new one wakes up late and finds leases due
// that were renewed meanwhile: nothing of that counts.
TEST(LeaseClusterTest, APausedLeaderEndsNothing) {
  for (uint64_t seed = 40; seed < 50; ++seed) {
    LeaseCluster cluster(3, seed);
    cluster.StartAll();
    const int old_leader = cluster.AwaitLeader();
    const int other = (old_leader + 1) % 3;
    for (int64_t id = 1; id <= 10; ++id) cluster.Grant(old_leader, id, 4);
    cluster.SetPaused(old_leader, true);
    MonotonicNs sent = 0;
    for (int i = 0; i < 4; ++i) {
      cluster.Run(500);
      sent = cluster.now();
      for (int64_t id = 1; id <= 10; ++id) {
        const auto renewed = cluster.Renew(other, id);
        ASSERT_EQ(renewed.result, GateResult::kOk) << "seed " << seed;
        ASSERT_EQ(renewed.ttl_seconds, 4) << "seed " << seed;
      }
      cluster.Run(1500);
    }
    cluster.SetPaused(old_leader, false);
    cluster.RunTo(sent + 4 * kNsPerSecond - kNsPerMs);
    for (int64_t id = 1; id <= 10; ++id) ASSERT_TRUE(cluster.Exists(other, id)) << "seed " << seed;
    for (int64_t id = 1; id <= 10; ++id) cluster.AwaitEnd(other, id);
  }
}

// A renewal that is taken in the first turn after a pause is dated by that turn, not by the last
// reading before the pause.
TEST(LeaseClusterTest, ARenewalAfterAPauseIsNotDatedBeforeIt) {
  for (const bool forwarded : {false, true}) {
    LeaseCluster cluster(forwarded ? 3 : 1, 61);
    cluster.StartAll();
    const int leader = cluster.AwaitLeader();
    const int at = forwarded ? (leader + 1) % 3 : leader;
    cluster.Grant(leader, 7, 30);
    // Too short for an election.
    const uint64_t pause_ms = forwarded ? 600 : 10000;
    cluster.SetPaused(leader, true);
    cluster.Run(pause_ms);
    const MonotonicNs sent = cluster.now();
    const auto answer = cluster.StartRenew(at, 7);
    cluster.Run(20);
    cluster.SetPaused(leader, false);
    ASSERT_TRUE(cluster.RunUntil([&] { return answer->has_value(); }));
    ASSERT_EQ((*answer)->ttl_seconds, 30);
    ASSERT_EQ(cluster.AwaitLeader(), leader);
    cluster.RunTo(sent + 30 * kNsPerSecond - kNsPerMs);
    EXPECT_TRUE(cluster.Exists(leader, 7));
    EXPECT_LE(cluster.AwaitEnd(leader, 7), sent + 30 * kNsPerSecond + kLate);
  }
}

// A renewal that is confirmed holds, however near the end it came; one that is answered with 0
// came too late for good.
TEST(LeaseClusterTest, ARenewalRacesTheEnd) {
  int held = 0;
  int late = 0;
  for (uint64_t seed = 70; seed < 80; ++seed) {
    LeaseCluster cluster(3, seed);
    cluster.StartAll();
    const int leader = cluster.AwaitLeader();
    const int at = static_cast<int>(cluster.random().Below(3));
    for (int64_t id = 1; id <= 40; ++id) cluster.Grant(leader, id, 2);
    struct Sent {
      MonotonicNs at = 0;
      std::shared_ptr<std::optional<LeaseCluster::Renewed>> answer;
    };
    std::map<int64_t, Sent> sent;
    cluster.Run(1800);
    for (int64_t id = 1; id <= 40; ++id) {
      cluster.Run(cluster.random().Below(25));
      sent[id] = {cluster.now(), cluster.StartRenew(at, id)};
    }
    ASSERT_TRUE(cluster.RunUntil([&] {
      return std::all_of(sent.begin(), sent.end(),
                         [](const auto& one) { return one.second.answer->has_value(); });
    }));
    for (const auto& [id, one] : sent) {
      const LeaseCluster::Renewed renewed = **one.answer;
      ASSERT_EQ(renewed.result, GateResult::kOk);
      if (renewed.ttl_seconds == 0) {
        ++late;
        EXPECT_FALSE(cluster.Exists(at, id)) << "seed " << seed;
        continue;
      }
      ++held;
      cluster.RunTo(one.at + 2 * kNsPerSecond - kNsPerMs);
      EXPECT_TRUE(cluster.Exists(leader, id)) << "seed " << seed << ", lease " << id;
    }
  }
  EXPECT_GT(held, 50);
  EXPECT_GT(late, 50);
}

// Renewals that wait together become one command, also on their way to the leader.
TEST(LeaseClusterTest, RenewalsThatWaitTogetherShareAnEntry) {
  LeaseCluster cluster(3, 91);
  cluster.StartAll();
  const int leader = cluster.AwaitLeader();
  for (int64_t id = 1; id <= 100; ++id) cluster.Grant(leader, id, 60);
  for (const int at : {leader, (leader + 1) % 3}) {
    const raft::Index before = cluster.gate(leader).status().raft.last;
    int answered = 0;
    for (int64_t n = 0; n < 5000; ++n) {
      const int64_t id = 1 + n % 120;
      cluster.gate(at).RenewLease(id, std::nullopt, [&, id](GateResult result, int64_t ttl) {
        EXPECT_EQ(result, GateResult::kOk);
        EXPECT_EQ(ttl, id <= 100 ? 60 : 0) << "the answer is of another lease";
        ++answered;
      });
    }
    ASSERT_TRUE(cluster.RunUntil([&] { return answered == 5000; }));
    // Two commands, of up to 4096 ids each, and readings of the clock.
    EXPECT_LE(cluster.gate(leader).status().raft.last.value(), before.value() + 4);
  }
}

// A renewal in the log of a leader that is cut off may be committed or not, and is not made again.
TEST(LeaseClusterTest, ARenewalOfUnknownOutcomeIsAnError) {
  LeaseCluster cluster(
      3, 92, [](server::NodeOptions& options) { options.gate.request_timeout = 500 * kNsPerMs; });
  cluster.StartAll();
  const int leader = cluster.AwaitLeader();
  cluster.Grant(leader, 7, 60);
  for (int other = 0; other < 3; ++other) {
    if (other != leader) cluster.SetCut(leader, other, true);
  }
  EXPECT_EQ(cluster.Renew(leader, 7).result, GateResult::kTimedOut);
}

TEST(LeaseClusterTest, WithoutALeaderARenewalIsCertainlyNotDone) {
  LeaseCluster cluster(
      3, 93, [](server::NodeOptions& options) { options.gate.request_timeout = 3000 * kNsPerMs; });
  ASSERT_OK(cluster.Start(0));
  EXPECT_EQ(cluster.Renew(0, 7).result, GateResult::kNoLeader);
}

TEST(LeaseClusterTest, AStopEndsRenewalsThatWait) {
  LeaseCluster cluster(1, 94);
  cluster.StartAll();
  cluster.AwaitLeader();
  const auto waiting = cluster.StartRenew(0, 7);
  cluster.gate(0).Stop();
  ASSERT_TRUE(waiting->has_value());
  EXPECT_EQ((*waiting)->result, GateResult::kDropped);
  const auto after = cluster.StartRenew(0, 7);
  ASSERT_TRUE(after->has_value());
  EXPECT_EQ((*after)->result, GateResult::kStopped);
}

// Without leases an idle cluster writes nothing; with one, two readings of the clock a second.
TEST(LeaseClusterTest, TheClockIsWrittenOnlyWhileThereAreLeases) {
  LeaseCluster cluster(3, 95);
  cluster.StartAll();
  const int leader = cluster.AwaitLeader();
  cluster.Run(1000);
  const auto last = [&] { return cluster.gate(leader).status().raft.last.value(); };
  const uint64_t idle = last();
  cluster.Run(5000);
  EXPECT_EQ(last(), idle);
  cluster.Grant(leader, 7, 60);
  const uint64_t granted = last();
  cluster.Run(10000);
  EXPECT_GE(last(), granted + 15);
  EXPECT_LE(last(), granted + 21);
  // Every member knows it, moved on by its own clock; a follower is told with a heartbeat.
  const auto clock_of = [&](int i) {
    return static_cast<double>(cluster.gate(i).lease_clock_ms());
  };
  for (int i = 0; i < 3; ++i) EXPECT_NEAR(clock_of(i), clock_of(leader), 120.0);
  const double before = clock_of(leader);
  cluster.Run(250);
  EXPECT_NEAR(clock_of(leader), before + 250, 15.0);
}

// 30,000 leases that are due at once end in seconds, in entries of bounded size, while writes
// go on as usual and the leader stays.
TEST(LeaseClusterTest, AStormOfExpiriesHoldsUpNothing) {
  LeaseCluster cluster(3, 96, [](server::NodeOptions& options) {
    options.gate.apply_backlog_entries_max = 1000000;
  });
  cluster.StartAll();
  const int leader = cluster.AwaitLeader();
  constexpr int64_t kLeases = 30000;
  int granted = 0;
  for (int64_t id = 1; id <= kLeases; ++id) {
    cluster.gate(leader).Propose(CommandField::kLeaseGrant, LeaseCluster::GrantBytes(id, 10),
                                 std::nullopt, [&](server::ProposeResult result) {
                                   EXPECT_EQ(result.result, GateResult::kOk);
                                   ++granted;
                                 });
    if (id % 5000 == 0) cluster.Run(1);
  }
  ASSERT_TRUE(cluster.RunUntil([&] { return granted == kLeases; }));
  const raft::Term term = cluster.gate(leader).term();
  const auto left = [&] { return cluster.node(leader).state().leases().count; };
  ASSERT_TRUE(cluster.RunUntil([&] { return left() < kLeases; }));
  const MonotonicNs began = cluster.now();
  int64_t before = left();
  MonotonicNs slowest = 0;
  while (left() > 0) {
    const MonotonicNs sent = cluster.now();
    ASSERT_EQ(cluster.PutAndWait(leader, "a", "1").result, GateResult::kOk);
    slowest = std::max(slowest, cluster.now() - sent);
    // At most two entries may have been on their way before the put.
    EXPECT_LE(before - left(), 256 * (2 + 8 * (cluster.now() - sent) / kNsPerMs));
    before = left();
    ASSERT_LT(cluster.now() - began, 3 * kNsPerSecond);
  }
  EXPECT_LT(slowest, 50 * kNsPerMs);
  EXPECT_EQ(cluster.gate(leader).term(), term);
}

// A member that starts with many leases finds them beside its other work, and ends those due.
TEST(LeaseClusterTest, AStartFindsLeasesInSteps) {
  LeaseCluster cluster(1, 97, [](server::NodeOptions& options) {
    options.gate.apply_backlog_entries_max = 1000000;
  });
  cluster.StartAll();
  cluster.AwaitLeader();
  constexpr int64_t kLeases = 20000;
  int granted = 0;
  for (int64_t id = 1; id <= kLeases; ++id) {
    cluster.gate(0).Propose(CommandField::kLeaseGrant,
                            LeaseCluster::GrantBytes(id, id % 2 == 0 ? 5 : 500), std::nullopt,
                            [&](const server::ProposeResult&) { ++granted; });
  }
  ASSERT_TRUE(cluster.RunUntil([&] { return granted == kLeases; }));
  cluster.Stop(0);
  ASSERT_OK(cluster.Start(0));
  cluster.AwaitLeader();
  EXPECT_TRUE(cluster.RunUntil(
      [&] { return cluster.node(0).state().leases().count == kLeases / 2; }, 10000));
  cluster.Run(1000);
  EXPECT_EQ(cluster.node(0).state().leases().count, kLeases / 2);
  EXPECT_EQ(cluster.node(0).core().leases().keeper().size(), static_cast<size_t>(kLeases / 2));
}

TEST(LeaseClusterTest, LeasesAreCounted) {
  LeaseCluster cluster(1, 98);
  cluster.StartAll();
  cluster.AwaitLeader();
  cluster.Grant(0, 7, 5);
  cluster.Grant(0, 8, 600);
  cluster.Grant(0, 9, 60);
  cluster.Renew(0, 8);
  etcdserverpb::LeaseRevokeRequest revoke;
  revoke.set_id(9);
  cluster.Propose(0, CommandField::kLeaseRevoke, revoke.SerializeAsString());
  cluster.AwaitEnd(0, 7);
  cluster.Run(100);
  const std::string text = cluster.MetricsText(0);
  for (const char* line :
       {"\netcd_debugging_lease_granted_total 3\n", "\netcd_debugging_lease_revoked_total 2\n",
        "\netcd_debugging_lease_renewed_total 1\n",
        "\netcd_debugging_server_lease_expired_total 1\n",
        "\netcd_debugging_lease_ttl_total_count 3\n", "\ngavel_leases 1\n"}) {
    EXPECT_THAT(text, ::testing::HasSubstr(line));
  }
}

}  // namespace
}  // namespace gavel::testing
