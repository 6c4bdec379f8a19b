// The log on real files: what is appended and synced is there after reopening.
#include <cstdint>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "storage/disk/posix_disk.h"
#include "storage/wal/wal.h"
#include "tests/storage/wal/wal_test_util.h"
#include "tests/support/matchers.h"
#include "tests/support/temporary_directory.h"

namespace gavel::storage {
namespace {

using ::gavel::testing::StatusIs;
using ::testing::ElementsAre;

class WalPosixTest : public ::testing::Test {
 protected:
  WalOptions Options(uint64_t segment_bytes = 16 << 20) {
    return {.directory = directory_.path() + "/wal", .segment_bytes = segment_bytes};
  }

  testing::TemporaryDirectory directory_;
  PosixDisk disk_;
};

TEST_F(WalPosixTest, KeepsWhatWasSyncedOverReopening) {
  {
    ASSERT_OK_AND_ASSIGN(auto wal, Wal::Create(disk_, Options(), Meta(0, 0, 3)));
    ASSERT_OK(wal->Append({.mark = {},
                           .hard_state = State(1, 2, 0),
                           .entries = {Empty(1, 1), Command(2, 1, "two"), Change(3, 1, 5)}}));
    ASSERT_OK(wal->Sync());
    ASSERT_OK(wal->Append(
        {.mark = {}, .hard_state = State(2, 0, 1), .entries = {Command(3, 2, "three")}}));
    ASSERT_OK(wal->Sync());
    ASSERT_OK(wal->WriteMark());
  }
  ASSERT_OK_AND_ASSIGN(auto opened, Wal::Open(disk_, Options(), raft::Index(0)));
  EXPECT_EQ(opened.contents.hard_state, State(2, 0, 1));
  EXPECT_EQ(opened.contents.start, Meta(0, 0, 3));
  EXPECT_THAT(Describe(opened.contents.entries), ElementsAre("1@1", "2@1:two", "3@2:three"));
  EXPECT_FALSE(opened.contents.torn_tail.has_value());
  ASSERT_OK_AND_ASSIGN(auto read, opened.wal->Read(raft::Index(2), 1 << 20));
  EXPECT_THAT(Describe(read), ElementsAre("2@1:two", "3@2:three"));
}

TEST_F(WalPosixTest, GoesOnInAPreparedSegmentAndReadsOverTheBoundary) {
  const WalOptions options = Options(8192);
  {
    ASSERT_OK_AND_ASSIGN(auto wal, Wal::Create(disk_, options, Meta(0, 0, 1)));
    for (uint64_t index = 1; index <= 200; ++index) {
      for (;;) {
        ASSERT_OK_AND_ASSIGN(const bool more, wal->PrepareSegment());
        if (!more) break;
      }
      ASSERT_OK(wal->Append({.mark = {},
                             .hard_state = State(1, 0, 0),
                             .entries = {Command(index, 1, std::string(300, 'x'))}}));
      ASSERT_OK(wal->Sync());
    }
    EXPECT_EQ(wal->stats().unprepared_rolls, 0u);
    EXPECT_GT(wal->stats().segments, 5u);
  }
  ASSERT_OK_AND_ASSIGN(auto opened, Wal::Open(disk_, options, raft::Index(190)));
  EXPECT_EQ(opened.contents.entries.size(), 10u);
  EXPECT_EQ(opened.contents.start.index, raft::Index(190));
  ASSERT_OK_AND_ASSIGN(auto read, opened.wal->Read(raft::Index(1), 1 << 20));
  ASSERT_EQ(read.size(), 200u);
  EXPECT_EQ(read[150].index, raft::Index(151));
  EXPECT_THAT(opened.wal->Read(raft::Index(201), 1), StatusIs(absl::StatusCode::kOutOfRange));
}

TEST_F(WalPosixTest, SaysThatThereIsNoLog) {
  EXPECT_THAT(Wal::Open(disk_, Options(), raft::Index(0)), StatusIs(absl::StatusCode::kNotFound));
}

}  // namespace
}  // namespace gavel::storage
