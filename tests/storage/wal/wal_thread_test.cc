// The log's threads at once: one appends and cuts, one prepares segments, two read.
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "storage/disk/posix_disk.h"
#include "storage/wal/segment_preparer.h"
#include "storage/wal/wal.h"
#include "tests/storage/wal/wal_test_util.h"
#include "tests/support/crash_disk.h"
#include "tests/support/matchers.h"
#include "tests/support/temporary_directory.h"

namespace gavel::storage {
namespace {

using ::gavel::testing::CrashDisk;

// The next file is begun while the log thread is still busy giving the taken one its name.
TEST(SegmentPreparerTest, GoesOnBeforeTheTakenFileIsRenamed) {
  CrashDisk disk;
  ASSERT_OK(disk.CreateDirectories("/wal"));
  wal::SegmentPreparer preparer(
      disk, {.directory = "/wal", .segment_bytes = 2048, .zero_step_bytes = 1024});
  EXPECT_FALSE(preparer.Take().has_value());
  ASSERT_OK_AND_ASSIGN(bool more, preparer.Step());
  EXPECT_TRUE(more);
  EXPECT_FALSE(preparer.Take().has_value()) << "only half is written";
  ASSERT_OK_AND_ASSIGN(more, preparer.Step());
  EXPECT_FALSE(more);
  EXPECT_EQ(preparer.ready_bytes(), 2048u);
  const auto taken = preparer.Take();
  ASSERT_TRUE(taken.has_value());
  EXPECT_EQ(taken->bytes, 2048u);
  ASSERT_OK_AND_ASSIGN(more, preparer.Step());
  EXPECT_TRUE(more);
}

TEST(WalThreadTest, ReadersSeeWholePrefixesWhileTheLogGrowsAndIsCut) {
  constexpr uint64_t kEntries = 3000;
  const testing::TemporaryDirectory directory;
  PosixDisk disk;
  ASSERT_OK_AND_ASSIGN(
      auto wal, Wal::Create(disk, {.directory = directory.path() + "/wal", .segment_bytes = 16384},
                            Meta(0, 0, 3)));
  std::atomic<bool> stop = false;
  std::atomic<uint64_t> read = 0;
  std::vector<std::thread> threads;
  threads.emplace_back([&] {
    while (!stop) {
      const auto more = wal->PrepareSegment();
      EXPECT_OK(more);
      if (!more.ok() || !*more) std::this_thread::yield();
    }
  });
  for (int reader = 0; reader < 2; ++reader) {
    threads.emplace_back([&] {
      while (!stop) {
        const raft::Index from = wal->stats().first_index;
        const auto entries = wal->Read(from, 4000);
        if (absl::IsOutOfRange(entries.status())) continue;  // Cut, or not yet written.
        EXPECT_OK(entries);
        if (!entries.ok()) return;
        for (size_t i = 0; i < entries->size(); ++i) {
          EXPECT_EQ((*entries)[i].index.value(), from.value() + i);
          EXPECT_EQ(*(*entries)[i].payload, std::to_string(from.value() + i));
        }
        read += entries->size();
      }
    });
  }
  absl::Status status;
  for (uint64_t i = 1; i <= kEntries && status.ok(); ++i) {
    status = wal->Append(
        {.mark = {}, .hard_state = State(1, 0, 0), .entries = {Command(i, 1, std::to_string(i))}});
    if (status.ok() && i % 4 == 0) status = wal->Sync();
    if (status.ok() && i % 200 == 0) status = wal->CutTo(Meta(i - 100, 1, 3));
  }
  EXPECT_OK(status);
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(read, 0u);
  EXPECT_GT(wal->stats().first_index, raft::Index(1000));
}

}  // namespace
}  // namespace gavel::storage
