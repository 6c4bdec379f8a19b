// --force-new-cluster: a survivor goes on alone with all that it has, and the others stay away.

#include "server/node/new_cluster.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/server/node/node_cluster.h"
#include "tests/support/matchers.h"

namespace gavel::server {
namespace {

using testing::CrashMode;
using ::testing::HasSubstr;
using testing::StatusIs;

class NewClusterTest : public ::testing::Test {
 protected:
  // Three members with some keys, of which the others are lost.
  void LoseQuorum() {
    cluster_.StartAll();
    const int leader = cluster_.AwaitLeader();
    for (int i = 0; i < 20; ++i) {
      ASSERT_EQ(cluster_.PutAndWait(leader, Key(i), "old").result, GateResult::kOk);
    }
    ASSERT_TRUE(cluster_.RunUntil([&] {
      return cluster_.Hash(0) == cluster_.Hash(1) && cluster_.Hash(1) == cluster_.Hash(2);
    }));
    old_cluster_ = cluster_.gate(0).cluster_id();
    for (int i = 0; i < 3; ++i) cluster_.Crash(i, CrashMode::kLoseAll);
  }
  static std::string Key(int i) { return "k" + std::to_string(i); }

  absl::Status Start(bool force) {
    cluster_.options().place.force_new_cluster = force;
    return cluster_.Start(0);
  }

  // Node 0 alone has everything, and can be written to.
  void ExpectAlone() {
    ASSERT_TRUE(cluster_.RunUntil([&] { return cluster_.Leader() == 0; }));
    EXPECT_NE(cluster_.gate(0).cluster_id(), old_cluster_);
    ASSERT_EQ(cluster_.gate(0).members()->size(), 1u);
    for (int i = 0; i < 20; ++i) {
      EXPECT_EQ(cluster_.GetAndWait(0, Key(i)).value, "old") << i;
    }
    EXPECT_EQ(cluster_.PutAndWait(0, "new", "1").result, GateResult::kOk);
    EXPECT_EQ(cluster_.node(0).core().stage().configuration().voters.size(), 1u);
  }

  testing::NodeCluster cluster_{3, 5};
  uint64_t old_cluster_ = 0;
};

TEST_F(NewClusterTest, ASurvivorGoesOnAlone) {
  LoseQuorum();
  ASSERT_OK(Start(true));
  ExpectAlone();
  EXPECT_TRUE(cluster_.failures().empty());
}

// Also what was not known to be committed is kept: it may have been acknowledged by others.
TEST_F(NewClusterTest, TheEndOfTheLogIsKept) {
  LoseQuorum();
  ASSERT_OK(Start(false));
  cluster_.Run(3000);
  cluster_.Crash(0, CrashMode::kLoseAll);
  ASSERT_OK(Start(true));
  ExpectAlone();
}

TEST_F(NewClusterTest, OldMembersDoNotGetIn) {
  LoseQuorum();
  ASSERT_OK(Start(true));
  ExpectAlone();
  cluster_.options().place.force_new_cluster = false;
  for (const int index : {1, 2}) ASSERT_OK(cluster_.Start(index));
  ASSERT_TRUE(cluster_.RunUntil([&] {
    return cluster_.gate(1).has_leader() && cluster_.gate(2).has_leader();
  })) << "two of three still are the old cluster";
  const raft::Term term = cluster_.gate(0).term();
  EXPECT_EQ(cluster_.PutAndWait(1, "theirs", "1").result, GateResult::kOk);
  cluster_.Run(3000);
  EXPECT_EQ(cluster_.gate(0).term(), term);
  EXPECT_EQ(cluster_.GetAndWait(0, "theirs").value, std::nullopt);
  EXPECT_EQ(cluster_.GetAndWait(1, "new").value, std::nullopt);
}

TEST_F(NewClusterTest, TheFlagCountsOnceUntilAStartWithoutIt) {
  LoseQuorum();
  ASSERT_OK(Start(true));
  ExpectAlone();
  const uint64_t first = cluster_.gate(0).cluster_id();
  cluster_.Crash(0, CrashMode::kLoseAll);
  ASSERT_OK(Start(true));
  EXPECT_EQ(cluster_.gate(0).cluster_id(), first);
  ExpectAlone();

  cluster_.Crash(0, CrashMode::kLoseAll);
  cluster_.options().place.initial_cluster_given = false;
  ASSERT_OK(Start(false));
  EXPECT_EQ(cluster_.gate(0).cluster_id(), first);
  ExpectAlone();

  cluster_.Crash(0, CrashMode::kLoseAll);
  ASSERT_OK(Start(true));
  EXPECT_NE(cluster_.gate(0).cluster_id(), first);
  ExpectAlone();
}

TEST_F(NewClusterTest, FlagsThatNameTheOldClusterAreRefusedAfterwards) {
  LoseQuorum();
  ASSERT_OK(Start(true));
  cluster_.Crash(0, CrashMode::kLoseAll);
  ASSERT_OK(Start(true));
  cluster_.Crash(0, CrashMode::kLoseAll);
  EXPECT_THAT(Start(false), StatusIs(absl::StatusCode::kFailedPrecondition,
                                     HasSubstr("--initial-cluster-state=existing")));
  cluster_.options().place.join = true;
  ASSERT_OK(Start(false));
  ExpectAlone();
}

TEST_F(NewClusterTest, ANewDirectoryIsRefused) {
  EXPECT_THAT(Start(true), StatusIs(absl::StatusCode::kFailedPrecondition,
                                    HasSubstr("--force-new-cluster needs the data of a member")));
  ASSERT_OK(Start(false)) << "nothing has changed";
}

// Wherever the power goes, the directory is the old cluster's, or the next start, even without the
// flag, ends what was begun.
TEST_F(NewClusterTest, ACrashAtAnyWriteLeavesOneClusterOrTheOther) {
  LoseQuorum();
  int old_ones = 0;
  int new_ones = 0;
  for (uint64_t operations = 0;; ++operations) {
    cluster_.disk(0).CrashAfter(operations);
    const absl::Status started = Start(true);
    const bool whole = started.ok() && !cluster_.disk(0).crashed();
    cluster_.Crash(0, CrashMode::kLoseAll);
    cluster_.options().place.join = true;
    ASSERT_OK(Start(false)) << operations;
    if (cluster_.gate(0).members()->size() == 3) {
      ++old_ones;
      EXPECT_EQ(cluster_.gate(0).cluster_id(), old_cluster_);
    } else {
      ++new_ones;
      ExpectAlone();
    }
    if (whole) break;
    // The next round goes on with what this one has left: a new cluster is founded anew.
    cluster_.Crash(0, CrashMode::kLoseAll);
    ASSERT_LT(operations, 1000u);
  }
  EXPECT_GT(old_ones, 0);
  EXPECT_GT(new_ones, 1);
}

}  // namespace
}  // namespace gavel::server
