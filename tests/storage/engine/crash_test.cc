// RocksDB without its log, cut off anywhere: what a crash leaves is exactly the model's state at
// the applied index stored with the data, in all families, at least at the last flush.
//
// GAVEL_ENGINE_CLONES sets how many crash clones are checked (300 unless told).
#include <algorithm>
#include <atomic>
#include <cstdlib>
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

int ClonesWanted() {
  const char* text = std::getenv("GAVEL_ENGINE_CLONES");
  return text == nullptr ? 300 : std::max(1, std::atoi(text));
}

// Copies are taken in the middle of whatever RocksDB's threads do, from the creation on.
TEST(CrashTest, ClonesEqualTheModelAtTheirAppliedIndex) {
  const int wanted = ClonesWanted();
  int checked = 0;
  uint64_t recovered_past_flush = 0;
  for (uint64_t seed = 1; checked < wanted; ++seed) {
    raft::Random random(seed * 7919);
    auto files = std::make_shared<CrashFileSystem>();
    CrashWorkload workload(seed);
    files->CaptureEvery(random.Between(1, 12), seed, [&] { return workload.acknowledged(); });
    {
      auto engine = OpenOn(files);
      ASSERT_OK(engine);
      workload.Run(**engine, 120);
      ASSERT_OK((*engine)->health());
    }
    files->CaptureEvery(0, 0, nullptr);
    auto captures = files->TakeCaptures();
    ASSERT_FALSE(captures.empty());
    // The last is what the destructor leaves.
    captures.push_back({files->Crash(random), workload.acknowledged(), files->operations()});
    const size_t stride = captures.size() / 40 + 1;
    for (size_t i = random.Below(stride); i < captures.size() && checked < wanted;
         i += stride, ++checked) {
      const auto& capture = captures[i];
      SCOPED_TRACE("seed " + std::to_string(seed) + ", operation " +
                   std::to_string(capture.operation));
      auto engine = OpenOn(capture.files);
      ASSERT_OK(engine);
      uint64_t applied = 0;
      ASSERT_EQ(workload.CheckEngine(**engine, capture.label, &applied), "");
      if (applied > capture.label) ++recovered_past_flush;
    }
  }
  // The test would be blind if nothing but whole flushes ever survived.
  EXPECT_GT(recovered_past_flush, 0u);
}

// A member crashes again and again, and goes on each time from what it recovered.
TEST(CrashTest, ItGoesOnAfterEachOfManyCrashes) {
  raft::Random random(5);
  auto files = std::make_shared<CrashFileSystem>();
  for (int crash = 0; crash < 20; ++crash) {
    SCOPED_TRACE("crash " + std::to_string(crash));
    std::shared_ptr<CrashFileSystem> before = files->Crash(random);
    // Rewritten from nothing each time, so that numbers start at 1: an engine that kept data of
    // an earlier life in any family would differ.
    WriteBatch wipe;
    for (int i = 0; i < kFamilyCount; ++i) {
      wipe.DeleteRange(static_cast<Family>(i), "", std::string(4, '\xff'));
    }
    CrashWorkload workload(100 + crash);
    {
      auto engine = OpenOn(before);
      ASSERT_OK(engine);
      ASSERT_OK(WriteWhenPossible(**engine, wipe));
      ASSERT_OK((*engine)->Flush());
      workload.Run(**engine, 60);
      ASSERT_OK(workload.Flush(**engine));
      files = before->Crash(random);
    }
    ASSERT_EQ(workload.Check(files, workload.acknowledged()), "");
  }
}

// A checkpoint is whole even if it was made while another thread wrote, and survives a power cut
// from the moment it was reported done.
TEST(CrashTest, ACheckpointIsDurableAndOneState) {
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    raft::Random random(seed);
    auto files = std::make_shared<CrashFileSystem>();
    CrashWorkload workload(seed);
    auto engine = OpenOn(files);
    ASSERT_OK(engine);
    for (int i = 0; i < 40; ++i) ASSERT_OK(workload.WriteNext(**engine));
    std::shared_ptr<CrashFileSystem> after;
    absl::Status copied;
    std::atomic<bool> done{false};
    std::thread copier([&] {
      copied = (*engine)->Checkpoint("/copy");
      after = files->Crash(random);
      done = true;
    });
    absl::Status written;
    while (!done && written.ok()) written = workload.WriteNext(**engine);
    copier.join();
    ASSERT_OK(written);
    ASSERT_OK(copied);
    RocksOptions options;
    options.path = "/copy";
    options.read_only = true;
    options.file_system = after;
    auto copy = OpenRocksEngine(options);
    ASSERT_OK(copy);
    uint64_t applied = 0;
    EXPECT_EQ(workload.CheckEngine(**copy, 40, &applied), "");
  }
}

// The check itself must notice an engine that calls durable what it has not flushed.
TEST(CrashTest, TheCheckNoticesALie) {
  int caught = 0;
  raft::Random random(3);
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    auto files = std::make_shared<CrashFileSystem>();
    CrashWorkload workload(seed);
    auto engine = OpenOn(files);
    ASSERT_OK(engine);
    for (int i = 0; i < 5; ++i) ASSERT_OK(workload.WriteNext(**engine));
    workload.Overclaim();
    if (!workload.Check(files->Crash(random), workload.acknowledged()).empty()) ++caught;
  }
  EXPECT_EQ(caught, 5);
}

}  // namespace
}  // namespace gavel::storage
