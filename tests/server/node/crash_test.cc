// Random crashes, partitions and lost frames under load: nothing acknowledged is lost, nothing is
// applied twice, no read is stale, and all members end equal.

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

#include "tests/server/node/node_cluster.h"
#include "tests/support/matchers.h"

namespace gavel::testing {
namespace {

using server::GateResult;
using server::kNsPerMs;

// What clients know about the writes they sent; each write has a key of its own.
struct Ledger {
  std::set<std::string> acknowledged;
  std::set<std::string> certainly_not;
  std::set<std::string> sent;
  storage::Revision newest_acknowledged = 0;
  int stale_reads = 0;
  int reads = 0;
};

class CrashRun {
 public:
  CrashRun(int nodes, uint64_t seed, uint64_t lag_entries_max = server::LagLimits().entries_max)
      : cluster_(nodes, seed,
                 [lag_entries_max](server::NodeOptions& options) {
                   options.apply.lag.entries_max = lag_entries_max;
                   if (lag_entries_max < 100) options.recent_bytes_max = 100;
                   options.place.wal_segment_bytes = 16 << 10;
                   options.apply.flush.entries_max = 40;
                   options.apply.catchup_entries = 10;
                   options.apply_limits.batch_entries_max = 7;
                   options.gate.request_timeout = 2000 * kNsPerMs;
                 }),
        random_(seed * 7919 + 1) {}

  // Snapshots that took the place of a member's state.
  uint64_t installs() const {
    uint64_t sum = 0;
    for (int i = 0; i < cluster_.size(); ++i) sum += cluster_.installs(i);
    return sum;
  }

  void Go(int steps) {
    cluster_.StartAll();
    cluster_.AwaitLeader();
    for (int step = 0; step < steps; ++step) {
      Work();
      Trouble();
      cluster_.Run(1 + random_.Below(30));
      RestartSome();
      if (::testing::Test::HasFatalFailure()) return;
    }
    Heal();
    Check();
  }

 private:
  int Any() { return static_cast<int>(random_.Below(static_cast<uint64_t>(cluster_.size()))); }

  void Work() {
    for (int i = 0; i < cluster_.size(); ++i) {
      if (!cluster_.running(i)) continue;
      for (uint64_t n = random_.Below(4); n > 0; --n) {
        const std::string key = absl::StrCat("k", ++keys_);
        ledger_->sent.insert(key);
        cluster_.Put(i, key, key, [ledger = ledger_, key](const server::ProposeResult& result) {
          if (result.result == GateResult::kOk) {
            ledger->acknowledged.insert(key);
            const auto& put = std::get<etcdserverpb::PutResponse>(result.outcome.response);
            ledger->newest_acknowledged =
                std::max(ledger->newest_acknowledged, put.header().revision());
          } else if (server::CertainlyNotCarriedOut(result.result)) {
            ledger->certainly_not.insert(key);
          }
        });
      }
      if (random_.OneIn(2)) {
        const storage::Revision before = ledger_->newest_acknowledged;
        cluster_.Read(i, [ledger = ledger_, before](server::ReadResult result) {
          if (result.view == nullptr) return;
          ++ledger->reads;
          if (result.view->revision < before) ++ledger->stale_reads;
        });
      }
    }
  }

  void Trouble() {
    const int index = Any();
    switch (random_.Below(12)) {
      case 0:
        if (cluster_.running(index)) {
          const CrashMode modes[] = {CrashMode::kLoseAll, CrashMode::kKeepAll,
                                     CrashMode::kTearBy512, CrashMode::kTearBy4096};
          cluster_.Crash(index, modes[random_.Below(4)]);
        }
        break;
      case 1:  // In the middle of what the disk is doing.
        if (cluster_.running(index)) {
          cluster_.disk(index).CrashAfter(random_.Below(20));
        }
        break;
      case 2:
        cluster_.SetCut(index, Any(), true);
        break;
      case 3:
        for (int a = 0; a < cluster_.size(); ++a) {
          for (int b = 0; b < cluster_.size(); ++b) cluster_.SetCut(a, b, false);
        }
        break;
      case 4:
        cluster_.SetPaused(index, true);
        break;
      case 5:
        for (int a = 0; a < cluster_.size(); ++a) cluster_.SetPaused(a, false);
        break;
      case 6:
        cluster_.SetFaults({random_.Below(20), random_.OneIn(2) ? 10u : 0u});
        break;
      case 7:
        cluster_.SetLogHeld(index, random_.OneIn(2));
        break;
      case 8:
        if (random_.OneIn(6)) {
          for (int a = 0; a < cluster_.size(); ++a) {
            if (cluster_.running(a)) cluster_.Crash(a, CrashMode::kLoseAll);
          }
        }
        break;
      default:
        break;
    }
  }

