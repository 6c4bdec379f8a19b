// Members come, go and are replaced at random while nodes crash and frames are lost: what was
// acknowledged stays, and all agree in the end.

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "storage/state/membership.h"
#include "tests/server/node/node_cluster.h"
#include "tests/support/matchers.h"

namespace gavel::testing {
namespace {

using server::GateResult;
using ::testing::IsEmpty;

constexpr int kFounders = 3;
constexpr int kSpares = 8;

class MembershipChaos {
 public:
  explicit MembershipChaos(uint64_t seed)
      : cluster_(kFounders, seed, Keep, kSpares), random_(seed * 7919 + 1) {
    for (int i = 0; i < kFounders; ++i) EXPECT_OK(cluster_.Start(i));
    cluster_.AwaitLeader();
  }

  void Round() {
    cluster_.SetFaults({.delay_max_ms = 5, .drop_one_in = random_.OneIn(2) ? 50u : 0u});
    for (int i = 0; i < 6; ++i) Write();
    Ask();
    cluster_.Run(random_.Below(400));
    Crash();
    cluster_.Run(random_.Below(400));
    Tend();
  }

  // Everything is whole again: all who belong run, and what is wanted comes about.
  void End() {
    cluster_.SetFaults({});
    ASSERT_TRUE(cluster_.RunUntil(
        [&] {
          Tend();
          return Settled();
        },
        60000))
        << "it does not come to rest:" << Describe();
    const std::vector<int> members = Members();
    cluster_.Run(2000);
    for (const int member : members) {
      EXPECT_EQ(cluster_.Hash(member), cluster_.Hash(members.front()));
      EXPECT_EQ(*cluster_.gate(member).membership(), *cluster_.gate(members.front()).membership());
    }
    for (const auto& [key, value] : acknowledged_) {
      const auto stored = NodeCluster::Lookup(cluster_.gate(members.front()).view(), key);
      EXPECT_TRUE(stored.has_value() && stored->value == value) << key << " was acknowledged";
    }
    EXPECT_THAT(cluster_.failures(), IsEmpty());
    EXPECT_GT(acknowledged_.size(), 10u);
  }

  int changes() const { return *changes_; }

 private:
  static void Keep(server::NodeOptions& options) {
    options.place.wal_segment_bytes = 16 << 10;
    options.apply.flush.entries_max = 50;
    options.apply.catchup_entries = 10;
    options.recent_bytes_max = 16 << 10;
  }

  std::vector<int> Running() {
    std::vector<int> nodes;
    for (int i = 0; i < cluster_.size(); ++i) {
      if (cluster_.running(i) && !cluster_.removed(i)) nodes.push_back(i);
    }
    return nodes;
  }
  int AnyRunning() {
    const std::vector<int> nodes = Running();
    return nodes[random_.Below(nodes.size())];
  }
  // The newest membership that anybody has applied.
  std::shared_ptr<const storage::Membership> Wanted() {
    int newest = AnyRunning();
    for (const int node : Running()) {
      if (cluster_.gate(node).status().applied > cluster_.gate(newest).status().applied) {
        newest = node;
      }
    }
    return cluster_.gate(newest).membership();
  }
  // Those who are to be members, by the newest state.
  std::vector<int> Members() {
    std::vector<int> nodes;
    const auto wanted = Wanted();
    for (int i = 0; i < cluster_.size(); ++i) {
      const auto* member = std::as_const(*wanted).Find(cluster_.id(i));
      if (member != nullptr && !member->leaves) nodes.push_back(i);
    }
    return nodes;
  }

  void Write() {
    const std::string key = absl::StrCat("k", ++keys_);
    const std::string value(random_.Below(2000), 'v');
    cluster_.Put(AnyRunning(), key, value, [this, key, value](const server::ProposeResult& result) {
      if (result.result == GateResult::kOk) acknowledged_[key] = value;
    });
    cluster_.Run(random_.Below(30));
  }

  void Ask() {
    internal::ChangeMembers change;
    const std::vector<int> members = Members();
    const int some = members[random_.Below(members.size())];
    const bool few = members.size() <= 3;
    const uint64_t kind = random_.Below(10);
    const bool adds = kind < 7 && next_spare_ < cluster_.size();
    if (adds) *change.add_add() = cluster_.Added(next_spare_++, kind == 6);
    if ((adds && kind < 4) || (!adds && kind < 9 && !few)) {
      change.add_remove(cluster_.id(some).value());
    }
    if (kind == 9) change.add_promote(cluster_.id(some).value());
    if (change.ByteSizeLong() == 0) return;
    cluster_.gate(AnyRunning())
        .ChangeMembers(change, std::nullopt,
                       [changes = changes_](const server::ProposeResult& result) {
                         if (result.result == GateResult::kOk) ++*changes;
                       });
  }

