// A disk that fails while the log is in use: the first error is the last word.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "raft/random.h"
#include "storage/wal/wal.h"
#include "tests/storage/wal/log_model.h"
#include "tests/storage/wal/wal_test_util.h"
#include "tests/support/crash_disk.h"
#include "tests/support/matchers.h"

namespace gavel::storage {
namespace {

using ::gavel::testing::CrashDisk;
using ::gavel::testing::CrashMode;
using ::gavel::testing::StatusIs;
using ::testing::AnyOf;
using ::testing::Eq;
using ::testing::HasSubstr;
using ::testing::SizeIs;

const WalOptions kOptions = {
    .directory = "/data/wal", .segment_bytes = 4096, .zero_step_bytes = 2048};
constexpr int kSteps = 60;

WalBatch Entries(std::vector<raft::Entry> entries) {
  return InTheirTerm({.mark = {}, .hard_state = {}, .entries = std::move(entries)});
}

// Runs random steps on a new log with one fault armed. Returns false when the fault no longer
// comes up. The log must stop at it, and hold what it acknowledged after a restart on the same
// page cache and after a power cut behind that.
template <class Arm>
bool StopsAtFault(uint64_t seed, Arm arm) {
  CrashDisk disk;
  raft::Random random(seed);
  LogModel model;
  model.mark = Meta(0, 0, 3);
  auto wal = Wal::Create(disk, kOptions, model.mark);
  EXPECT_OK(wal);
  arm(disk);
  LogModel under_way = model;
  absl::Status error;
  for (int i = 0; i < kSteps && error.ok(); ++i) {
    const Step step = RandomStep(model, random);
    under_way = After(model, step);
    error = CarryOut(**wal, step);
    if (error.ok()) model = under_way;
  }
  if (error.ok()) return false;

  const uint64_t operations = disk.operations();
  EXPECT_EQ((*wal)->Append(Entries({Empty(under_way.last() + 1, 99)})), error);
  EXPECT_EQ((*wal)->Sync(), error);
  EXPECT_EQ((*wal)->WriteMark(), error);
  EXPECT_EQ((*wal)->CutTo(model.mark), error);
  EXPECT_EQ((*wal)->PrepareSegment().status(), error);
  EXPECT_EQ(disk.operations(), operations) << "a broken log must leave the disk alone";

  wal->reset();
  disk.Reboot(CrashMode::kKeepAll, random);
  auto opened = Wal::Open(disk, kOptions, raft::Index(0));
  EXPECT_OK(opened);
  if (!opened.ok()) return true;
  const std::vector<std::string> found = DescribeContents(opened->contents);
  EXPECT_THAT(found, AnyOf(Eq(model.Describe()), Eq(under_way.Describe())));
  opened->wal.reset();
  disk.Reboot(CrashMode::kLoseAll, random);
  opened = Wal::Open(disk, kOptions, raft::Index(0));
  EXPECT_OK(opened);
  if (opened.ok()) {
    EXPECT_EQ(DescribeContents(opened->contents), found);
  }
  return true;
}

// W-7: a sync that failed may have thrown pages away while the kernel calls them clean.
TEST(WalFaultTest, TheFirstFailedSyncIsTerminal) {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    uint64_t nth = 1;
    while (StopsAtFault(seed, [nth](CrashDisk& disk) { disk.FailSync(nth); })) {
      ++nth;
      ASSERT_FALSE(::testing::Test::HasFailure()) << "seed " << seed << " sync " << nth - 1;
    }
    EXPECT_GT(nth, 40u);
  }
}

TEST(WalFaultTest, TheFirstFailedWriteIsTerminal) {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    uint64_t nth = 1;
    while (StopsAtFault(seed, [nth](CrashDisk& disk) { disk.FailWrite(nth); })) {
      ++nth;
      ASSERT_FALSE(::testing::Test::HasFailure()) << "seed " << seed << " write " << nth - 1;
    }
    EXPECT_GT(nth, 40u);
  }
}

