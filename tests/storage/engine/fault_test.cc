// RocksDB on a disk that fails: what was called durable stays, an error is never swallowed, and a
// full disk passes.
#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "storage/engine/rocks_engine.h"
#include "tests/storage/engine/crash_file_system.h"
#include "tests/storage/engine/crash_workload.h"
#include "tests/support/matchers.h"

namespace gavel::storage {
namespace {

using ::gavel::testing::StatusIs;
using Failure = CrashFileSystem::Failure;
using Operation = CrashFileSystem::Operation;

struct Case {
  const char* name;
  CrashFileSystem::Fault fault;
};

class TerminalFaultTest : public ::testing::TestWithParam<Case> {};

INSTANTIATE_TEST_SUITE_P(
    Faults, TerminalFaultTest,
    ::testing::Values(
        Case{"WriteOfADataFile", {.operations = {Operation::kAppend}, .name_contains = ".sst"}},
        Case{"CreationOfADataFile", {.operations = {Operation::kCreate}, .name_contains = ".sst"}},
        Case{"OneSyncOfADataFile",
             {.failure = Failure::kSyncLosesPages,
              .operations = {Operation::kSync},
              .name_contains = ".sst",
              .count = 1}},
        Case{"WriteOfTheManifest",
             {.operations = {Operation::kAppend}, .name_contains = "MANIFEST"}},
        Case{"OneSyncOfTheManifest",
             {.failure = Failure::kSyncLosesPages,
              .operations = {Operation::kSync},
              .name_contains = "MANIFEST",
              .count = 1}},
        Case{"OneSyncOfTheDirectory", {.operations = {Operation::kSyncDirectory}, .count = 1}}),
    [](const auto& param_info) { return param_info.param.name; });

// The flush that meets the error fails, and so does everything after it, though the disk would
// work again; reads go on; nothing that was called durable is lost.
TEST_P(TerminalFaultTest, IsReportedLatchedAndLosesNothing) {
  raft::Random random(1);
  auto files = std::make_shared<CrashFileSystem>();
  CrashWorkload workload(1);
  auto engine = OpenOn(files);
  ASSERT_OK(engine);
  for (int i = 0; i < 20; ++i) ASSERT_OK(workload.WriteNext(**engine));
  ASSERT_OK(workload.Flush(**engine));
  for (int i = 0; i < 5; ++i) ASSERT_OK(workload.WriteNext(**engine));
  files->SetFault(GetParam().fault);
  EXPECT_THAT(workload.Flush(**engine), StatusIs(absl::StatusCode::kInternal));
  EXPECT_GT(files->failures(), 0u);
  EXPECT_THAT((*engine)->health(), StatusIs(absl::StatusCode::kInternal));
  files->ClearFault();
  EXPECT_THAT(workload.Flush(**engine), StatusIs(absl::StatusCode::kInternal));
  EXPECT_THAT(workload.WriteNext(**engine), StatusIs(absl::StatusCode::kInternal));
  absl::Status background;
  {
    std::promise<absl::Status> answer;
    (*engine)->FlushInBackground([&](absl::Status status) { answer.set_value(status); });
    background = answer.get_future().get();
  }
  EXPECT_THAT(background, StatusIs(absl::StatusCode::kInternal));
  std::string value;
  EXPECT_OK((*engine)->Get(Family::kMeta, "applied", &value));
  EXPECT_EQ(value, "25");
  EXPECT_EQ(workload.acknowledged(), 20u);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(workload.Check(files->Crash(random), 20), "");
}

// A fault anywhere in the work: the engine may fail at once, later or never, but what it called
// durable before is there after a crash.
TEST(FaultTest, NoFaultMakesItLie) {
  raft::Random random(17);
  int struck = 0;
  int failed = 0;
  // How far the engine's own threads get, and so which faults strike, differs from run to run.
  for (uint64_t seed = 1; seed <= 30 || (seed <= 150 && (struck <= 7 || failed <= 4)); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    auto files = std::make_shared<CrashFileSystem>();
    CrashWorkload workload(seed);
    {
      auto engine = OpenOn(files);
      ASSERT_OK(engine);
      CrashFileSystem::Fault fault;
      constexpr Operation kOperations[] = {Operation::kCreate,        Operation::kAppend,
                                           Operation::kSync,          Operation::kRename,
                                           Operation::kSyncDirectory, Operation::kDelete};
      fault.operations = {kOperations[random.Below(6)]};
      fault.failure = random.OneIn(2) ? Failure::kIoError : Failure::kSyncLosesPages;
      constexpr const char* kNames[] = {"", ".sst", "MANIFEST", "CURRENT"};
      fault.name_contains = kNames[random.Below(4)];
      fault.after = random.Below(20);
      fault.count = random.OneIn(2) ? 1 : 1000;
      files->SetFault(fault);
      workload.Run(**engine, 80);
      if (!(*engine)->health().ok()) ++failed;
    }
    if (files->failures() > 0) ++struck;
    files->ClearFault();
    for (int i = 0; i < 3; ++i) {
      ASSERT_EQ(workload.Check(files->Crash(random), workload.acknowledged()), "");
    }
  }
  EXPECT_GT(struck, 7);
  EXPECT_GT(failed, 4);
}

// Whichever directory sync of a checkpoint fails, the engine is not trusted again.
TEST(FaultTest, AFailedSyncOfACheckpointIsLatched) {
  int failed = 0;
  for (uint64_t after = 0; after < 8; ++after) {
    SCOPED_TRACE("after " + std::to_string(after));
    auto files = std::make_shared<CrashFileSystem>();
    CrashWorkload workload(1);
    auto engine = OpenOn(files);
    ASSERT_OK(engine);
    for (int i = 0; i < 20; ++i) ASSERT_OK(workload.WriteNext(**engine));
    files->SetFault({.operations = {Operation::kSyncDirectory}, .after = after, .count = 1});
    const absl::Status status = (*engine)->Checkpoint("/checkpoint");
    EXPECT_EQ(status.ok(), (*engine)->health().ok()) << status;
    if (!status.ok()) ++failed;
  }
  EXPECT_GT(failed, 0);
  EXPECT_LT(failed, 8);
}

// RocksDB would open without the file that repeats its options; but a disk that fails one sync
// is not to be trusted with the next.
TEST(FaultTest, AFailedSyncOfTheOptionsFailsTheOpening) {
  for (const Operation operation : {Operation::kSync, Operation::kAppend}) {
    auto files = std::make_shared<CrashFileSystem>();
    files->SetFault({.operations = {operation}, .name_contains = "OPTIONS", .count = 1});
    EXPECT_THAT(OpenOn(files), StatusIs(absl::StatusCode::kInternal));
    EXPECT_EQ(files->failures(), 1u);
    EXPECT_OK(OpenOn(files));
  }
}

// RocksDB stops the process at the second line that it cannot write to a file of messages.
TEST(FaultTest, TheEngineWritesNoMessagesToAFile) {
  auto files = std::make_shared<CrashFileSystem>();
  files->SetFault({.operations = {Operation::kCreate, Operation::kAppend},
                   .name_contains = "LOG",
                   .count = 1000});
  CrashWorkload workload(1);
  auto engine = OpenOn(files);
  ASSERT_OK(engine);
  for (int i = 0; i < 20; ++i) ASSERT_OK(workload.WriteNext(**engine));
  ASSERT_OK(workload.Flush(**engine));
  EXPECT_EQ(files->failures(), 0u);
}

// A full disk is no terminal error: writes are refused until there is space, then all goes on.
TEST(FaultTest, AFullDiskPasses) {
  for (const char* name : {".sst", "MANIFEST"}) {
    SCOPED_TRACE(name);
    raft::Random random(2);
    auto files = std::make_shared<CrashFileSystem>();
    CrashWorkload workload(2);
    auto engine = OpenOn(files);
    ASSERT_OK(engine);
    for (int i = 0; i < 20; ++i) ASSERT_OK(workload.WriteNext(**engine));
    ASSERT_OK(workload.Flush(**engine));
    for (int i = 0; i < 5; ++i) ASSERT_OK(workload.WriteNext(**engine));
    files->SetFault({.failure = Failure::kNoSpace,
                     .operations = {Operation::kAppend, Operation::kCreate},
                     .name_contains = name});
    EXPECT_THAT(workload.Flush(**engine), StatusIs(absl::StatusCode::kResourceExhausted));
    EXPECT_OK((*engine)->health());
    EXPECT_THAT((*engine)->Write(RandomBatch(random, 3, 10)),
                StatusIs(absl::StatusCode::kResourceExhausted));
    uint64_t applied = 0;
    EXPECT_EQ(workload.CheckEngine(**engine, 25, &applied), "");
    EXPECT_EQ(workload.Check(files->Crash(random), 20), "");
    files->ClearFault();
    // RocksDB looks for free space every five seconds.
    absl::Status flushed = workload.Flush(**engine);
    for (int i = 0; i < 300 && !flushed.ok(); ++i) {
      ASSERT_THAT(flushed, StatusIs(absl::StatusCode::kResourceExhausted));
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
      flushed = workload.Flush(**engine);
    }
    ASSERT_OK(flushed);
    EXPECT_OK((*engine)->health());
    EXPECT_EQ(workload.acknowledged(), 25u);
    // A flush that answers OK has ended, as before: power may be cut at once.
    for (int i = 0; i < 8; ++i) {
      workload.Run(**engine, 30);
      EXPECT_OK((*engine)->health());
      const uint64_t durable = workload.acknowledged();
      EXPECT_EQ(workload.Check(files->Crash(random), durable), "");
    }
  }
}

TEST(FaultTest, AReadErrorIsReportedAndLatched) {
  auto files = std::make_shared<CrashFileSystem>();
  CrashWorkload workload(3);
  {
    auto engine = OpenOn(files);
    ASSERT_OK(engine);
    for (int i = 0; i < 20; ++i) ASSERT_OK(workload.WriteNext(**engine));
    ASSERT_OK(workload.Flush(**engine));
  }
  auto engine = OpenOn(files);
  ASSERT_OK(engine);
  files->SetFault({.operations = {Operation::kRead}, .name_contains = ".sst"});
  std::string value;
  EXPECT_THAT((*engine)->Get(Family::kMeta, "applied", &value),
              StatusIs(absl::StatusCode::kInternal));
  EXPECT_FALSE((*engine)->health().ok());
  auto it = (*engine)->NewIterator(Family::kChanges);
  it->SeekToFirst();
  EXPECT_FALSE(it->Valid());
  EXPECT_THAT(it->status(), StatusIs(absl::StatusCode::kInternal));
}

}  // namespace
}  // namespace gavel::storage
