// The double block: a crash or one damaged slot never costs more than the newest write.
#include "storage/disk/double_block.h"

#include <string>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "raft/random.h"
#include "storage/disk/crc32c.h"
#include "tests/support/crash_disk.h"
#include "tests/support/matchers.h"

namespace gavel::storage {
namespace {

using ::gavel::testing::CrashDisk;
using ::gavel::testing::CrashMode;
using ::gavel::testing::StatusIs;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr BlockFormat kFormat = {.magic = "TESTBLOK", .version = 3};
const char kPath[] = "/data/block";

// RFC 3720, appendix B.4.
TEST(Crc32cTest, MatchesTheStandardAndChains) {
  EXPECT_EQ(Crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(Crc32c(std::string(32, '\xff')), 0x62a8ab43u);
  EXPECT_EQ(Crc32c(""), 0u);
  EXPECT_EQ(Crc32c("6789", Crc32c("12345")), Crc32c("123456789"));
}

class DoubleBlockTest : public ::testing::Test {
 protected:
  DoubleBlockTest() { EXPECT_OK(disk_.CreateDirectories("/data")); }
  CrashDisk disk_;
};

TEST_F(DoubleBlockTest, KeepsTheNewestBody) {
  ASSERT_OK_AND_ASSIGN(auto block, DoubleBlock::Create(disk_, kPath, kFormat, "first"));
  for (const char* body : {"second", "third", "", "fifth"}) {
    ASSERT_OK(block.Write(body));
    ASSERT_OK_AND_ASSIGN(const auto again, DoubleBlock::Open(disk_, kPath, kFormat));
    EXPECT_EQ(again.body(), body);
    EXPECT_FALSE(again.slot_lost());
  }
  EXPECT_THAT(DoubleBlock::Open(disk_, "/data/other", kFormat),
              StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(DoubleBlockTest, ACrashAtAnyOperationLeavesTheOldOrTheNewBody) {
  for (const CrashMode mode : {CrashMode::kLoseAll, CrashMode::kKeepAll, CrashMode::kTearBy512}) {
    for (uint64_t at = 0; at < 40; ++at) {
      SCOPED_TRACE(at);
      CrashDisk disk;
      raft::Random random(at);
      ASSERT_OK(disk.CreateDirectories("/data"));
      disk.CrashAfter(at);
      int acknowledged = -1;
      auto block = DoubleBlock::Create(disk, kPath, kFormat, "0");
      if (block.ok()) {
        acknowledged = 0;
        while (acknowledged < 9 && block->Write(std::to_string(acknowledged + 1)).ok()) {
          ++acknowledged;
        }
      }
      disk.Reboot(mode, random);
      const auto again = DoubleBlock::Open(disk, kPath, kFormat);
      if (acknowledged < 0 && absl::IsNotFound(again.status())) {
        EXPECT_OK(DoubleBlock::Create(disk, kPath, kFormat, "0"));
        continue;
      }
      ASSERT_OK(again);
      const int found = std::stoi(again->body());
      EXPECT_GE(found, acknowledged);
      EXPECT_LE(found, acknowledged + 1);
    }
  }
}

TEST_F(DoubleBlockTest, EveryFlippedByteOfOneSlotFallsBackToTheOther) {
  ASSERT_OK_AND_ASSIGN(auto block, DoubleBlock::Create(disk_, kPath, kFormat, "old body"));
  ASSERT_OK(block.Write("new body"));
  for (uint64_t offset = 0; offset < 28 + 8; ++offset) {
    SCOPED_TRACE(offset);
    for (const uint64_t slot : {0u, 4096u}) {
      disk_.FlipBits(kPath, slot + offset, 0x10);
      ASSERT_OK_AND_ASSIGN(const auto again, DoubleBlock::Open(disk_, kPath, kFormat));
      EXPECT_TRUE(again.slot_lost());
      // Create fills slot 0 and then slot 1, so the write is in slot 0.
      EXPECT_EQ(again.body(), slot == 0 ? "old body" : "new body");
      disk_.FlipBits(kPath, slot + offset, 0x10);
    }
  }
}

TEST_F(DoubleBlockTest, TwoDamagedSlotsAreDataLoss) {
  ASSERT_OK(DoubleBlock::Create(disk_, kPath, kFormat, "body"));
  disk_.FlipBits(kPath, 30, 1);
  disk_.FlipBits(kPath, 4096 + 30, 1);
  EXPECT_THAT(DoubleBlock::Open(disk_, kPath, kFormat),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr(kPath)));
}

TEST_F(DoubleBlockTest, AShortFileIsDataLossAndAHugeLengthIsDamage) {
  auto file = disk_.Open(kPath, OpenMode::kCreate);
  ASSERT_OK(file);
  EXPECT_THAT(DoubleBlock::Open(disk_, kPath, kFormat), StatusIs(absl::StatusCode::kDataLoss));
  ASSERT_OK((*file)->WriteAt(0, "TESTBLOK\x03\0\0\0\xff\xff\xff\xff"));
  EXPECT_THAT(DoubleBlock::Open(disk_, kPath, kFormat), StatusIs(absl::StatusCode::kDataLoss));
}

TEST_F(DoubleBlockTest, ANewerVersionIsRefusedByName) {
  ASSERT_OK(DoubleBlock::Create(disk_, kPath, {.magic = "TESTBLOK", .version = 4}, "body"));
  EXPECT_THAT(DoubleBlock::Open(disk_, kPath, kFormat),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr("version 4"), HasSubstr("up to 3"))));
}

}  // namespace
}  // namespace gavel::storage
