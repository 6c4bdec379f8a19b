// What the log promises while nothing goes wrong: order, truncation, marks, cutting, reading.
#include "storage/wal/wal.h"

#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "raft/random.h"
#include "tests/storage/wal/log_model.h"
#include "tests/storage/wal/wal_test_util.h"
#include "tests/support/crash_disk.h"
#include "tests/support/matchers.h"

namespace gavel::storage {
namespace {

using ::gavel::testing::CrashDisk;
using ::gavel::testing::CrashMode;
using ::gavel::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class WalTest : public ::testing::Test {
 protected:
  void Create(raft::SnapshotMeta start = Meta(0, 0, 3)) {
    auto created = Wal::Create(disk_, options_, start);
    ASSERT_OK(created);
    wal_ = *std::move(created);
  }

  // Cuts the power and opens what is left.
  WalContents Reopen(uint64_t keep_from = 0) {
    raft::Random random(1);
    wal_.reset();
    disk_.Reboot(CrashMode::kLoseAll, random);
    auto opened = Wal::Open(disk_, options_, raft::Index(keep_from));
    EXPECT_OK(opened);
    if (!opened.ok()) return {};
    wal_ = std::move(opened->wal);
    return std::move(opened->contents);
  }

  void Write(WalBatch batch) {
    ASSERT_OK(wal_->Append(batch));
    ASSERT_OK(wal_->Sync());
    if (batch.hard_state) term_ = batch.hard_state->term;
  }

  void WriteEntries(std::vector<raft::Entry> entries) {
    WalBatch batch = {.mark = {}, .hard_state = {}, .entries = std::move(entries)};
    Write(batch.entries.back().term > term_ ? InTheirTerm(std::move(batch)) : std::move(batch));
  }

  // Writes entries first..last of `term` with payloads of `bytes`, one batch each.
  void WriteRun(uint64_t first, uint64_t last, uint64_t term, size_t bytes) {
    for (uint64_t i = first; i <= last; ++i) {
      WriteEntries({Command(i, term, std::string(bytes, static_cast<char>('a' + i % 26)))});
    }
  }

  std::vector<std::string> Read(uint64_t from, size_t bytes_max = 1 << 20) {
    auto entries = wal_->Read(raft::Index(from), bytes_max);
    EXPECT_OK(entries);
    return entries.ok() ? Describe(*entries) : std::vector<std::string>();
  }

  CrashDisk disk_;
  WalOptions options_ = {.directory = "/data/wal", .segment_bytes = 4096, .zero_step_bytes = 1024};
  std::unique_ptr<Wal> wal_;
  raft::Term term_;  // Of the newest hard state written.
};

TEST_F(WalTest, ANewLogIsEmptyAndKnowsItsStart) {
  Create(Meta(7, 2, 3));
  const WalContents contents = Reopen();
  EXPECT_EQ(contents.start, Meta(7, 2, 3));
  EXPECT_EQ(contents.first_index, raft::Index(8));
  EXPECT_EQ(contents.hard_state, State(2, 0, 0));
  EXPECT_THAT(contents.entries, IsEmpty());
  WriteEntries({Command(8, 2, "eight")});
  EXPECT_THAT(Read(8), ElementsAre("8@2:eight"));
}

TEST_F(WalTest, ASecondLogInTheDirectoryIsRefused) {
  Create();
  EXPECT_THAT(Wal::Create(disk_, options_, Meta(0, 0, 1)),
              StatusIs(absl::StatusCode::kAlreadyExists));
}

TEST_F(WalTest, UnsyncedBatchesAreNotReadAndNotKept) {
  Create();
  WriteEntries({Command(1, 1, "one")});
  ASSERT_OK(
      wal_->Append(InTheirTerm({.mark = {}, .hard_state = {}, .entries = {Command(2, 1, "two")}})));
  EXPECT_THAT(wal_->Read(raft::Index(2), 100), StatusIs(absl::StatusCode::kOutOfRange));
  EXPECT_THAT(Describe(Reopen().entries), ElementsAre("1@1:one"));
}

// Group commit: what was appended between two syncs shares one write and one fdatasync.
TEST_F(WalTest, OneSyncCoversAllAppendedBatches) {
  Create();
  const uint64_t before = disk_.operations();
  for (uint64_t i = 1; i <= 10; ++i) {
    ASSERT_OK(
        wal_->Append(InTheirTerm({.mark = {}, .hard_state = {}, .entries = {Command(i, 1, "x")}})));
  }
  ASSERT_OK(wal_->Sync());
  EXPECT_EQ(disk_.operations() - before, 2u);
  ASSERT_OK(wal_->Sync());  // Nothing new: no disk operation.
  EXPECT_EQ(disk_.operations() - before, 2u);
  EXPECT_THAT(Reopen().entries, SizeIs(10));
}

TEST_F(WalTest, ANewLeadersEntriesReplaceTheOldSuffix) {
  Create();
  WriteEntries({Command(1, 1, "a"), Command(2, 1, "b"), Command(3, 1, "c"), Command(4, 1, "d")});
  Write({.mark = {}, .hard_state = State(2, 3, 1), .entries = {Command(3, 2, "C")}});
  EXPECT_THAT(Read(1), ElementsAre("1@1:a", "2@1:b", "3@2:C"));
  EXPECT_THAT(wal_->Read(raft::Index(4), 1), StatusIs(absl::StatusCode::kOutOfRange));
  const WalContents contents = Reopen();
  EXPECT_THAT(Describe(contents.entries), ElementsAre("1@1:a", "2@1:b", "3@2:C"));
  EXPECT_EQ(contents.hard_state, State(2, 3, 1));
  WriteEntries({Command(4, 2, "D")});
  EXPECT_THAT(Read(2), ElementsAre("2@1:b", "3@2:C", "4@2:D"));
}

// W-5: the truncation reaches back over segments that still hold the old suffix.
TEST_F(WalTest, ATruncationReachesOverSegments) {
  Create();
  WriteRun(1, 40, 1, 500);
  ASSERT_GT(wal_->stats().segments, 4u);
  Write({.mark = {}, .hard_state = State(2, 0, 2), .entries = {Command(3, 2, "new")}});
  EXPECT_THAT(Read(3), ElementsAre("3@2:new"));
  EXPECT_THAT(Reopen().entries, SizeIs(3));
  EXPECT_THAT(Read(3), ElementsAre("3@2:new"));
}

TEST_F(WalTest, CuttingRemovesWholeSegmentsAndKeepsHardStateAndConfiguration) {
  Create(Meta(0, 0, 1));
  Write({.mark = {}, .hard_state = State(4, 2, 0), .entries = {Change(1, 1, 5)}});
  WriteRun(2, 60, 4, 500);
  const uint64_t segments = wal_->stats().segments;
  ASSERT_OK(wal_->CutTo({raft::Index(40), raft::Term(4), Voters(5)}));
  EXPECT_LT(wal_->stats().segments, segments);
  const raft::Index first = wal_->stats().first_index;
  EXPECT_GT(first, raft::Index(30));
  EXPECT_LE(first, raft::Index(40));
  EXPECT_THAT(wal_->Read(first.Previous(), 1), StatusIs(absl::StatusCode::kOutOfRange));

  const WalContents contents = Reopen();
  EXPECT_EQ(contents.hard_state, State(4, 2, 0));
  EXPECT_EQ(contents.start, (raft::SnapshotMeta{raft::Index(40), raft::Term(4), Voters(5)}));
  EXPECT_EQ(contents.first_index, first);
  EXPECT_THAT(contents.entries, SizeIs(20));
  EXPECT_EQ(Read(first.value()).size(), 61 - first.value());
}

// The cut counts live entries only: a segment that holds nothing but replaced ones may go.
TEST_F(WalTest, CuttingRemovesSegmentsOfReplacedEntries) {
  Create();
  WriteRun(1, 3, 1, 100);
  WriteRun(4, 30, 1, 500);
  Write({.mark = {}, .hard_state = State(2, 0, 3), .entries = {Command(4, 2, "new")}});
  ASSERT_OK(wal_->CutTo(Meta(4, 2, 3)));
  EXPECT_EQ(wal_->stats().segments, 1u);
  EXPECT_EQ(wal_->stats().first_index, raft::Index(4));
  EXPECT_THAT(Reopen().entries, IsEmpty());
  EXPECT_THAT(Read(4), ElementsAre("4@2:new"));
}

TEST_F(WalTest, AnOlderCutChangesNothing) {
  Create();
  WriteRun(1, 30, 1, 500);
  ASSERT_OK(wal_->CutTo(Meta(20, 1, 3)));
  const uint64_t operations = disk_.operations();
  ASSERT_OK(wal_->CutTo(Meta(10, 1, 3)));
  EXPECT_EQ(disk_.operations(), operations);
  EXPECT_EQ(Reopen().start, Meta(20, 1, 3));
}

// An installed snapshot makes the log start anew behind it.
TEST_F(WalTest, AMarkStartsTheLogAnew) {
  Create();
  WriteRun(1, 10, 1, 500);
  Write(
      {.mark = Meta(100, 3, 5), .hard_state = State(3, 0, 100), .entries = {Command(101, 3, "x")}});
  EXPECT_THAT(wal_->Read(raft::Index(10), 1), StatusIs(absl::StatusCode::kOutOfRange));
  const WalContents contents = Reopen();
  EXPECT_EQ(contents.start, Meta(100, 3, 5));
  EXPECT_EQ(contents.first_index, raft::Index(101));
  EXPECT_THAT(Describe(contents.entries), ElementsAre("101@3:x"));
  ASSERT_OK(wal_->CutTo(Meta(100, 3, 5)));
  EXPECT_EQ(wal_->stats().segments, 1u);
  EXPECT_THAT(Describe(Reopen().entries), ElementsAre("101@3:x"));
}

TEST_F(WalTest, OpenNamesTheConfigurationInForceWhereItStarts) {
  Create(Meta(0, 0, 1));
  WriteEntries({Command(1, 1, "a"), Change(2, 1, 3), Command(3, 1, "b"), Change(4, 2, 5)});
  EXPECT_EQ(Reopen(1).start, Meta(1, 1, 1));
  EXPECT_EQ(Reopen(2).start, Meta(2, 1, 3));
  EXPECT_EQ(Reopen(3).start, Meta(3, 1, 3));
  const WalContents contents = Reopen(4);
  EXPECT_EQ(contents.start, Meta(4, 2, 5));
  EXPECT_THAT(contents.entries, IsEmpty());
  // The state is ahead of the log: an installed snapshot whose mark was lost.
  EXPECT_EQ(Reopen(9).start, Meta(4, 2, 5));
}

// W-12: an entry larger than a segment makes its segment larger.
TEST_F(WalTest, AnEntryMayBeLargerThanASegment) {
  Create();
  WriteEntries({Command(1, 1, "small")});
  WriteEntries({Command(2, 1, std::string(100000, 'x')), Command(3, 1, "after")});
  WriteEntries({Command(4, 1, "later")});
  EXPECT_THAT(Reopen().entries, SizeIs(4));
  EXPECT_EQ(Read(2)[0].size(), 100004u);
  EXPECT_THAT(Read(3), ElementsAre("3@1:after", "4@1:later"));
}

TEST_F(WalTest, ReadStopsAtTheByteLimitButReturnsOneEntry) {
  Create();
  WriteRun(1, 20, 1, 100);
  EXPECT_THAT(Read(5, 1), SizeIs(1));
  EXPECT_THAT(Read(5, 100), SizeIs(1));
  EXPECT_THAT(Read(5, 101), SizeIs(2));
  EXPECT_THAT(Read(5, 1000), SizeIs(10));
  EXPECT_THAT(wal_->Read(raft::Index(0), 1), StatusIs(absl::StatusCode::kOutOfRange));
}

TEST_F(WalTest, APayloadBeyondTheLimitIsRefusedAndTheLogGoesOn) {
  options_.payload_bytes_max = 10;
  Create();
  EXPECT_THAT(
      wal_->Append({.mark = {},
                    .hard_state = State(1, 1, 0),
                    .entries = {Command(1, 1, "0123456789"), Command(2, 1, "0123456789a")}}),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("entry 2")));
  WriteEntries({Command(1, 1, "0123456789")});
  const WalContents contents = Reopen();
  EXPECT_THAT(Describe(contents.entries), ElementsAre("1@1:0123456789"));
  EXPECT_EQ(contents.hard_state, State(1, 0, 0)) << "the vote went with the batch";
}

TEST_F(WalTest, APreparedSegmentIsUsedAndCounted) {
  Create();
  EXPECT_GE(wal_->stats().reserved_bytes, 3000u);
  int steps = 1;
  for (;; ++steps) {
    ASSERT_OK_AND_ASSIGN(const bool more, wal_->PrepareSegment());
    if (!more) break;
  }
  EXPECT_EQ(steps, 4);
  EXPECT_GE(wal_->stats().reserved_bytes, 7000u);
  WriteRun(1, 8, 1, 500);
  EXPECT_EQ(wal_->stats().segments, 2u);
  EXPECT_EQ(wal_->stats().unprepared_rolls, 0u);
  WriteRun(9, 16, 1, 500);
  EXPECT_EQ(wal_->stats().segments, 4u);
  EXPECT_EQ(wal_->stats().unprepared_rolls, 2u);
  EXPECT_THAT(Reopen().entries, SizeIs(16));
}

TEST_F(WalTest, OpenRemovesHalfMadeFiles) {
  Create();
  ASSERT_OK(wal_->PrepareSegment());
  ASSERT_OK(disk_.SyncDirectory("/data/wal"));
  Reopen();
  ASSERT_OK_AND_ASSIGN(const auto names, disk_.List("/data/wal"));
  EXPECT_THAT(names, ElementsAre("0000000000000001.wal", "high-water"));
}

// Random steps against the model, with reopening, reading and random starting points.
TEST_F(WalTest, BehavesLikeTheModel) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(seed);
    raft::Random random(seed);
    disk_.CreateDirectories("/data").IgnoreError();
    options_.directory = "/data/wal" + std::to_string(seed);
    LogModel model;
    model.mark = Meta(0, 0, 3);
    Create(model.mark);
    for (int i = 0; i < 150; ++i) {
      const Step step = RandomStep(model, random);
      ASSERT_OK(CarryOut(*wal_, step));
      model = After(model, step);
      if (random.OneIn(10)) {
        const uint64_t keep_from = random.Between(model.mark.index.value(), model.last());
        const WalContents contents = Reopen(keep_from);
        ASSERT_EQ(contents.start.index.value(), keep_from);
        ASSERT_EQ(contents.start.term, model.TermAt(keep_from));
        ASSERT_EQ(contents.start.configuration, model.ConfigurationAt(keep_from));
        ASSERT_EQ(contents.hard_state, model.hard_state);
        ASSERT_EQ(contents.entries.size(), model.last() - keep_from);
        ASSERT_FALSE(contents.torn_tail.has_value());
      }
      const uint64_t first = wal_->stats().first_index.value();
      if (first > model.last()) continue;
      const uint64_t from = random.Between(first, model.last());
      ASSERT_OK_AND_ASSIGN(const auto entries, wal_->Read(raft::Index(from), random.Below(9000)));
      for (size_t k = 0; k < entries.size(); ++k) {
        ASSERT_EQ(Describe(entries[k]), Describe(model.entries[from + k]));
      }
    }
    ASSERT_EQ(DescribeContents(Reopen()), model.Describe());
  }
}

using WalDeathTest = WalTest;

TEST_F(WalDeathTest, StopsAtAGapOrAStepBack) {
  Create();
  WriteEntries({Command(1, 2, "a")});
  EXPECT_DEATH((void)wal_->Append({.mark = {}, .hard_state = {}, .entries = {Command(3, 2, "c")}}),
               "check failed");
  EXPECT_DEATH((void)wal_->Append({.mark = {}, .hard_state = {}, .entries = {Command(2, 1, "b")}}),
               "check failed");
  EXPECT_DEATH((void)wal_->CutTo(Meta(2, 2, 3)), "check failed");
}

}  // namespace
}  // namespace gavel::storage
