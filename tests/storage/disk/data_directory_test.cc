// Whose directory it is: every refusal names the reason and what to do.
#include "storage/disk/data_directory.h"

#include <set>
#include <string>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "raft/random.h"
#include "storage/disk/posix_disk.h"
#include "tests/support/crash_disk.h"
#include "tests/support/matchers.h"
#include "tests/support/temporary_directory.h"

namespace gavel::storage {
namespace {

using ::gavel::testing::CrashDisk;
using ::gavel::testing::CrashMode;
using ::gavel::testing::IsOkAndHolds;
using ::gavel::testing::StatusIs;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr absl::StatusCode kRefused = absl::StatusCode::kFailedPrecondition;

Identity Someone() { return {0xc1, raft::NodeId(0xa1), "alpha", raft::Incarnation(0)}; }

class DataDirectoryTest : public ::testing::Test {
 protected:
  void Touch(const std::string& path) { ASSERT_OK(disk_.Open(path, OpenMode::kCreate)); }
  CrashDisk disk_;
};

TEST_F(DataDirectoryTest, ANewDirectoryBecomesSomeones) {
  {
    ASSERT_OK_AND_ASSIGN(auto directory, DataDirectory::Open(disk_, "/srv/alpha"));
    EXPECT_TRUE(directory.is_new());
    ASSERT_OK(directory.Create(Someone()));
    EXPECT_FALSE(directory.is_new());
  }
  raft::Random random(1);
  disk_.Reboot(CrashMode::kLoseAll, random);
  ASSERT_OK_AND_ASSIGN(auto directory, DataDirectory::Open(disk_, "/srv/alpha"));
  EXPECT_FALSE(directory.is_new());
  EXPECT_EQ(directory.identity(), Someone());
  EXPECT_OK(directory.CheckOwner(0xc1, raft::NodeId(0xa1)));
  EXPECT_EQ(directory.wal_path(), "/srv/alpha/member/wal");
  EXPECT_EQ(directory.state_path(), "/srv/alpha/member/state");
  EXPECT_EQ(directory.snapshots_path(), "/srv/alpha/member/snapshots");
}

TEST_F(DataDirectoryTest, AnIdentityThatWasReadSurvivesAPowerCut) {
  raft::Random random(1);
  {
    ASSERT_OK_AND_ASSIGN(auto directory, DataDirectory::Open(disk_, "/srv/alpha"));
    disk_.FailDirectorySync(1);
    EXPECT_THAT(directory.Create(Someone()), StatusIs(absl::StatusCode::kInternal));
  }
  // The process ends, and its name for the file stays in the page cache.
  disk_.Reboot(CrashMode::kKeepAll, random);
  {
    ASSERT_OK_AND_ASSIGN(auto directory, DataDirectory::Open(disk_, "/srv/alpha"));
    ASSERT_FALSE(directory.is_new());
    EXPECT_OK(directory.BumpIncarnation());
  }
  disk_.Reboot(CrashMode::kLoseAll, random);
  ASSERT_OK_AND_ASSIGN(auto directory, DataDirectory::Open(disk_, "/srv/alpha"));
  EXPECT_FALSE(directory.is_new());
}

TEST_F(DataDirectoryTest, WorksOnTheRealDisk) {
  testing::TemporaryDirectory temporary;
  PosixDisk disk;
  const std::string path = temporary.path() + "/deep/data";
  {
    ASSERT_OK_AND_ASSIGN(auto directory, DataDirectory::Open(disk, path));
    ASSERT_OK(directory.Create(Someone()));
    EXPECT_THAT(directory.BumpIncarnation(), IsOkAndHolds(raft::Incarnation(1)));
    EXPECT_THAT(DataDirectory::Open(disk, path),
                StatusIs(kRefused, AllOf(HasSubstr("in use"), HasSubstr("pid "),
                                         HasSubstr("stop that process"))));
  }
  ASSERT_OK_AND_ASSIGN(auto directory, DataDirectory::Open(disk, path));
  EXPECT_THAT(directory.BumpIncarnation(), IsOkAndHolds(raft::Incarnation(2)));
}

TEST_F(DataDirectoryTest, AnotherClusterOrMemberIsRefused) {
  ASSERT_OK_AND_ASSIGN(auto directory, DataDirectory::Open(disk_, "/srv/alpha"));
  ASSERT_OK(directory.Create(Someone()));
  EXPECT_THAT(
      directory.CheckOwner(0xc2, raft::NodeId(0xa1)),
      StatusIs(kRefused, AllOf(HasSubstr("/srv/alpha"), HasSubstr("cluster c1"), HasSubstr("alpha"),
                               HasSubstr("cluster c2"), HasSubstr("--initial-cluster-token"))));
  EXPECT_THAT(directory.CheckOwner(0xc1, raft::NodeId(0xa2)),
              StatusIs(kRefused, AllOf(HasSubstr("/srv/alpha"), HasSubstr("member a1 (alpha)"),
                                       HasSubstr("a2"), HasSubstr("--name"))));
}

TEST_F(DataDirectoryTest, ASecondProcessIsRefused) {
  ASSERT_OK_AND_ASSIGN(auto directory, DataDirectory::Open(disk_, "/srv/alpha"));
  EXPECT_THAT(DataDirectory::Open(disk_, "/srv/alpha"), StatusIs(kRefused, HasSubstr("in use")));
}

TEST_F(DataDirectoryTest, DamageIsReportedOnlyWhenBothCopiesAreGone) {
  {
    ASSERT_OK_AND_ASSIGN(auto directory, DataDirectory::Open(disk_, "/srv/alpha"));
    ASSERT_OK(directory.Create(Someone()));
  }
  disk_.FlipBits("/srv/alpha/member/identity", 30, 1);
  EXPECT_OK(DataDirectory::Open(disk_, "/srv/alpha"));
  disk_.FlipBits("/srv/alpha/member/identity", 4096 + 30, 1);
  EXPECT_THAT(
      DataDirectory::Open(disk_, "/srv/alpha"),
      StatusIs(absl::StatusCode::kDataLoss,
               AllOf(HasSubstr("/srv/alpha/member/identity is damaged"), HasSubstr("restore"))));
}

TEST_F(DataDirectoryTest, ANewerVersionIsRefused) {
  ASSERT_OK(disk_.CreateDirectories("/srv/alpha/member"));
  ASSERT_OK(DoubleBlock::Create(disk_, "/srv/alpha/member/identity",
                                {.magic = "GAVELMBR", .version = 2}, "?"));
  EXPECT_THAT(DataDirectory::Open(disk_, "/srv/alpha"),
              StatusIs(kRefused, AllOf(HasSubstr("version 2"), HasSubstr("newer gaveld"))));
}

TEST_F(DataDirectoryTest, DataWithoutAnOwnerIsRefused) {
  ASSERT_OK(disk_.CreateDirectories("/srv/alpha/member/wal"));
  EXPECT_THAT(DataDirectory::Open(disk_, "/srv/alpha"),
              StatusIs(kRefused, AllOf(HasSubstr("member/wal"), HasSubstr("no member/identity"))));
  ASSERT_OK(disk_.CreateDirectories("/srv/old/member/snap"));
  EXPECT_THAT(DataDirectory::Open(disk_, "/srv/old"), StatusIs(kRefused, HasSubstr("one of etcd")));
}

TEST_F(DataDirectoryTest, PermissionsAndFilesInTheWaySayWhatToDo) {
  disk_.DenyAccess("/srv");
  EXPECT_THAT(
      DataDirectory::Open(disk_, "/srv/alpha"),
      StatusIs(absl::StatusCode::kPermissionDenied,
               AllOf(HasSubstr("/srv/alpha"), HasSubstr("give the user that runs gaveld"))));
  disk_.DenyAccess("");
  ASSERT_OK(disk_.CreateDirectories("/srv"));
  Touch("/srv/alpha");
  EXPECT_THAT(
      DataDirectory::Open(disk_, "/srv/alpha"),
      StatusIs(kRefused, AllOf(HasSubstr("Not a directory"), HasSubstr("choose a --data-dir"))));
}

// A crash at every operation: the identity is whole or absent, and no incarnation comes twice.
TEST_F(DataDirectoryTest, NoIncarnationIsUsedTwice) {
  for (const CrashMode mode :
       {CrashMode::kLoseAll, CrashMode::kTearBy512, CrashMode::kTearBy4096}) {
    for (uint64_t at = 0; at < 60; ++at) {
      SCOPED_TRACE(at);
      CrashDisk disk;
      raft::Random random(at + 1);
      disk.CrashAfter(at);
      std::set<uint64_t> used;
      for (int start = 0; start < 12; ++start) {
        {
          auto directory = DataDirectory::Open(disk, "/srv/alpha");
          absl::Status status = directory.status();
          if (status.ok() && directory->is_new()) status = directory->Create(Someone());
          if (status.ok()) {
            const auto incarnation = directory->BumpIncarnation();
            if (incarnation.ok()) {
              ASSERT_TRUE(used.insert(incarnation->value()).second) << incarnation->value();
            }
            status = incarnation.status();
          }
          ASSERT_TRUE(status.ok() || disk.crashed()) << status;
        }
        disk.Reboot(mode, random);
      }
      ASSERT_GE(used.size(), 11u);
    }
  }
}

// Damage to the newest slot brings back the body before it: the count must skip what it held.
TEST_F(DataDirectoryTest, ADamagedSlotDoesNotBringAnIncarnationBack) {
  uint64_t newest = 0;
  for (int start = 0; start < 10; ++start) {
    for (const uint64_t slot : {0u, 4096u}) {
      ASSERT_OK_AND_ASSIGN(auto directory, DataDirectory::Open(disk_, "/srv/alpha"));
      if (directory.is_new()) {
        ASSERT_OK(directory.Create(Someone()));
      }
      ASSERT_OK_AND_ASSIGN(const raft::Incarnation incarnation, directory.BumpIncarnation());
      ASSERT_GT(incarnation.value(), newest);
      newest = incarnation.value();
      disk_.FlipBits("/srv/alpha/member/identity", slot + 40, 1);
    }
  }
}

}  // namespace
}  // namespace gavel::storage
