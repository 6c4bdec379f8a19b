// The crash model itself: what a crash takes away, and that armed faults strike where they should.
#include "tests/support/crash_disk.h"

#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "raft/random.h"
#include "tests/support/matchers.h"

namespace gavel::testing {
namespace {

using storage::File;
using storage::OpenMode;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

class CrashDiskTest : public ::testing::Test {
 protected:
  CrashDiskTest() { EXPECT_OK(disk_.CreateDirectories("/d")); }

  // A durable file of `bytes`.
  std::unique_ptr<File> Durable(const std::string& path, const std::string& bytes) {
    auto file = disk_.Open(path, OpenMode::kCreate);
    EXPECT_OK(file);
    EXPECT_OK((*file)->WriteAt(0, bytes));
    EXPECT_OK((*file)->SyncData());
    EXPECT_OK(disk_.SyncDirectory("/d"));
    return *std::move(file);
  }

  std::string After(CrashMode mode, uint64_t seed, const std::string& path) {
    raft::Random random(seed);
    return disk_.CloneAfterCrash(mode, random)->Contents(path);
  }

  CrashDisk disk_;
};

TEST_F(CrashDiskTest, UnsyncedBytesAndSizesAreLostInAPowerCutOnly) {
  auto file = Durable("/d/a", "old");
  ASSERT_OK(file->WriteAt(0, "newer"));
  EXPECT_EQ(After(CrashMode::kLoseAll, 1, "/d/a"), "old");
  EXPECT_EQ(After(CrashMode::kKeepAll, 1, "/d/a"), "newer");
  // What a dead process left in the page cache is still not durable.
  raft::Random random(1);
  disk_.Reboot(CrashMode::kKeepAll, random);
  EXPECT_EQ(disk_.Contents("/d/a"), "newer");
  EXPECT_EQ(After(CrashMode::kLoseAll, 1, "/d/a"), "old");
}

TEST_F(CrashDiskTest, UnsyncedEntriesAreLost) {
  Durable("/d/kept", "k");
  Durable("/d/removed", "r");
  Durable("/d/renamed", "n");
  auto created = disk_.Open("/d/created", OpenMode::kCreate);
  ASSERT_OK(created);
  ASSERT_OK((*created)->SyncData());  // The bytes, not the name.
  ASSERT_OK(disk_.Remove("/d/removed"));
  ASSERT_OK(disk_.Rename("/d/renamed", "/d/moved"));
  EXPECT_THAT(*disk_.List("/d"), ElementsAre("created", "kept", "moved"));
  raft::Random random(1);
  auto lost = disk_.CloneAfterCrash(CrashMode::kLoseAll, random);
  EXPECT_THAT(*lost->List("/d"), ElementsAre("kept", "removed", "renamed"));
  ASSERT_OK(disk_.SyncDirectory("/d"));
  auto synced = disk_.CloneAfterCrash(CrashMode::kLoseAll, random);
  EXPECT_THAT(*synced->List("/d"), ElementsAre("created", "kept", "moved"));
}

TEST_F(CrashDiskTest, EntriesMaySurviveInAnyCombination) {
  ASSERT_OK(disk_.Open("/d/a", OpenMode::kCreate));
  ASSERT_OK(disk_.Open("/d/b", OpenMode::kCreate));
  std::set<std::string> seen;
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    raft::Random random(seed);
    std::string names;
    const auto clone = disk_.CloneAfterCrash(CrashMode::kTearBy512, random);
    ASSERT_OK_AND_ASSIGN(const auto list, clone->List("/d"));
    for (const std::string& name : list) names += name;
    seen.insert(names);
  }
  EXPECT_THAT(seen, UnorderedElementsAre("", "a", "b", "ab"));
}

// Three sectors, written twice: each shows one of its three states, whatever the others do.
TEST_F(CrashDiskTest, SectorsTearOnTheirOwn) {
  auto file = Durable("/d/a", std::string(1536, '0'));
  ASSERT_OK(file->WriteAt(0, std::string(1536, '1')));
  ASSERT_OK(file->WriteAt(0, std::string(1536, '2')));
  std::set<std::string> seen;
  for (uint64_t seed = 1; seed <= 500; ++seed) {
    const std::string bytes = After(CrashMode::kTearBy512, seed, "/d/a");
    ASSERT_EQ(bytes.size(), 1536u);
    std::string states;
    for (size_t sector = 0; sector < 3; ++sector) {
      states += bytes[sector * 512];
      ASSERT_EQ(bytes.substr(sector * 512, 512), std::string(512, states.back()));
    }
    seen.insert(states);
  }
  EXPECT_EQ(seen.size(), 27u);
}

TEST_F(CrashDiskTest, PagesTearAsAWholeAndSizesAreOfSomeMoment) {
  auto file = Durable("/d/a", "");
  ASSERT_OK(file->WriteAt(0, std::string(4096, 'x')));
  ASSERT_OK(file->WriteAt(4096, std::string(4096, 'y')));
  std::set<std::string> seen;
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    const std::string bytes = After(CrashMode::kTearBy4096, seed, "/d/a");
    std::string state = std::to_string(bytes.size()) + ":";
    for (size_t page = 0; page < bytes.size() / 4096; ++page) {
      state += bytes[page * 4096] == '\0' ? '0' : bytes[page * 4096];
      ASSERT_EQ(bytes.substr(page * 4096, 4096), std::string(4096, bytes[page * 4096]));
    }
    seen.insert(state);
  }
  EXPECT_THAT(seen, UnorderedElementsAre("0:", "4096:0", "4096:x", "8192:00", "8192:x0", "8192:0y",
                                         "8192:xy"));
}

