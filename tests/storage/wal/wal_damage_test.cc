// Damage at rest: what lies below the high-water mark is reported and left alone, what lies above
// it is cut and told.
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "raft/limits.h"
#include "raft/random.h"
#include "storage/disk/crc32c.h"
#include "storage/disk/little_endian.h"
#include "storage/wal/batch_writer.h"
#include "storage/wal/format.h"
#include "storage/wal/recovery.h"
#include "storage/wal/wal.h"
#include "tests/storage/wal/wal_test_util.h"
#include "tests/support/crash_disk.h"
#include "tests/support/matchers.h"

namespace gavel::storage {
namespace {

using ::gavel::testing::CrashDisk;
using ::gavel::testing::CrashMode;
using ::gavel::testing::StatusIs;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr uint64_t kHighest = std::numeric_limits<uint64_t>::max();
constexpr absl::StatusCode kDataLoss = absl::StatusCode::kDataLoss;

class WalDamageTest : public ::testing::Test {
 protected:
  // A log of three segments with every kind of record.
  void Build() {
    ASSERT_OK_AND_ASSIGN(wal_, Wal::Create(disk_, options_, Meta(0, 0, 3)));
    Write({.mark = {}, .hard_state = State(1, 2, 0), .entries = {Empty(1, 1), Change(2, 1, 3)}});
    Write({.mark = {}, .hard_state = {}, .entries = {Command(3, 1, std::string(700, 'x'))}});
    Write({.mark = {}, .hard_state = State(2, 1, 2), .entries = {Command(3, 2, "replaced")}});
    ASSERT_OK(wal_->CutTo(Meta(2, 1, 3)));
    Write({.mark = {}, .hard_state = {}, .entries = {Command(4, 2, std::string(900, 'y'))}});
    Write({.mark = {}, .hard_state = {}, .entries = {Command(5, 2, std::string(900, 'z'))}});
    Write({.mark = {}, .hard_state = State(2, 1, 4), .entries = {Command(6, 2, "six")}});
    ASSERT_EQ(wal_->stats().segments, 3u);
  }

  void Write(const WalBatch& batch) {
    ASSERT_OK(wal_->Append(batch));
    ASSERT_OK(wal_->Sync());
  }

  // Where the data of the last segment ends.
  uint64_t End() { return Recovered().tail.position.offset; }

  wal::Recovered Recovered() {
    auto recovered = wal::Recover(disk_, options_, raft::Index(0));
    EXPECT_OK(recovered);
    return *std::move(recovered);
  }

  std::string Segment(uint64_t id) { return "/data/wal/" + wal::SegmentName(id); }

  absl::StatusOr<Wal::Opened> Open(CrashDisk& disk) {
    return Wal::Open(disk, options_, raft::Index(0));
  }

  std::unique_ptr<CrashDisk> Clone() {
    raft::Random random(1);
    return disk_.CloneAfterCrash(CrashMode::kKeepAll, random);
  }

