// The bytes of the log are those of storage/wal/FORMAT.md, and stay so.
#include "storage/wal/format.h"

#include <cstdio>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "storage/wal/wal.h"
#include "tests/storage/wal/wal_test_util.h"
#include "tests/support/crash_disk.h"
#include "tests/support/matchers.h"

namespace gavel::storage {
namespace {

using ::gavel::testing::CrashDisk;
using ::gavel::testing::StatusIs;
using ::testing::HasSubstr;

// "    0010  ab 4f ..." for every sixteen bytes.
std::string HexDump(const std::string& bytes) {
  std::string dump;
  char text[32];
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (i % 16 == 0) {
      std::snprintf(text, sizeof(text), "%s    %04zx ", i == 0 ? "" : "\n", i);
      dump += text;
    }
    std::snprintf(text, sizeof(text), " %02x", static_cast<unsigned char>(bytes[i]));
    dump += text;
  }
  return dump;
}

// The worked example: a reader of FORMAT.md must be able to trust it, and a log written by this
// version must be readable for ever.
TEST(WalFormatTest, TheWorkedExampleIsWhatIsWritten) {
  CrashDisk disk;
  const WalOptions options = {.directory = "/wal", .segment_bytes = 4096};
  ASSERT_OK_AND_ASSIGN(auto wal, Wal::Create(disk, options, Meta(0, 0, 1)));
  ASSERT_OK(wal->Append({.mark = {},
                         .hard_state = State(1, 1, 0),
                         .entries = {Empty(1, 1), Command(2, 1, "hello")}}));
  ASSERT_OK(wal->Sync());
  std::string segment = disk.Contents("/wal/0000000000000001.wal");
  segment.resize((segment.find_last_not_of('\0') + 8) & ~size_t{7});

  std::ifstream file("storage/wal/FORMAT.md");
  ASSERT_TRUE(file.is_open()) << "run from the root of the tree";
  std::stringstream document;
  document << file.rdbuf();
  EXPECT_THAT(document.str(), HasSubstr(HexDump(segment) + "\n"));
}

TEST(WalFormatTest, SegmentNamesRoundTripAndNothingElsePasses) {
  for (const uint64_t id : {uint64_t{1}, uint64_t{0xabc}, UINT64_MAX}) {
    EXPECT_EQ(wal::ParseSegmentName(wal::SegmentName(id)), id);
  }
  EXPECT_EQ(wal::SegmentName(10), "000000000000000a.wal");
  for (const char* name : {"", ".wal", "1.wal", "000000000000000A.wal", "000000000000000a.wal.tmp",
                           "00000000000000-1.wal", "0x0000000000000a.wal", "high-water"}) {
    EXPECT_EQ(wal::ParseSegmentName(name), std::nullopt) << name;
  }
}

TEST(WalFormatTest, EntriesRoundTripWithTheirKinds) {
  for (const raft::Entry& entry :
       {Empty(1, 2), Command(3, 4, ""), Command(5, 6, "payload"), Change(7, 8, 3)}) {
    std::string record;
    wal::AppendEntry(record, entry);
    EXPECT_EQ(record.size() % 8, 0u);
    const wal::RecordHeader header = wal::DecodeHeader(record.data());
    const auto again = wal::DecodeEntry(
        header.detail, std::string_view(record).substr(wal::kRecordHeaderBytes, header.length));
    ASSERT_TRUE(again.has_value());
    EXPECT_EQ(Describe(*again), Describe(entry));
    EXPECT_EQ(again->kind, entry.kind);
    EXPECT_EQ(again->payload == nullptr, entry.payload == nullptr);
  }
}

TEST(WalFormatTest, BodiesOfTheWrongShapeAreNotDecoded) {
  EXPECT_FALSE(wal::DecodeEntry(1, std::string(15, '\0')));
  EXPECT_FALSE(wal::DecodeEntry(0, std::string(17, '\0'))) << "an empty entry with a payload";
  EXPECT_FALSE(wal::DecodeEntry(3, std::string(16, '\0'))) << "no such kind";
  EXPECT_FALSE(wal::DecodeHardState(std::string(23, '\0')));
  EXPECT_FALSE(wal::DecodeTruncate(std::string(8, '\0'))) << "there is no entry 0";
  EXPECT_FALSE(wal::DecodeMark(std::string(15, '\0')));
  EXPECT_FALSE(wal::DecodeMark(std::string(16, '\0') + "no configuration"));
  EXPECT_FALSE(wal::DecodeBatchBody(std::string(55, '\0')));
  EXPECT_FALSE(wal::DecodeSegmentStartBody(std::string(71, '\0')));
}

TEST(WalFormatTest, ThePreambleIsCheckedBeforeItsVersion) {
  std::string preamble = wal::EncodePreamble();
  EXPECT_OK(wal::CheckPreamble(preamble));
  preamble[8] = 9;  // A flipped version is damage, not a newer format.
  EXPECT_THAT(wal::CheckPreamble(preamble), StatusIs(absl::StatusCode::kDataLoss));
}

}  // namespace
}  // namespace gavel::storage