  // At most one of the nodes that vote is down at a time, or the quorum could be.
  void Crash() {
    if (!random_.OneIn(2)) return;
    for (const int member : Members()) {
      if (!cluster_.running(member)) return;
    }
    const int node = AnyRunning();
    cluster_.Crash(node, random_.OneIn(2) ? CrashMode::kLoseAll : CrashMode::kTearBy512);
  }

  // Starts who should run and stops who was told to.
  void Tend() {
    for (int i = 0; i < cluster_.size(); ++i) {
      if (cluster_.running(i) && cluster_.removed(i)) {
        cluster_.Stop(i);
        continue;
      }
      if (cluster_.running(i) || cluster_.removed(i) || cluster_.id(i).is_none()) continue;
      if (!Listed(i)) continue;
      const absl::Status started = cluster_.Start(i);
      EXPECT_TRUE(started.ok() || server::IsRemovedError(started) ||
                  absl::IsFailedPrecondition(started))
          << started;
    }
  }
  bool Listed(int index) {
    for (const int node : Running()) {
      const auto members = cluster_.gate(node).members();
      for (const storage::MemberRecord& member : *members) {
        if (member.id == cluster_.id(index)) return true;
      }
    }
    return false;
  }

  bool Settled() {
    const auto wanted = Wanted();
    for (const int node : Members()) {
      if (!cluster_.running(node)) return false;
      if (*cluster_.gate(node).membership() != *wanted) return false;
      const auto configuration = cluster_.node(node).state().configuration();
      if (configuration->joint() || configuration->members.size() != wanted->members.size()) {
        return false;
      }
      for (const storage::WantedMember& member : wanted->members) {
        if (member.leaves || !member.replaced_by.is_none()) return false;
        if (configuration->Find(member.id) == nullptr) return false;
        if (configuration->IsLearner(member.id) != member.learner) return false;
      }
    }
    return true;
  }

  int IndexOf(raft::NodeId id) {
    for (int i = 0; i < cluster_.size(); ++i) {
      if (cluster_.id(i) == id) return i;
    }
    return -1;
  }
  // For whoever has to find out why.
  std::string Describe() {
    std::string text;
    for (int i = 0; i < cluster_.size(); ++i) {
      absl::StrAppend(&text, "\nm", i, cluster_.removed(i) ? " removed" : "",
                      cluster_.running(i) ? "" : " down");
      if (!cluster_.running(i)) continue;
      const raft::Status status = cluster_.gate(i).status().raft;
      absl::StrAppend(&text, " role ", static_cast<int>(status.role), " term ", status.term.value(),
                      " leader ", IndexOf(status.leader.value_or(raft::NodeId())), " log to ",
                      status.last.value(), " commit ", status.commit.value(), " applied ",
                      cluster_.gate(i).status().applied.value(), "; in force:");
      const raft::Configuration& configuration = cluster_.node(i).core().stage().configuration();
      for (const raft::MemberAddress& member : configuration.members) {
        absl::StrAppend(&text, " m", IndexOf(member.id),
                        configuration.IsLearner(member.id) ? " (learns)" : "");
      }
      absl::StrAppend(&text, configuration.joint() ? " (joint)" : "", "; wanted:");
      const auto wanted = cluster_.gate(i).membership();
      for (const storage::WantedMember& member : wanted->members) {
        absl::StrAppend(&text, " m", IndexOf(member.id), member.learner ? " (learns)" : "",
                        member.leaves ? " (leaves)" : "");
        if (!member.replaced_by.is_none()) {
          absl::StrAppend(&text, " (replaced by m", IndexOf(member.replaced_by), ")");
        }
      }
    }
    return text;
  }

  std::shared_ptr<int> changes_ = std::make_shared<int>(0);
  std::map<std::string, std::string> acknowledged_;
  NodeCluster cluster_;
  raft::Random random_;
  int next_spare_ = kFounders;
  int keys_ = 0;
};

TEST(MembershipChaosTest, NothingAcknowledgedIsLost) {
  int changes = 0;
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    MembershipChaos chaos(seed);
    for (int round = 0; round < 12; ++round) chaos.Round();
    chaos.End();
    changes += chaos.changes();
    if (::testing::Test::HasFailure()) break;
  }
  EXPECT_GT(changes, 100);
}

}  // namespace
}  // namespace gavel::testing