  CrashDisk disk_;
  WalOptions options_ = {.directory = "/data/wal", .segment_bytes = 2048, .zero_step_bytes = 1024};
  std::unique_ptr<Wal> wal_;
};

TEST_F(WalDamageTest, EveryFlippedByteBelowTheMarkIsReportedAndNothingIsTouched) {
  Build();
  const std::vector<uint64_t> ends = {0, 0, End()};
  for (uint64_t id = 1; id <= 3; ++id) {
    uint64_t end = ends[id - 1];
    if (end == 0) {
      // The next segment's start says where the data of this one ends.
      const std::string next = disk_.Contents(Segment(id + 1));
      end = LoadLittleEndian<uint64_t>(next.data() + wal::kPreambleBytes + wal::kRecordHeaderBytes);
    }
    ASSERT_GT(end, 300u);
    for (uint64_t offset = 0; offset < end; ++offset) {
      SCOPED_TRACE("segment " + std::to_string(id) + " offset " + std::to_string(offset));
      const auto mask = static_cast<uint8_t>(1u << (offset % 8));
      disk_.FlipBits(Segment(id), offset, mask);
      const uint64_t operations = disk_.operations();
      ASSERT_THAT(Open(disk_),
                  StatusIs(kDataLoss, AllOf(HasSubstr(Segment(id)), HasSubstr("damaged at offset "),
                                            HasSubstr("Restore this directory"))));
      ASSERT_EQ(disk_.operations(), operations);
      disk_.FlipBits(Segment(id), offset, mask);
    }
  }
  EXPECT_OK(Open(disk_));
}

TEST_F(WalDamageTest, AFlipAboveTheMarkCutsTheLastBatch) {
  Build();
  const uint64_t start = End();  // Reading it also moved the mark here.
  Write({.mark = {},
         .hard_state = State(3, 3, 5),
         .entries = {Command(7, 3, "seven"), Command(8, 3, "eight")}});
  const std::string whole = disk_.Contents(Segment(3));
  const uint64_t end = whole.find_last_not_of('\0') + 1;
  ASSERT_GT(end, start + 100);
  for (uint64_t offset = start; offset < end; ++offset) {
    SCOPED_TRACE(offset);
    auto disk = Clone();
    disk->FlipBits(Segment(3), offset, static_cast<uint8_t>(1u << (offset % 8)));
    auto opened = Open(*disk);
    ASSERT_OK(opened);
    ASSERT_TRUE(opened->contents.torn_tail.has_value());
    EXPECT_EQ(opened->contents.torn_tail->file, Segment(3));
    EXPECT_EQ(opened->contents.torn_tail->offset, start);
    EXPECT_EQ(opened->contents.torn_tail->last_index, raft::Index(6));
    EXPECT_THAT(opened->contents.torn_tail->reason, HasSubstr("at offset "));
    ASSERT_THAT(opened->contents.entries, SizeIs(4));
    EXPECT_EQ(opened->contents.hard_state, State(2, 1, 4));
    // The cut is physical: the torn bytes are gone.
    EXPECT_EQ(disk->Contents(Segment(3)).find_last_not_of('\0'),
              whole.find_last_not_of('\0', start - 1));
  }
}

// The batch after a damaged one carries a mark that covers it, however it is damaged.
TEST_F(WalDamageTest, ALaterBatchProvesThatTheOneBeforeWasDurable) {
  Build();
  const uint64_t start = End();
  Write({.mark = {}, .hard_state = {}, .entries = {Command(7, 2, "seven")}});
  const uint64_t middle = disk_.Contents(Segment(3)).find_last_not_of('\0') + 1;
  Write({.mark = {}, .hard_state = {}, .entries = {Command(8, 2, "eight")}});
  for (uint64_t offset = start; offset < middle; ++offset) {
    SCOPED_TRACE(offset);
    auto disk = Clone();
    disk->FlipBits(Segment(3), offset, 0xff);
    ASSERT_THAT(Open(*disk), StatusIs(kDataLoss, HasSubstr("below a later batch")));
  }
  auto disk = Clone();
  disk->Overwrite(Segment(3), start, std::string((middle - start) & ~7u, '\0'));
  EXPECT_THAT(Open(*disk), StatusIs(kDataLoss, HasSubstr("below a later batch")));
}

TEST_F(WalDamageTest, ALostBatchIsMissedOnlyBelowTheMark) {
  Build();
  const uint64_t start = End();
  Write({.mark = {}, .hard_state = {}, .entries = {Command(7, 2, "seven")}});
  auto disk = Clone();
  disk->Overwrite(Segment(3), start, std::string(options_.segment_bytes - start, '\0'));
  ASSERT_OK_AND_ASSIGN(auto opened, Open(*disk));
  EXPECT_FALSE(opened.contents.torn_tail.has_value());
  EXPECT_THAT(opened.contents.entries, SizeIs(4));

  ASSERT_OK(wal_->WriteMark());
  disk = Clone();
  disk->Overwrite(Segment(3), start, std::string(options_.segment_bytes - start, '\0'));
  EXPECT_THAT(Open(*disk),
              StatusIs(kDataLoss, AllOf(HasSubstr("only zeros from here on"),
                                        HasSubstr("high-water mark"), HasSubstr("at entry 7"))));
}

TEST_F(WalDamageTest, BytesThatMeanNothingAreIgnoredOrCut) {
  Build();
  const uint64_t end = End();
  disk_.FlipBits(Segment(1), options_.segment_bytes - 1, 1);  // Behind the data of a full segment.
  EXPECT_OK(Open(disk_));
  disk_.Overwrite(Segment(3), end + 100, "garbage");
  ASSERT_OK_AND_ASSIGN(auto opened, Open(disk_));
  ASSERT_TRUE(opened.contents.torn_tail.has_value());
  EXPECT_EQ(opened.contents.torn_tail->offset, end);
  ASSERT_OK_AND_ASSIGN(opened, Open(disk_));
  EXPECT_FALSE(opened.contents.torn_tail.has_value());
}

TEST_F(WalDamageTest, AMissingSegmentIsReported) {
  Build();
  for (uint64_t id = 1; id <= 3; ++id) {
    auto disk = Clone();
    ASSERT_OK(disk->Remove(Segment(id)));
    const absl::Status status = Open(*disk).status();
    EXPECT_THAT(status, StatusIs(kDataLoss, HasSubstr("missing")));
  }
  for (uint64_t id = 1; id <= 3; ++id) ASSERT_OK(disk_.Remove(Segment(id)));
  EXPECT_THAT(Open(disk_), StatusIs(kDataLoss, HasSubstr("all segments are missing")));
}

TEST_F(WalDamageTest, ASegmentOfAnotherPlaceOrLifeIsReported) {
  Build();
  const std::string second = disk_.Contents(Segment(2));
  auto disk = Clone();
  disk->Overwrite(Segment(3), 0, second);
  EXPECT_THAT(Open(*disk), StatusIs(kDataLoss, HasSubstr("another segment")));

  // The same segment of a log that was written in another way: whole in itself.
  CrashDisk other;
  ASSERT_OK_AND_ASSIGN(auto wal, Wal::Create(other, options_, Meta(0, 0, 3)));
  for (uint64_t i = 1; i <= 6; ++i) {
    ASSERT_OK(wal->Append({.mark = {},
                           .hard_state = State(1, 0, 0),
                           .entries = {Command(i, 1, std::string(600, 'q'))}}));
    ASSERT_OK(wal->Sync());
  }
  disk = Clone();
  disk->Overwrite(Segment(2), 0, other.Contents(Segment(2)));
  EXPECT_THAT(Open(*disk), StatusIs(kDataLoss, HasSubstr("continues a log that ends at")));
}

// W-8: a whole batch of an earlier life, at the right place with the right numbers, is not ours.
TEST_F(WalDamageTest, AStaleBatchIsToldByTheChain) {
  const auto write = [&](CrashDisk& disk, const std::string& first) {
    auto wal = Wal::Create(disk, options_, Meta(0, 0, 1));
    ASSERT_OK(wal);
    for (const std::string& text : {first, std::string("same")}) {
      const uint64_t index = (*wal)->stats().last_index.value() + 1;
      ASSERT_OK((*wal)->Append(
          {.mark = {}, .hard_state = State(1, 0, 0), .entries = {Command(index, 1, text)}}));
      ASSERT_OK((*wal)->Sync());
    }
  };
  CrashDisk earlier;
  write(earlier, "first");
  write(disk_, "FIRST");
  const std::string ours = disk_.Contents(Segment(1));
  const std::string stale = earlier.Contents(Segment(1));
  // The second batches differ only in what chains them to the first.
  size_t start = ours.find("FIRST");
  start = (start + 5 + 7) & ~size_t{7};
  ASSERT_NE(ours.substr(start), stale.substr(start));
  disk_.Overwrite(Segment(1), start, stale.substr(start));
  ASSERT_OK_AND_ASSIGN(auto opened, Open(disk_));
  EXPECT_THAT(Describe(opened.contents.entries), ElementsAre("1@1:FIRST"));
  ASSERT_TRUE(opened.contents.torn_tail.has_value());
  EXPECT_THAT(opened.contents.torn_tail->reason, HasSubstr("does not continue"));
}

// W-10: a length is compared with the file before anything is allocated for it.
TEST_F(WalDamageTest, AHugeLengthIsDamageNotMemory) {
  ASSERT_OK_AND_ASSIGN(wal_, Wal::Create(disk_, options_, Meta(0, 0, 1)));
  const uint64_t start = End();
  Write({.mark = {}, .hard_state = State(1, 0, 0), .entries = {Command(1, 1, "one")}});
  std::string bytes = disk_.Contents(Segment(1));

  auto disk = Clone();
  std::string length;
  AppendLittleEndian(length, uint32_t{0xfffffff0});
  disk->Overwrite(Segment(1), start + wal::kBatchRecordBytes + 4, length);
  ASSERT_OK_AND_ASSIGN(auto opened, Open(*disk));
  EXPECT_THAT(opened.contents.torn_tail->reason, HasSubstr("does not fit its batch"));

  // The same for the size of the batch, this time with checksums that agree.
  disk = Clone();
  StoreLittleEndian(bytes.data() + start + wal::kRecordHeaderBytes, uint64_t{1} << 60);
  const wal::RecordHeader lead = wal::DecodeHeader(bytes.data() + start);
  wal::SealRecord(bytes.data() + start, wal::kBatchRecordBytes, lead.segment, lead.sequence);
  disk->Overwrite(Segment(1), 0, bytes);
  ASSERT_OK_AND_ASSIGN(opened, Open(*disk));
  EXPECT_THAT(opened.contents.torn_tail->reason, HasSubstr("does not fit the file"));
}

// W-11 and its relatives: checksums that agree do not excuse records that make no sense.
TEST_F(WalDamageTest, RecordsThatContradictTheLogAreReported) {
  struct Case {
    void (*fill)(wal::BatchWriter& writer);
    const char* message;
  };
  const Case cases[] = {
      {[](auto& w) { w.AddEntry(Command(9, 2, "gap")); }, "entry 9 of term 2 after entry 6"},
      {[](auto& w) { w.AddEntry(Command(6, 2, "again")); }, "entry 6 of term 2 after entry 6"},
      {[](auto& w) { w.AddEntry(Command(7, 1, "old")); }, "entry 7 of term 1 after entry 6"},
      {[](auto& w) { w.AddEntry(Command(7, 0, "none")); }, "entry 7 of term 0 after entry 6"},
      {[](auto& w) { w.AddTruncate(raft::Index(2)); }, "a truncation from 2 of a log from 2 to 6"},
      {[](auto& w) { w.AddTruncate(raft::Index(8)); }, "a truncation from 8 of a log from 2 to 6"},
      {[](auto& w) { w.AddMark(Meta(1, 1, 3), false); }, "a mark at 1 in a log from 2 to 6"},
      {[](auto& w) { w.AddMark(Meta(9, 1, 3), false); }, "a mark at 9 in a log from 2 to 6"},
      {[](auto& w) { w.AddHardState(State(1, 0, 0)); }, "term 1 after term 2"},
      // The consensus core takes these for bugs.
      {[](auto& w) { w.AddEntry(Command(7, 3, "later")); },
       "at entry 7: entry 7 has term 3, but the member has only entered term 2"},
      {[](auto& w) {
         raft::Entry change = Change(7, 2, 3);
         change.payload = std::make_shared<const std::string>(change.payload->substr(1));
         w.AddEntry(change);
       },
       "entry 7: configuration: format version"},
      // From such numbers nothing could be counted on.
      {[](auto& w) { w.AddHardState(State(kHighest, 0, 0)); },
       "term 18446744073709551615 is above 72057594037927936, the last there can be"},
      {[](auto& w) { w.AddHardState(State(raft::kTermMax.value() + 1, 0, 0)); }, "is above"},
      {[](auto& w) { w.AddEntry(Command(7, kHighest, "last")); },
       "term 18446744073709551615 is above"},
      {[](auto& w) { w.AddMark(Meta(kHighest, 2, 3), true); },
       "index 18446744073709551615 is above"},
      {[](auto& w) { w.AddMark(Meta(9, kHighest, 3), true); }, "is above"},
  };
  Build();
  const wal::Position at = Recovered().tail.position;
  for (const Case& c : cases) {
    SCOPED_TRACE(c.message);
    wal::BatchWriter writer;
    c.fill(writer);
    wal::Position after = at;
    auto disk = Clone();
    disk->Overwrite(Segment(3), at.offset, writer.Finish(after, at));
    EXPECT_THAT(Open(*disk), StatusIs(kDataLoss, HasSubstr(c.message)));
  }
}

TEST_F(WalDamageTest, ANewerVersionIsRefusedByName) {
  Build();
  std::string preamble = wal::EncodePreamble();
  StoreLittleEndian(preamble.data() + 8, wal::kFormatVersion + 1);
  StoreLittleEndian(preamble.data() + 12, Crc32c(std::string_view(preamble).substr(0, 12)));
  for (uint64_t id = 1; id <= 3; ++id) {
    auto disk = Clone();
    disk->Overwrite(Segment(id), 0, preamble);
    const uint64_t operations = disk->operations();
    EXPECT_THAT(Open(*disk),
                StatusIs(absl::StatusCode::kFailedPrecondition,
                         AllOf(HasSubstr("format version 2"), HasSubstr("versions up to 1"),
                               HasSubstr("newer gaveld"))));
    EXPECT_EQ(disk->operations(), operations);
  }
}

TEST_F(WalDamageTest, OneDamagedCopyOfTheMarkIsHealedTwoAreReported) {
  Build();
  ASSERT_OK(wal_->WriteMark());
  const std::string path = "/data/wal/high-water";
  for (const uint64_t offset : {0u, 10u, 30u, 60u, 4096u, 4106u, 4126u, 4156u}) {
    SCOPED_TRACE(offset);
    auto disk = Clone();
    disk->FlipBits(path, offset, 4);
    EXPECT_OK(Open(*disk));
    // Healed: now the other copy may be lost.
    disk->FlipBits(path, offset < 4096 ? 4126 : 30, 4);
    EXPECT_OK(Open(*disk));
  }
  disk_.FlipBits(path, 30, 1);
  disk_.FlipBits(path, 4126, 1);
  EXPECT_THAT(Open(disk_), StatusIs(kDataLoss, HasSubstr(path)));
  ASSERT_OK(disk_.Remove(path));
  EXPECT_THAT(Open(disk_), StatusIs(kDataLoss, HasSubstr(path)));
}

// A stored entry that goes bad while the log is in use is told to the reader.
TEST_F(WalDamageTest, ReadReportsADamagedEntry) {
  Build();
  const uint64_t offset = disk_.Contents(Segment(2)).find("yyyy");
  disk_.FlipBits(Segment(2), offset + 400, 8);
  EXPECT_OK(wal_->Read(raft::Index(5), 1));
  EXPECT_THAT(wal_->Read(raft::Index(4), 1),
              StatusIs(kDataLoss, AllOf(HasSubstr(Segment(2)), HasSubstr("entry 4"))));
  Write({.mark = {}, .hard_state = {}, .entries = {Command(7, 2, "goes on")}});
}

}  // namespace
}  // namespace gavel::storage