TEST_F(CrashDiskTest, NothingWorksBetweenCrashAndReboot) {
  auto file = Durable("/d/a", "old");
  const uint64_t before = disk_.operations();
  disk_.CrashAfter(1);
  EXPECT_OK(file->WriteAt(0, "new"));
  EXPECT_THAT(file->SyncData(), StatusIs(absl::StatusCode::kInternal));
  EXPECT_TRUE(disk_.crashed());
  EXPECT_EQ(disk_.operations() - before, 2u);
  std::string buffer(3, ' ');
  EXPECT_THAT(file->ReadAt(0, buffer), StatusIs(absl::StatusCode::kInternal));
  EXPECT_THAT(disk_.List("/d"), StatusIs(absl::StatusCode::kInternal));
  raft::Random random(1);
  disk_.Reboot(CrashMode::kLoseAll, random);
  EXPECT_EQ(disk_.Contents("/d/a"), "old");
  EXPECT_THAT(file->WriteAt(0, "x"), StatusIs(absl::StatusCode::kInternal)) << "an earlier life";
}

TEST_F(CrashDiskTest, AFailedSyncDropsPagesThatReadsStillShow) {
  auto file = Durable("/d/a", "old");
  disk_.FailSync(2);
  ASSERT_OK(file->WriteAt(0, "mid"));
  EXPECT_OK(file->SyncData());
  ASSERT_OK(file->WriteAt(0, "new"));
  EXPECT_THAT(file->SyncData(), StatusIs(absl::StatusCode::kInternal));
  EXPECT_OK(file->SyncData());
  EXPECT_EQ(disk_.Contents("/d/a"), "new");
  EXPECT_EQ(After(CrashMode::kLoseAll, 1, "/d/a"), "mid");
}

TEST_F(CrashDiskTest, AFailedSyncMayRevertWhatReadsShow) {
  auto file = Durable("/d/a", "old");
  disk_.FailSyncAndRevert(1);
  ASSERT_OK(file->WriteAt(0, "newer"));
  EXPECT_THAT(file->SyncData(), StatusIs(absl::StatusCode::kInternal));
  EXPECT_EQ(disk_.Contents("/d/a"), "old");
  EXPECT_OK(file->SyncData());
  EXPECT_EQ(After(CrashMode::kKeepAll, 1, "/d/a"), "old");
}

TEST_F(CrashDiskTest, AFailedDirectorySyncMakesNothingDurable) {
  auto file = disk_.Open("/d/new", OpenMode::kCreate);
  ASSERT_OK(file);
  disk_.FailDirectorySync(1);
  EXPECT_THAT(disk_.SyncDirectory("/d"), StatusIs(absl::StatusCode::kInternal));
  EXPECT_THAT(disk_.ListDurable("/d"), IsEmpty());
  EXPECT_OK(disk_.SyncDirectory("/d"));
  EXPECT_THAT(disk_.ListDurable("/d"), ElementsAre("new"));
}

TEST_F(CrashDiskTest, WhatIsDisarmedDoesNotStrike) {
  auto file = Durable("/d/a", "old");
  disk_.FailSync(1);
  disk_.FailDirectorySync(1);
  disk_.CrashAfter(1);
  disk_.Disarm();
  ASSERT_OK(file->WriteAt(0, "new"));
  EXPECT_OK(file->SyncData());
  EXPECT_OK(disk_.SyncDirectory("/d"));
  EXPECT_FALSE(disk_.crashed());
}

