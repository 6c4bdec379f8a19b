// Recovery after a crash at every disk operation of random workloads.
//
// One batch is under way at most, so the reopened log must hold exactly what was acknowledged, or
// that and the whole batch under way. What Open has returned must survive the next crash.
#include <memory>
#include <string>
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
using ::testing::AnyOf;
using ::testing::Eq;

const WalOptions kOptions = {
    .directory = "/data/wal", .segment_bytes = 4096, .zero_step_bytes = 2048};

// What may be found after a crash.
struct Expected {
  bool created = false;   // Create has returned.
  LogModel acknowledged;  // Synced.
  LogModel under_way;     // And the step that was cut short.
};

// Runs the workload of `seed` until it ends or the disk crashes.
Expected RunWorkload(CrashDisk& disk, uint64_t seed, int steps) {
  raft::Random random(seed);
  Expected expected;
  expected.acknowledged.mark = expected.under_way.mark = Meta(0, 0, 3);
  auto wal = Wal::Create(disk, kOptions, expected.acknowledged.mark);
  if (!wal.ok()) return expected;
  expected.created = true;
  for (int i = 0; i < steps; ++i) {
    const Step step = RandomStep(expected.acknowledged, random);
    expected.under_way = After(expected.acknowledged, step);
    const absl::Status status = CarryOut(**wal, step);
    if (!status.ok()) {
      EXPECT_TRUE(disk.crashed()) << status;
      EXPECT_THAT((*wal)->Sync(), Eq((*wal)->Append({}))) << "an error must stay";
      return expected;
    }
    expected.acknowledged = expected.under_way;
  }
  return expected;
}

// How often the rare cases came up: a test that never meets them proves nothing.
struct Seen {
  int torn_tails = 0;
  int whole_batches_under_way = 0;
  int cut_logs = 0;
  int not_created = 0;
};

// Opens the log; checks it against what may be there; returns what is.
void Reopen(CrashDisk& disk, const Expected& expected, LogModel& found, Seen& seen) {
  auto opened = Wal::Open(disk, kOptions, raft::Index(0));
  if (!expected.created && absl::IsNotFound(opened.status())) {
    ++seen.not_created;
    ASSERT_OK(Wal::Create(disk, kOptions, expected.acknowledged.mark));
    opened = Wal::Open(disk, kOptions, raft::Index(0));
  }
  ASSERT_OK(opened);
  const std::vector<std::string> lines = DescribeContents(opened->contents);
  ASSERT_THAT(lines,
              AnyOf(Eq(expected.acknowledged.Describe()), Eq(expected.under_way.Describe())));
  const bool more = lines != expected.acknowledged.Describe();
  found = more ? expected.under_way : expected.acknowledged;
  seen.whole_batches_under_way += more;
  seen.torn_tails += opened->contents.torn_tail.has_value();
  seen.cut_logs += opened->contents.first_index.value() > 1;
  // Everything between first and last can be read, below the mark too.
  uint64_t next = opened->contents.first_index.value();
  ASSERT_LE(next, found.mark.index.value() + 1);
  while (next <= found.last()) {
    ASSERT_OK_AND_ASSIGN(const auto entries, opened->wal->Read(raft::Index(next), 500));
    for (const raft::Entry& entry : entries) {
      ASSERT_TRUE(found.entries.contains(next));
      ASSERT_EQ(Describe(entry), Describe(found.entries[next]));
      ++next;
    }
  }
}

class WalCrashTest : public ::testing::TestWithParam<CrashMode> {};

TEST_P(WalCrashTest, KeepsEveryAcknowledgedBatchWherePowerFails) {
  constexpr int kSteps = 45;
  Seen seen;
  for (uint64_t seed = 1; seed <= 16; ++seed) {
    uint64_t operations = 0;
    {
      CrashDisk disk;
      RunWorkload(disk, seed, kSteps);
      operations = disk.operations();
    }
    ASSERT_GT(operations, 100u);
    for (uint64_t at = 0; at < operations; ++at) {
      SCOPED_TRACE("seed " + std::to_string(seed) + ", crash after operation " +
                   std::to_string(at));
      CrashDisk disk;
      raft::Random random(seed * 1000003 + at);
      disk.CrashAfter(at);
      Expected expected = RunWorkload(disk, seed, kSteps);
      ASSERT_TRUE(disk.crashed());
      disk.Reboot(GetParam(), random);
      // Half the time, recovery is cut short too.
      if (random.OneIn(2)) {
        disk.CrashAfter(random.Below(6));
        (void)Wal::Open(disk, kOptions, raft::Index(0));
        disk.Reboot(GetParam(), random);
      }
      LogModel found;
      Reopen(disk, expected, found, seen);
      if (HasFatalFailure()) return;

      // Now nothing but what was found may ever be seen.
      expected = {.created = true, .acknowledged = found, .under_way = found};
      const int torn_tails = seen.torn_tails;
      disk.Reboot(CrashMode::kLoseAll, random);
      Reopen(disk, expected, found, seen);
      if (HasFatalFailure()) return;
      ASSERT_EQ(seen.torn_tails, torn_tails) << "the cut did not last";

      // And the log goes on.
      ASSERT_OK_AND_ASSIGN(auto opened, Wal::Open(disk, kOptions, raft::Index(0)));
      for (int i = 0; i < 5; ++i) {
        const Step step = RandomStep(found, random);
        ASSERT_OK(CarryOut(*opened.wal, step));
        found = After(found, step);
      }
      disk.Reboot(CrashMode::kLoseAll, random);
      Reopen(disk, {.created = true, .acknowledged = found, .under_way = found}, found, seen);
      if (HasFatalFailure()) return;
    }
  }
  EXPECT_GT(seen.cut_logs, 1000);
  EXPECT_GT(seen.not_created, 16);
  EXPECT_GT(seen.whole_batches_under_way, 100);
  if (GetParam() == CrashMode::kLoseAll || GetParam() == CrashMode::kKeepAll) {
    EXPECT_EQ(seen.torn_tails, 0);
  } else {
    EXPECT_GT(seen.torn_tails, 10);
  }
}

std::string ModeName(const ::testing::TestParamInfo<CrashMode>& mode) {
  switch (mode.param) {
    case CrashMode::kLoseAll:
      return "LoseAll";
    case CrashMode::kKeepAll:
      return "KeepAll";
    case CrashMode::kTearBy512:
      return "TearBy512";
    case CrashMode::kTearBy4096:
      return "TearBy4096";
  }
  return "";
}

INSTANTIATE_TEST_SUITE_P(Modes, WalCrashTest,
                         ::testing::Values(CrashMode::kLoseAll, CrashMode::kKeepAll,
                                           CrashMode::kTearBy512, CrashMode::kTearBy4096),
                         ModeName);

}  // namespace
}  // namespace gavel::storage
