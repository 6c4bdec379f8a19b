// Members agree on newer rules for commands once all of them can apply those, and not before.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "server/node/semantics_driver.h"
#include "storage/state/semantics.h"
#include "tests/server/node/node_cluster.h"

namespace gavel::server {
namespace {

using raft::NodeId;
using storage::kFoundingSemantics;
using testing::CrashMode;
using ::testing::HasSubstr;
using testing::NodeCluster;

TEST(LowestSemanticsTest, IsTheLowestOfAllThatAreHeardFrom) {
  raft::Status leader;
  leader.id = NodeId(1);
  for (const uint64_t id : {1, 2, 3}) {
    leader.peers.emplace_back().id = NodeId(id);
    leader.peers.back().recently_active = true;
  }
  std::map<uint64_t, uint32_t> said = {{2, 5}, {3, 6}};
  const auto lowest = [&](uint32_t own) {
    return FindLowestSemantics(leader, own, [&](NodeId id) { return said[id.value()]; });
  };
  EXPECT_EQ(lowest(7), (LowestSemantics{NodeId(2), 5}));
  EXPECT_EQ(lowest(4), (LowestSemantics{NodeId(1), 4}));
  said[2] = 7;
  EXPECT_EQ(lowest(7), (LowestSemantics{NodeId(3), 6}));
  said[3] = 0;  // An older build, which says none.
  EXPECT_EQ(lowest(7), (LowestSemantics{NodeId(3), 0}));
  said[3] = 7;
  EXPECT_EQ(lowest(7), (LowestSemantics{NodeId(1), 7}));
  leader.peers.back().recently_active = false;
  EXPECT_EQ(lowest(7), (LowestSemantics{NodeId(3), 0}));
}

class SemanticsTest : public ::testing::Test {
 protected:
  static constexpr uint64_t kWhileMs = 5000;  // They would have agreed many times over.

  void Start(int index, uint32_t semantics_max = 0, uint32_t priority = 0) {
    cluster_.options().semantics_max = semantics_max;
    cluster_.options().leader_priority = priority;
    ASSERT_TRUE(cluster_.Start(index).ok());
  }

  // True if all that run have agreed on `version`.
  bool AgreedIs(uint32_t version) {
    for (int i = 0; i < cluster_.size(); ++i) {
      if (cluster_.running(i) && cluster_.node(i).state().semantics() != version) return false;
    }
    return true;
  }
  void ExpectAgreement() {
    EXPECT_TRUE(cluster_.RunUntil([&] { return AgreedIs(storage::SemanticsVersion()); }));
  }
  void ExpectNoAgreement() {
    cluster_.Run(kWhileMs);
    EXPECT_TRUE(AgreedIs(kFoundingSemantics));
  }
  bool PriorityIs(int index, uint32_t priority) {
    const auto members = cluster_.gate(index).members();
    for (const auto& member : *members) {
      if (member.id == cluster_.id(index)) return member.leader_priority == priority;
    }
    return false;
  }

  NodeCluster cluster_{3, 1};
};

TEST_F(SemanticsTest, OneThatHoldsBackHoldsAllBack) {
  Start(0, 0, 7);
  Start(1);
  Start(2, kFoundingSemantics);
  cluster_.AwaitLeader();
  ExpectNoAgreement();
  // What needs the newer rules waits for them; all else goes on.
  EXPECT_TRUE(PriorityIs(0, 0));
  EXPECT_EQ(cluster_.PutAndWait(0, "k", "v").result, GateResult::kOk);
  cluster_.Stop(2);
  Start(2);
  ExpectAgreement();
  EXPECT_TRUE(cluster_.RunUntil([&] { return PriorityIs(0, 7); }));
}

TEST_F(SemanticsTest, OneThatIsAwayMayBeOld) {
  Start(0);
  Start(1);
  cluster_.AwaitLeader();
  ExpectNoAgreement();
  Start(2);
  ExpectAgreement();
}

TEST_F(SemanticsTest, AnAgreementIsForGood) {
  cluster_.StartAll();
  ExpectAgreement();
  for (int i = 0; i < 3; ++i) cluster_.Crash(i, CrashMode::kLoseAll);
  for (int i = 0; i < 3; ++i) Start(i, kFoundingSemantics);
  cluster_.AwaitLeader();
  cluster_.Run(kWhileMs);
  EXPECT_TRUE(AgreedIs(storage::SemanticsVersion()));
}

TEST_F(SemanticsTest, AVersionThatThisBuildDoesNotKnowIsRefused) {
  for (const uint32_t max : {kFoundingSemantics - 1, storage::SemanticsVersion() + 1}) {
    cluster_.options().semantics_max = max;
    const absl::Status status = cluster_.Start(0);
    EXPECT_TRUE(absl::IsInvalidArgument(status));
    EXPECT_THAT(std::string(status.message()), HasSubstr("--semantics-max is"));
  }
}

}  // namespace
}  // namespace gavel::server
