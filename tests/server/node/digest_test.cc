// Members whose states differ are found, and it is said which one it is.

#include "server/node/digest_driver.h"

#include <algorithm>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "storage/mvcc/record.h"
#include "storage/state/alarms.h"
#include "tests/server/node/node_cluster.h"
#include "tests/support/matchers.h"

namespace gavel::server {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr char kDiffers[] = "the state of a member differs from what most members have";

storage::DigestReport Say(uint64_t member, uint64_t mark, uint32_t digest) {
  return {raft::NodeId(member), {raft::Index(mark), digest}};
}

TEST(DigestTallyTest, NamesWhoDiffersFromMostVoters) {
  const std::vector<raft::NodeId> voters = {raft::NodeId(1), raft::NodeId(2), raft::NodeId(3)};
  DigestTally tally;
  EXPECT_TRUE(tally.Add(Say(1, 5, 10)));
  EXPECT_FALSE(tally.Disagree(raft::Index(5)));
  EXPECT_TRUE(tally.Add(Say(2, 5, 11)));
  EXPECT_TRUE(tally.Disagree(raft::Index(5)));
  EXPECT_THAT(tally.Differing(raft::Index(5), voters), IsEmpty()) << "one against one";
  EXPECT_TRUE(tally.Add(Say(3, 5, 11)));
  EXPECT_FALSE(tally.Add(Say(3, 5, 10))) << "who has spoken has spoken";
  EXPECT_THAT(tally.Differing(raft::Index(5), voters), ElementsAre(raft::NodeId(1)));
  EXPECT_THAT(tally.Differing(raft::Index(6), voters), IsEmpty());
}

TEST(DigestTallyTest, LearnersAreNamedButDoNotCount) {
  const std::vector<raft::NodeId> voters = {raft::NodeId(1), raft::NodeId(2), raft::NodeId(3)};
  DigestTally tally;
  for (uint64_t learner = 4; learner < 8; ++learner) tally.Add(Say(learner, 5, 9));
  tally.Add(Say(1, 5, 10));
  EXPECT_THAT(tally.Differing(raft::Index(5), voters), IsEmpty());
  tally.Add(Say(2, 5, 10));
  EXPECT_EQ(tally.Differing(raft::Index(5), voters).size(), 4u);
}

TEST(DigestTallyTest, KeepsNoMoreThanItMust) {
  DigestTally tally;
  for (uint64_t mark = 1; mark <= 100; ++mark) {
    tally.Add(Say(1, mark, 1));
    tally.Add(Say(2, mark, 2));
  }
  EXPECT_FALSE(tally.Disagree(raft::Index(1)));
  EXPECT_TRUE(tally.Disagree(raft::Index(100)));
}

class DigestTest : public ::testing::Test {
 protected:
  DigestTest()
      : cluster_(3, 17, [](NodeOptions& options) { options.digest_interval = kNsPerSecond; }) {
    cluster_.StartAll();
    cluster_.AwaitLeader();
  }

  // The newest version of "a" on node `index` becomes another one, as if an entry had been carried
  // out twice there.
  void Damage(int index) {
    const auto view = cluster_.gate(index).view();
    cluster_.Stop(index);
    const storage::ChangeId id{view->revision, 0};
    storage::Version version;
    version.id = id;
    version.create = id.main;
    version.version = 2;
    version.value = "1";
    std::string row;
    storage::AppendVersionRecord(version, &row);
    storage::WriteBatch batch;
    batch.Put(storage::Family::kVersions, storage::VersionKey("a", id), row);
    ASSERT_OK(cluster_.engine(index).Write(batch));
    ASSERT_OK(cluster_.engine(index).Flush());
    ASSERT_OK(cluster_.Start(index));
    cluster_.AwaitLeader();
  }

  bool Named() const {
    const auto& errors = cluster_.errors();
    return std::find(errors.begin(), errors.end(), kDiffers) != errors.end();
  }

  void FindsIt(bool leader) {
    const int writer = *cluster_.Leader();
    ASSERT_EQ(cluster_.PutAndWait(writer, "a", "1").result, GateResult::kOk);
    ASSERT_TRUE(cluster_.RunUntil([&] {
      return cluster_.Hash(0) == cluster_.Hash(1) && cluster_.Hash(1) == cluster_.Hash(2);
    }));
    const int damaged = (writer + 1) % 3;
    Damage(damaged);
    if (leader) {
      cluster_.gate(*cluster_.Leader())
          .MoveLeader(cluster_.gate(damaged).member_id(), std::nullopt, [](GateResult) {});
      ASSERT_TRUE(cluster_.RunUntil([&] { return cluster_.Leader() == damaged; }));
    }
    cluster_.Run(3000);
    EXPECT_FALSE(Named()) << "no entry has met the row";
    ASSERT_EQ(cluster_.PutAndWait(*cluster_.Leader(), "a", "2").result, GateResult::kOk);
    ASSERT_TRUE(cluster_.RunUntil([&] { return Named(); }, 10000));
    for (int i = 0; i < 3; ++i) {
      EXPECT_TRUE(cluster_.RunUntil([&] {
        return cluster_.MetricsText(i).find("gavel_members_differing 1") != std::string::npos;
      })) << i;
    }
    EXPECT_EQ(cluster_.failures().size(), 0u);
    // Until an operator has looked, nothing is written.
    ASSERT_TRUE(cluster_.RunUntil([&] {
      const auto limits = cluster_.gate(0).limits();
      return storage::HasAlarm(limits->alarms, storage::kAlarmCorrupt);
    }));
    const auto limits = cluster_.gate(0).limits();
    ASSERT_EQ(limits->alarms.size(), 1u);
    EXPECT_EQ(limits->alarms[0].member, cluster_.gate(damaged).member_id());
    const ProposeResult refused = cluster_.PutAndWait(*cluster_.Leader(), "b", "1");
    EXPECT_EQ(refused.result, GateResult::kRefused);
    EXPECT_EQ(refused.outcome.error, storage::RequestError::kCorrupt);
    // Nor is anything repeated as long as nothing is new.
    cluster_.Run(5000);
    const raft::Index applied = cluster_.gate(0).status().applied;
    cluster_.Run(10000);
    EXPECT_EQ(cluster_.gate(0).status().applied, applied);
  }

  testing::NodeCluster cluster_;
};

TEST_F(DigestTest, AFollowerThatDiffersIsNamed) { FindsIt(false); }
TEST_F(DigestTest, ALeaderThatDiffersIsNamed) { FindsIt(true); }

TEST_F(DigestTest, MembersThatAgreeAreNotNamed) {
  for (int i = 0; i < 20; ++i) {
    ASSERT_EQ(cluster_.PutAndWait(i % 3, "a", std::to_string(i)).result, GateResult::kOk);
    cluster_.Run(300);
  }
  EXPECT_THAT(cluster_.errors(), Not(::testing::Contains(HasSubstr(kDiffers))));
  EXPECT_FALSE(cluster_.node(0).state().digest_marks()[1].index.is_none());
}

// A store that is not used takes no space in the log.
TEST_F(DigestTest, AnIdleClusterIsNotCompared) {
  cluster_.Run(5000);
  const raft::Index applied = cluster_.gate(0).status().applied;
  cluster_.Run(20000);
  EXPECT_EQ(cluster_.gate(0).status().applied, applied);
}

}  // namespace
}  // namespace gavel::server