  void RestartSome() {
    for (int i = 0; i < cluster_.size(); ++i) {
      if (cluster_.running(i) && !cluster_.node(i).failure().ok()) {
        cluster_.Crash(i, CrashMode::kTearBy512);
      }
      if (!cluster_.running(i) && random_.OneIn(4)) Start(i);
    }
  }

  void Start(int index) {
    const absl::Status started = cluster_.Start(index);
    if (started.ok()) return;
    // The disk's armed crash may hit the recovery itself; nothing else may stop it.
    ASSERT_TRUE(cluster_.disk(index).crashed()) << started;
    cluster_.disk(index).Reboot(CrashMode::kTearBy512, random_);
  }

  void Heal() {
    cluster_.SetFaults({});
    for (int a = 0; a < cluster_.size(); ++a) {
      cluster_.SetPaused(a, false);
      cluster_.SetLogHeld(a, false);
      for (int b = 0; b < cluster_.size(); ++b) cluster_.SetCut(a, b, false);
      if (cluster_.running(a)) cluster_.Crash(a, CrashMode::kLoseAll);
    }
    for (int a = 0; a < cluster_.size(); ++a) {
      while (!cluster_.running(a)) {
        Start(a);
        if (::testing::Test::HasFatalFailure()) return;
      }
    }
    cluster_.AwaitLeader();
    // Whoever needs a snapshot starts again with it, which ends what asks it meanwhile.
    EXPECT_TRUE(cluster_.RunUntil([&] {
      for (int i = 0; i < cluster_.size(); ++i) {
        const raft::Status status = cluster_.gate(i).status().raft;
        if (status.commit != cluster_.gate(0).status().raft.commit ||
            cluster_.gate(i).status().applied != status.commit) {
          return false;
        }
      }
      return true;
    }));
  }

  void Check() {
    for (int i = 0; i < cluster_.size(); ++i) {
      ASSERT_EQ(cluster_.GetAndWait(i, "k1").result, GateResult::kOk);
    }
    EXPECT_EQ(ledger_->stale_reads, 0) << "of " << ledger_->reads;
    const auto view = cluster_.gate(0).view();
    for (const std::string& key : ledger_->sent) {
      const auto stored = NodeCluster::Lookup(view, key);
      if (ledger_->acknowledged.contains(key)) {
        EXPECT_TRUE(stored.has_value()) << key << " was acknowledged and is lost";
      }
      if (ledger_->certainly_not.contains(key)) {
        EXPECT_FALSE(stored.has_value()) << key << " was said not to be done, and is";
      }
      if (stored.has_value()) {
        EXPECT_EQ(stored->version, 1) << key << " was applied twice";
      }
    }
    EXPECT_TRUE(cluster_.RunUntil([this] {
      for (int i = 1; i < cluster_.size(); ++i) {
        if (cluster_.Hash(i) != cluster_.Hash(0)) return false;
      }
      return true;
    })) << "members differ";
  }

  NodeCluster cluster_;
  raft::Random random_;
  std::shared_ptr<Ledger> ledger_ = std::make_shared<Ledger>();
  int keys_ = 0;
};

class CrashTest : public ::testing::TestWithParam<uint64_t> {};

TEST_P(CrashTest, ThreeMembersKeepEveryPromise) {
  for (uint64_t seed = GetParam(); seed < GetParam() + 100; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    CrashRun(3, seed).Go(200);
    if (HasFailure()) return;
  }
}

// The log keeps so little that members which were down, cut off or paused are often brought up by
// snapshots.
TEST_P(CrashTest, SnapshotsKeepEveryPromise) {
  uint64_t installs = 0;
  for (uint64_t seed = GetParam(); seed < GetParam() + 100; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    CrashRun run(3, seed, 5);
    run.Go(200);
    installs += run.installs();
    if (HasFailure()) return;
  }
  EXPECT_GT(installs, 20u);
}

TEST_P(CrashTest, OneMemberKeepsEveryPromise) {
  for (uint64_t seed = GetParam(); seed < GetParam() + 100; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    CrashRun(1, seed).Go(100);
    if (HasFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, CrashTest, ::testing::Values(1000, 2000, 3000, 4000));

}  // namespace
}  // namespace gavel::testing
