// What every Disk promises, asked of the real one and of the one in memory.
#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "storage/disk/disk.h"
#include "storage/disk/path.h"
#include "storage/disk/posix_disk.h"
#include "tests/support/crash_disk.h"
#include "tests/support/matchers.h"
#include "tests/support/temporary_directory.h"

namespace gavel::storage {
namespace {

using ::gavel::testing::CrashDisk;
using ::gavel::testing::IsOkAndHolds;
using ::gavel::testing::StatusIs;
using ::gavel::testing::TemporaryDirectory;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

enum class Which { kPosix, kMemory };

class DiskContractTest : public ::testing::TestWithParam<Which> {
 protected:
  DiskContractTest() {
    if (GetParam() == Which::kPosix) {
      disk_ = std::make_unique<PosixDisk>();
      root_ = temporary_.path();
    } else {
      disk_ = std::make_unique<CrashDisk>();
      root_ = "/root";
      EXPECT_OK(disk_->CreateDirectories(root_));
    }
  }

  std::string Path(const std::string& name) { return JoinPath(root_, name); }

  std::unique_ptr<File> Create(const std::string& name, std::string_view bytes) {
    auto file = disk_->Open(Path(name), OpenMode::kCreate);
    EXPECT_OK(file);
    EXPECT_OK((*file)->WriteAt(0, bytes));
    return *std::move(file);
  }

  std::string Contents(const File& file) {
    std::string bytes(*file.Size(), '?');
    EXPECT_THAT(file.ReadAt(0, bytes), IsOkAndHolds(bytes.size()));
    return bytes;
  }

  TemporaryDirectory temporary_;
  std::unique_ptr<Disk> disk_;
  std::string root_;
};

TEST_P(DiskContractTest, FilesKeepWhatIsWritten) {
  auto file = Create("a", "hello");
  EXPECT_OK(file->WriteAt(8, "world"));
  EXPECT_EQ(Contents(*file), std::string("hello\0\0\0world", 13));
  EXPECT_OK(file->WriteAt(1, "E"));
  EXPECT_OK(file->SyncData());
  ASSERT_OK_AND_ASSIGN(auto again, disk_->Open(Path("a"), OpenMode::kReadOnly));
  EXPECT_EQ(Contents(*again), std::string("hEllo\0\0\0world", 13));
}

TEST_P(DiskContractTest, ReadsEndWithTheFile) {
  auto file = Create("a", "hello");
  std::string buffer(10, '?');
  EXPECT_THAT(file->ReadAt(3, buffer), IsOkAndHolds(2u));
  EXPECT_EQ(buffer.substr(0, 2), "lo");
  EXPECT_THAT(file->ReadAt(5, buffer), IsOkAndHolds(0u));
  EXPECT_THAT(file->ReadAt(500, buffer), IsOkAndHolds(0u));
}

TEST_P(DiskContractTest, TruncationShortensAndWhatGrowsAgainIsZero) {
  auto file = Create("a", "hello");
  EXPECT_OK(file->Truncate(2));
  EXPECT_THAT(file->Size(), IsOkAndHolds(2u));
  EXPECT_OK(file->Truncate(4));
  EXPECT_EQ(Contents(*file), std::string("he\0\0", 4));
}

TEST_P(DiskContractTest, OpenModesSayWhatMustExist) {
  EXPECT_THAT(disk_->Open(Path("a"), OpenMode::kReadOnly),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr(Path("a"))));
  EXPECT_THAT(disk_->Open(Path("a"), OpenMode::kReadWrite), StatusIs(absl::StatusCode::kNotFound));
  Create("a", "x");
  EXPECT_THAT(disk_->Open(Path("a"), OpenMode::kCreate),
              StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_OK(disk_->Open(Path("a"), OpenMode::kReadWrite));
  EXPECT_THAT(disk_->Open(Path("no/a"), OpenMode::kCreate), StatusIs(absl::StatusCode::kNotFound));
}

TEST_P(DiskContractTest, DirectoriesListTheirEntriesInOrder) {
  Create("b", "x");
  Create("a", "x");
  ASSERT_OK(disk_->CreateDirectories(Path("c/d/e")));
  ASSERT_OK(disk_->CreateDirectories(Path("c/d/e")));
  EXPECT_THAT(disk_->List(root_), IsOkAndHolds(ElementsAre("a", "b", "c")));
  EXPECT_THAT(disk_->List(Path("c")), IsOkAndHolds(ElementsAre("d")));
  EXPECT_THAT(disk_->List(Path("nothing")), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_OK(disk_->SyncDirectory(root_));
  EXPECT_THAT(disk_->SyncDirectory(Path("nothing")), StatusIs(absl::StatusCode::kNotFound));
}

TEST_P(DiskContractTest, AFileIsNotADirectory) {
  Create("file", "x");
  EXPECT_THAT(disk_->CreateDirectories(Path("file")),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("Not a directory")));
  EXPECT_THAT(disk_->CreateDirectories(Path("file/below")),
              StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST_P(DiskContractTest, RenameReplacesAndOpenFilesStayUsable) {
  auto a = Create("a", "new");
  auto b = Create("b", "old");
  ASSERT_OK(disk_->Rename(Path("a"), Path("b")));
  EXPECT_THAT(disk_->List(root_), IsOkAndHolds(ElementsAre("b")));
  ASSERT_OK_AND_ASSIGN(auto file, disk_->Open(Path("b"), OpenMode::kReadOnly));
  EXPECT_EQ(Contents(*file), "new");
  EXPECT_EQ(Contents(*b), "old");
  EXPECT_OK(a->WriteAt(0, "NEW"));
  EXPECT_EQ(Contents(*file), "NEW");
  EXPECT_THAT(disk_->Rename(Path("a"), Path("c")), StatusIs(absl::StatusCode::kNotFound));
}

TEST_P(DiskContractTest, RemoveTakesTheNameAndOpenFilesStayUsable) {
  auto a = Create("a", "x");
  EXPECT_THAT(disk_->Exists(Path("a")), IsOkAndHolds(true));
  ASSERT_OK(disk_->Remove(Path("a")));
  EXPECT_THAT(disk_->Exists(Path("a")), IsOkAndHolds(false));
  EXPECT_EQ(Contents(*a), "x");
  EXPECT_THAT(disk_->Remove(Path("a")), StatusIs(absl::StatusCode::kNotFound));
}

TEST_P(DiskContractTest, ALockExcludesASecondUntilItEnds) {
  ASSERT_OK_AND_ASSIGN(auto lock, disk_->Lock(Path("lock")));
  EXPECT_THAT(disk_->Lock(Path("lock")),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("pid ")));
  EXPECT_OK(disk_->Lock(Path("other")));
  lock.reset();
  EXPECT_OK(disk_->Lock(Path("lock")));
}

TEST_P(DiskContractTest, SpaceIsReported) {
  ASSERT_OK_AND_ASSIGN(const uint64_t free, disk_->FreeBytes(root_));
  EXPECT_GT(free, 0u);
}

INSTANTIATE_TEST_SUITE_P(Disks, DiskContractTest, ::testing::Values(Which::kPosix, Which::kMemory),
                         [](const auto& which) {
                           return which.param == Which::kPosix ? "Posix" : "Memory";
                         });

}  // namespace
}  // namespace gavel::storage
