// The crashable file system forgets what was not synced, and only that: a check on the checker.
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/storage/engine/crash_file_system.h"

namespace gavel::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class CrashFileSystemTest : public ::testing::Test {
 protected:
  std::unique_ptr<rocksdb::FSWritableFile> Create(const std::string& path) {
    std::unique_ptr<rocksdb::FSWritableFile> file;
    EXPECT_TRUE(files_.NewWritableFile(path, {}, &file, nullptr).ok());
    return file;
  }
  void SyncDirectory(const std::string& path) {
    std::unique_ptr<rocksdb::FSDirectory> directory;
    ASSERT_TRUE(files_.NewDirectory(path, {}, &directory, nullptr).ok());
    ASSERT_TRUE(directory->Fsync({}, nullptr).ok());
  }
  static std::string Read(CrashFileSystem& files, const std::string& path) {
    std::unique_ptr<rocksdb::FSSequentialFile> file;
    if (!files.NewSequentialFile(path, {}, &file, nullptr).ok()) return "(none)";
    std::string scratch(1 << 16, '\0');
    rocksdb::Slice read;
    EXPECT_TRUE(file->Read(scratch.size(), {}, &read, scratch.data(), nullptr).ok());
    return read.ToString();
  }
  // How many of 100 crashes satisfy `condition`.
  template <class Condition>
  int Crashes(Condition condition) {
    raft::Random random(1);
    int count = 0;
    for (int i = 0; i < 100; ++i) count += condition(*files_.Crash(random)) ? 1 : 0;
    return count;
  }

  CrashFileSystem files_;
};

TEST_F(CrashFileSystemTest, SyncedBytesInASyncedDirectoryStay) {
  auto file = Create("/f");
  ASSERT_TRUE(file->Append("abc", {}, nullptr).ok());
  ASSERT_TRUE(file->Sync({}, nullptr).ok());
  SyncDirectory("/");
  EXPECT_EQ(Crashes([](CrashFileSystem& files) { return Read(files, "/f") == "abc"; }), 100);
}

TEST_F(CrashFileSystemTest, UnsyncedBytesAreSometimesLostAndSometimesKept) {
  auto file = Create("/f");
  SyncDirectory("/");
  ASSERT_TRUE(file->Append("abc", {}, nullptr).ok());
  const int kept = Crashes([](CrashFileSystem& files) { return Read(files, "/f") == "abc"; });
  const int lost = Crashes([](CrashFileSystem& files) { return Read(files, "/f").empty(); });
  EXPECT_GT(kept, 0);
  EXPECT_GT(lost, 0);
}

TEST_F(CrashFileSystemTest, ASyncOfTheFileDoesNotKeepItsName) {
  auto file = Create("/f");
  ASSERT_TRUE(file->Append("abc", {}, nullptr).ok());
  ASSERT_TRUE(file->Sync({}, nullptr).ok());
  const int lost = Crashes([](CrashFileSystem& files) { return Read(files, "/f") == "(none)"; });
  EXPECT_GT(lost, 0);
  EXPECT_LT(lost, 100);
}

TEST_F(CrashFileSystemTest, ARenameIsWholeOrNotThere) {
  Create("/old");
  SyncDirectory("/");
  ASSERT_TRUE(files_.RenameFile("/old", "/new", {}, nullptr).ok());
  const int renamed = Crashes([](CrashFileSystem& files) {
    const auto names = files.List("/");
    EXPECT_EQ(names.size(), 1u);
    return !names.empty() && names[0] == "new";
  });
  EXPECT_GT(renamed, 0);
  EXPECT_LT(renamed, 100);
}

TEST_F(CrashFileSystemTest, AnUnsyncedDeletionMayComeBack) {
  Create("/f");
  SyncDirectory("/");
  ASSERT_TRUE(files_.DeleteFile("/f", {}, nullptr).ok());
  EXPECT_THAT(files_.List("/"), IsEmpty());
  const int back = Crashes([](CrashFileSystem& files) { return !files.List("/").empty(); });
  EXPECT_GT(back, 0);
  SyncDirectory("/");
  EXPECT_EQ(Crashes([](CrashFileSystem& files) { return !files.List("/").empty(); }), 0);
}

// After a failed sync the system may take the pages for written: the next sync then lies.
TEST_F(CrashFileSystemTest, AFailedSyncLosesThePagesForGood) {
  auto file = Create("/f");
  SyncDirectory("/");
  ASSERT_TRUE(file->Append("abc", {}, nullptr).ok());
  files_.SetFault({.failure = CrashFileSystem::Failure::kSyncLosesPages,
                   .operations = {CrashFileSystem::Operation::kSync},
                   .name_contains = "/f",
                   .count = 1});
  EXPECT_FALSE(file->Sync({}, nullptr).ok());
  EXPECT_TRUE(file->Sync({}, nullptr).ok());
  EXPECT_EQ(files_.failures(), 1u);
  EXPECT_EQ(Read(files_, "/f"), "abc");
  EXPECT_EQ(Crashes([](CrashFileSystem& files) { return Read(files, "/f") == "abc"; }), 0);
}

TEST_F(CrashFileSystemTest, HardLinksStayOneFile) {
  auto file = Create("/f");
  ASSERT_TRUE(files_.LinkFile("/f", "/g", {}, nullptr).ok());
  SyncDirectory("/");
  ASSERT_TRUE(file->Append("abc", {}, nullptr).ok());
  EXPECT_EQ(Crashes([](CrashFileSystem& files) { return Read(files, "/f") == Read(files, "/g"); }),
            100);
  EXPECT_THAT(files_.List("/"), ElementsAre("f", "g"));
}

}  // namespace
}  // namespace gavel::storage