// An unreadable sector is neither data nor damage to cut: recovery stops and leaves all as it is.
TEST(WalFaultTest, AFailedReadStopsRecoveryAndTouchesNothing) {
  CrashDisk disk;
  raft::Random random(3);
  LogModel model;
  model.mark = Meta(0, 0, 3);
  {
    ASSERT_OK_AND_ASSIGN(auto wal, Wal::Create(disk, kOptions, model.mark));
    for (int i = 0; i < kSteps; ++i) {
      const Step step = RandomStep(model, random);
      ASSERT_OK(CarryOut(*wal, step));
      model = After(model, step);
    }
  }
  for (uint64_t nth = 1;; ++nth) {
    auto clone = disk.CloneAfterCrash(CrashMode::kLoseAll, random);
    const uint64_t before = clone->operations();
    clone->FailRead(nth);
    auto opened = Wal::Open(*clone, kOptions, raft::Index(0));
    if (opened.ok()) {
      EXPECT_GT(nth, 3u);
      break;
    }
    ASSERT_THAT(opened, StatusIs(absl::StatusCode::kInternal, HasSubstr("Input/output error")));
    // The very last reads belong to rewriting the last batch, which changes no byte.
    ASSERT_LE(clone->operations(), before);
    ASSERT_OK_AND_ASSIGN(auto again, Wal::Open(*clone, kOptions, raft::Index(0)));
    ASSERT_EQ(DescribeContents(again.contents), model.Describe());
  }
}

TEST(WalFaultTest, AFailedReadOfEntriesDoesNotBreakTheLog) {
  CrashDisk disk;
  ASSERT_OK_AND_ASSIGN(auto wal, Wal::Create(disk, kOptions, Meta(0, 0, 3)));
  ASSERT_OK(wal->Append(Entries({Command(1, 1, "one")})));
  ASSERT_OK(wal->Sync());
  disk.FailRead(1);
  EXPECT_THAT(wal->Read(raft::Index(1), 10), StatusIs(absl::StatusCode::kInternal));
  EXPECT_OK(wal->Read(raft::Index(1), 10));
  ASSERT_OK(wal->Append(Entries({Command(2, 1, "two")})));
  EXPECT_OK(wal->Sync());
}

class WalSpaceTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_OK_AND_ASSIGN(wal_, Wal::Create(disk_, kOptions, Meta(0, 0, 3))); }

  absl::Status WriteNext() {
    const absl::Status appended = wal_->Append(Entries({Command(next_, 1, std::string(500, 'x'))}));
    if (!appended.ok()) return appended;
    const absl::Status synced = wal_->Sync();
    if (synced.ok()) ++next_;
    return synced;
  }

  CrashDisk disk_;
  std::unique_ptr<Wal> wal_;
  uint64_t next_ = 1;
};

// W-9: space is asked for ahead of use, so a full disk is noticed while the log can still write.
TEST_F(WalSpaceTest, AFullDiskIsNoticedWhilePreparing) {
  disk_.SetFreeBytes(0);
  EXPECT_THAT(wal_->PrepareSegment(), StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_LT(wal_->stats().reserved_bytes, 4096u);
  for (int i = 0; i < 4; ++i) EXPECT_OK(WriteNext());  // The segment in use has its space.
  disk_.SetUnlimitedSpace();
  while (*wal_->PrepareSegment()) {
  }
  disk_.SetFreeBytes(0);
  for (int i = 0; i < 6; ++i) EXPECT_OK(WriteNext());  // And so has the prepared one.
  EXPECT_EQ(wal_->stats().segments, 2u);
}

TEST_F(WalSpaceTest, HalfAPreparedSegmentIsGivenBack) {
  disk_.SetFreeBytes(2048);
  EXPECT_THAT(wal_->PrepareSegment(), StatusIs(absl::StatusCode::kResourceExhausted));
  ASSERT_OK_AND_ASSIGN(const uint64_t free, disk_.FreeBytes("/data"));
  EXPECT_EQ(free, 2048u);
}

TEST_F(WalSpaceTest, WithoutReserveAFullDiskIsTerminalAndLosesNothing) {
  disk_.SetFreeBytes(0);
  absl::Status status;
  while ((status = WriteNext()).ok()) ASSERT_LT(next_, 100u);
  EXPECT_THAT(status,
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("No space left on device")));
  disk_.SetUnlimitedSpace();
  EXPECT_EQ(WriteNext(), status);
  raft::Random random(1);
  disk_.Reboot(CrashMode::kLoseAll, random);
  ASSERT_OK_AND_ASSIGN(auto opened, Wal::Open(disk_, kOptions, raft::Index(0)));
  EXPECT_THAT(opened.contents.entries, SizeIs(next_ - 1));
}

}  // namespace
}  // namespace gavel::storage