TEST_F(CrashDiskTest, ASectorStaysUnreadableUntilItIsWritten) {
  auto file = Durable("/d/a", std::string(1024, 'x'));
  disk_.SetUnreadable("/d/a", 512, 512);
  char bytes[256];
  EXPECT_THAT(file->ReadAt(256, bytes), IsOkAndHolds(256u));
  EXPECT_THAT(file->ReadAt(257, bytes), StatusIs(absl::StatusCode::kInternal));
  raft::Random random(1);
  disk_.Reboot(CrashMode::kKeepAll, random);
  file = *disk_.Open("/d/a", OpenMode::kReadWrite);
  EXPECT_THAT(file->ReadAt(1023, bytes), StatusIs(absl::StatusCode::kInternal));
  ASSERT_OK(file->WriteAt(512, "y"));
  EXPECT_THAT(file->ReadAt(512, bytes), IsOkAndHolds(256u));
}

TEST_F(CrashDiskTest, WhatIsRefusedForLackOfSpaceIsTold) {
  std::vector<std::string> refused;
  disk_.SetOnFull([&](const std::string& path) { refused.push_back(path); });
  auto file = Durable("/d/a", "old");
  disk_.SetFreeBytes(4096);
  EXPECT_OK(file->WriteAt(4096, "it fits"));
  EXPECT_THAT(refused, IsEmpty());
  EXPECT_FALSE(file->WriteAt(8192, "it does not").ok());
  EXPECT_FALSE(disk_.Open("/d/b", OpenMode::kCreate).ok());
  EXPECT_THAT(refused, ElementsAre("/d/a", "/d/b"));
}

TEST_F(CrashDiskTest, DurableAndVisibleBytesAreReadApart) {
  auto file = Durable("/d/a", "old");
  ASSERT_OK(file->WriteAt(0, "newer"));
  std::string bytes(8, ' ');
  EXPECT_EQ(disk_.ReadDurable("/d/a", 0, bytes), 3u);
  EXPECT_EQ(bytes.substr(0, 3), "old");
  EXPECT_EQ(disk_.ReadVisible("/d/a", 1, bytes), 4u);
  EXPECT_EQ(bytes.substr(0, 4), "ewer");
  EXPECT_EQ(disk_.ReadVisible("/d/b", 0, bytes), 0u);
}

TEST_F(CrashDiskTest, SpaceRunsOutAndComesBack) {
  auto file = Durable("/d/a", "x");
  disk_.SetFreeBytes(8192);
  EXPECT_OK(file->WriteAt(0, std::string(4096, 'y')));  // This page it has.
  EXPECT_OK(file->WriteAt(4096, std::string(8192, '\0')));
  EXPECT_THAT(file->WriteAt(12288, "z"), StatusIs(absl::StatusCode::kResourceExhausted));
  ASSERT_OK(disk_.Remove("/d/a"));
  EXPECT_THAT(disk_.FreeBytes("/d"), IsOkAndHolds(12288u));
}

TEST_F(CrashDiskTest, WhatIsDurableCanBeReadAndIsToldOf) {
  int syncs = 0;
  disk_.SetOnSynced([&] { ++syncs; });
  auto file = Durable("/d/a", "old");
  EXPECT_EQ(syncs, 2);
  ASSERT_OK(file->WriteAt(0, "new"));
  char bytes[8];
  EXPECT_EQ(disk_.ReadDurable("/d/a", 0, bytes), 3u);
  EXPECT_EQ(std::string_view(bytes, 3), "old");
  disk_.FailSync(1);
  EXPECT_FALSE(file->SyncData().ok());
  EXPECT_EQ(syncs, 2);
  auto unlisted = disk_.Open("/d/b", OpenMode::kCreate);
  ASSERT_OK(unlisted);
  ASSERT_OK((*unlisted)->WriteAt(0, "x"));
  ASSERT_OK((*unlisted)->SyncData());
  EXPECT_EQ(disk_.ReadDurable("/d/b", 0, bytes), 0u);
  EXPECT_THAT(disk_.ListDurable("/d"), ElementsAre("a"));
}

TEST_F(CrashDiskTest, ASeedReplays) {
  auto file = Durable("/d/a", std::string(8192, '0'));
  ASSERT_OK(file->WriteAt(100, std::string(7000, '1')));
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    EXPECT_EQ(After(CrashMode::kTearBy512, seed, "/d/a"),
              After(CrashMode::kTearBy512, seed, "/d/a"));
  }
}

}  // namespace
}  // namespace gavel::testing
