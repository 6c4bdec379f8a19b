// Whose log it is: one process at a time, one member for ever.
#include "storage/wal/log_owner.h"

#include <memory>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "storage/wal/wal.h"
#include "tests/support/crash_disk.h"
#include "tests/support/matchers.h"

namespace gavel::storage {
namespace {

using ::testing::AllOf;
using testing::CrashDisk;
using ::testing::HasSubstr;
using testing::StatusIs;

constexpr char kPlace[] = "/log";

class LogOwnerTest : public ::testing::Test {
 protected:
  static LogOwner::Claim Claim(uint64_t cluster, uint64_t member, bool first_start = true) {
    return {.clusters = {cluster},
            .member = raft::NodeId(member),
            .name = "m" + std::to_string(member),
            .own_place = false,
            .first_start = first_start};
  }
  void MakeLog() {
    WalOptions options;
    options.directory = kPlace;
    options.segment_bytes = 64 << 10;
    ASSERT_OK(Wal::Create(disk_, options, raft::SnapshotMeta()));
  }

  CrashDisk disk_;
  raft::Random random_{1};
};

TEST_F(LogOwnerTest, OneProcessAtATime) {
  auto owner = LogOwner::Take(disk_, kPlace, Claim(1, 2));
  ASSERT_OK(owner);
  EXPECT_THAT(LogOwner::Take(disk_, kPlace, Claim(1, 2)),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr("the write-ahead log in /log is in use"),
                             HasSubstr("choose another --wal-dir"))));
  owner = absl::CancelledError();
  EXPECT_OK(LogOwner::Take(disk_, kPlace, Claim(1, 2)));
}

TEST_F(LogOwnerTest, AnotherMembersIsRefusedByName) {
  ASSERT_OK(LogOwner::Take(disk_, kPlace, Claim(1, 2)));
  disk_.Reboot(testing::CrashMode::kLoseAll, random_);
  EXPECT_THAT(LogOwner::Take(disk_, kPlace, Claim(1, 3)),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr("belongs to member m2 (2, of cluster 1)"),
                             HasSubstr("but this is member m3 (3, of cluster 1)"))));
  EXPECT_THAT(LogOwner::Take(disk_, kPlace, Claim(7, 2)),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("check --wal-dir")));
  EXPECT_OK(LogOwner::Take(disk_, kPlace, Claim(1, 2)));
}

TEST_F(LogOwnerTest, AMemberWithoutDataGoesOnWithNobodysLog) {
  EXPECT_OK(CheckNoLog(disk_, kPlace));
  ASSERT_OK(LogOwner::Take(disk_, kPlace, Claim(1, 2)));
  EXPECT_THAT(CheckNoLog(disk_, kPlace),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr("belongs to member m2 (2, of cluster 1)"),
                             HasSubstr("name that member's --data-dir"))));
}

TEST_F(LogOwnerTest, ALogThatDoesNotSayIsTakenInItsOwnPlaceAlone) {
  MakeLog();
  EXPECT_THAT(CheckNoLog(disk_, kPlace),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("does not say whose")));
  LogOwner::Claim claim = Claim(1, 2, /*first_start=*/false);
  EXPECT_THAT(LogOwner::Take(disk_, kPlace, claim),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr("does not say whose"), HasSubstr("member/wal"))));
  claim.own_place = true;
  EXPECT_OK(LogOwner::Take(disk_, kPlace, claim));
  claim.own_place = false;
  EXPECT_OK(LogOwner::Take(disk_, kPlace, claim)) << "now it says so";
}

// Who has promised something by a log must miss it; an empty directory must not be made its.
TEST_F(LogOwnerTest, AtALaterStartNothingIsMade) {
  ASSERT_OK(LogOwner::Take(disk_, kPlace, Claim(1, 2, /*first_start=*/false)));
  EXPECT_FALSE(*disk_.Exists(kPlace));
  ASSERT_OK(disk_.CreateDirectories(kPlace));
  ASSERT_OK(LogOwner::Take(disk_, kPlace, Claim(1, 2, /*first_start=*/false)));
  EXPECT_FALSE(*disk_.Exists("/log/owner"));
}

TEST_F(LogOwnerTest, TheClusterMayChangeAndACrashLeavesOneOfTheTwo) {
  LogOwner::Claim claim = Claim(1, 2);
  auto owner = LogOwner::Take(disk_, kPlace, claim);
  ASSERT_OK(owner);
  ASSERT_OK(owner->ChangeCluster(9));
  owner = absl::CancelledError();
  EXPECT_FALSE(LogOwner::Take(disk_, kPlace, claim).ok());
  claim.clusters = {1, 9};  // As --force-new-cluster has them until it is done.
  EXPECT_OK(LogOwner::Take(disk_, kPlace, claim));
  EXPECT_OK(LogOwner::Take(disk_, kPlace, Claim(9, 2)));
}

TEST_F(LogOwnerTest, ADamagedNameIsNotGuessedAt) {
  ASSERT_OK(LogOwner::Take(disk_, kPlace, Claim(1, 2)));
  auto file = disk_.Open("/log/owner", OpenMode::kReadWrite);
  ASSERT_OK(file);
  for (const uint64_t slot : {0, 4096}) ASSERT_OK((*file)->WriteAt(slot + 24, "xxxx"));
  EXPECT_THAT(LogOwner::Take(disk_, kPlace, Claim(1, 2)),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("/log/owner is damaged")));
}

}  // namespace
}  // namespace gavel::storage
