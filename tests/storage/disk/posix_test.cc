// What only the real disk can show: other processes, other users, modes and system errors.
#include "storage/disk/posix_disk.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/support/matchers.h"
#include "tests/support/temporary_directory.h"

namespace gavel::storage {
namespace {

using ::gavel::testing::StatusIs;
using ::gavel::testing::TemporaryDirectory;
using ::testing::AllOf;
using ::testing::HasSubstr;

class PosixDiskTest : public ::testing::Test {
 protected:
  std::string Path(const std::string& name) { return directory_.path() + "/" + name; }

  // Runs `body` in a child process and returns what it returns.
  template <class Body>
  int InChild(Body body) {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(body());
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status));
    return WEXITSTATUS(status);
  }

  TemporaryDirectory directory_;
  PosixDisk disk_;
};

TEST_F(PosixDiskTest, ASecondProcessIsToldWhoHoldsTheLock) {
  ASSERT_OK_AND_ASSIGN(auto lock, disk_.Lock(Path("lock")));
  const std::string holder = "pid " + std::to_string(::getpid());
  const int refused = InChild([&] {
    PosixDisk disk;
    const absl::Status status = disk.Lock(Path("lock")).status();
    return absl::IsFailedPrecondition(status) &&
                   std::string(status.message()).find(holder) != std::string::npos
               ? 0
               : 1;
  });
  EXPECT_EQ(refused, 0);
}

// However a process dies, the directory is free again.
TEST_F(PosixDiskTest, TheLockEndsWithItsProcess) {
  const int locked = InChild([&] {
    PosixDisk disk;
    auto lock = disk.Lock(Path("lock"));
    ::_exit(lock.ok() ? 7 : 1);  // Without destructors.
    return 0;
  });
  EXPECT_EQ(locked, 7);
  EXPECT_OK(disk_.Lock(Path("lock")));
}

TEST_F(PosixDiskTest, NothingIsReadableByOthers) {
  ASSERT_OK(disk_.CreateDirectories(Path("a/b")));
  ASSERT_OK(disk_.Open(Path("a/b/file"), OpenMode::kCreate));
  struct stat info;
  for (const char* name : {"a", "a/b"}) {
    ASSERT_EQ(::stat(Path(name).c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0700u);
  }
  ASSERT_EQ(::stat(Path("a/b/file").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

// There are places that exist and hold no new directory, and say so as if a parent were missing.
TEST_F(PosixDiskTest, WhereNoDirectoryCanBeMadeIsAnError) {
  const auto refused = StatusIs(absl::StatusCode::kNotFound, HasSubstr("create directory"));
  EXPECT_THAT(disk_.CreateDirectories("/proc/gavel"), refused);
  EXPECT_THAT(disk_.CreateDirectories("/proc/gavel/member"), refused);
  const int in_a_removed_directory = InChild([&] {
    if (::mkdir(Path("gone").c_str(), 0700) != 0 || ::chdir(Path("gone").c_str()) != 0) return 2;
    if (::rmdir(Path("gone").c_str()) != 0) return 3;
    PosixDisk disk;
    return absl::IsNotFound(disk.CreateDirectories("data/member")) ? 0 : 1;
  });
  EXPECT_EQ(in_a_removed_directory, 0);
}

TEST_F(PosixDiskTest, AnotherUsersFileIsDenied) {
  ASSERT_OK(disk_.Open(Path("file"), OpenMode::kCreate));
  ASSERT_EQ(::chmod(Path("file").c_str(), 0), 0);
  const int denied = InChild([&] {
    // The superuser may read anything: be somebody else.
    if (::geteuid() == 0 && ::setuid(65534) != 0) return 2;
    PosixDisk disk;
    return absl::IsPermissionDenied(disk.Open(Path("file"), OpenMode::kReadOnly).status()) ? 0 : 1;
  });
  EXPECT_EQ(denied, 0);
}

TEST_F(PosixDiskTest, ErrorsNameTheCallThePathAndTheReason) {
  EXPECT_THAT(SystemError(ENOSPC, "write", "/x/y"),
              StatusIs(absl::StatusCode::kResourceExhausted,
                       AllOf(HasSubstr("write"), HasSubstr("/x/y"), HasSubstr("No space left"))));
  EXPECT_THAT(SystemError(EDQUOT, "write", "/x"), StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_THAT(SystemError(EROFS, "open", "/x"), StatusIs(absl::StatusCode::kPermissionDenied));
  EXPECT_THAT(SystemError(EIO, "fdatasync", "/x"),
              StatusIs(absl::StatusCode::kInternal, HasSubstr("Input/output error")));
}

TEST_F(PosixDiskTest, AFullFileSystemIsResourceExhausted) {
  // The one file that is always full.
  PosixDisk disk;
  ASSERT_OK_AND_ASSIGN(auto full, disk.Open("/dev/full", OpenMode::kReadWrite));
  EXPECT_THAT(full->WriteAt(0, "x"), StatusIs(absl::StatusCode::kResourceExhausted));
}

}  // namespace
}  // namespace gavel::storage
