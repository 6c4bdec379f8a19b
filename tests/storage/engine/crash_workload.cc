#include "tests/storage/engine/crash_workload.h"

#include <cstdio>
#include <utility>

#include "gtest/gtest.h"

#include "storage/engine/rocks_engine.h"

namespace gavel::storage {
namespace {

constexpr char kApplied[] = "applied";
constexpr char kCut[] = "cut";

std::string LogKey(uint64_t number) {
  char key[32];
  std::snprintf(key, sizeof(key), "L%08llu", static_cast<unsigned long long>(number));
  return key;
}

uint64_t NumberIn(const std::map<std::string, std::string>& meta, const char* key) {
  const auto found = meta.find(key);
  return found == meta.end() ? 0 : std::stoull(found->second);
}

// Below the cut, dropped files may have uncovered what was deleted: nobody may look there.
void ForgetBelowCut(Families& families) {
  auto& changes = In(families, Family::kChanges);
  changes.erase(changes.lower_bound("L"),
                changes.lower_bound(LogKey(NumberIn(In(families, Family::kMeta), kCut))));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Engine>> OpenOn(std::shared_ptr<CrashFileSystem> files) {
  RocksOptions options;
  options.path = "/db";
  options.cache_bytes = 4 << 20;
  options.write_buffer_bytes = 64 << 10;
  options.manifest_bytes_max = 8 << 10;
  options.data_file_bytes = 64 << 10;
  options.file_system = std::move(files);
  return OpenRocksEngine(options);
}

absl::Status CrashWorkload::WriteNext(Engine& engine) {
  const uint64_t number = batches_.size() + 1;
  WriteBatch batch = RandomBatch(random_, 12, 600);
  batch.Put(Family::kChanges, LogKey(number), std::string(random_.Below(2000), 'x'));
  batch.Put(Family::kMeta, kApplied, std::to_string(number));
  batch.Put(Family::kMeta, kCut, std::to_string(cut_));
  if (cut_ > 0) batch.DeleteRange(Family::kChanges, "L", LogKey(cut_));
  absl::Status status = WriteWhenPossible(engine, batch);
  // What was refused may not be there; what was taken may be.
  if (status.ok()) batches_.push_back(std::move(batch));
  return status;
}

void CrashWorkload::Acknowledge(uint64_t number) {
  uint64_t before = acknowledged_;
  while (before < number && !acknowledged_.compare_exchange_weak(before, number)) {
  }
}

absl::Status CrashWorkload::Flush(Engine& engine) {
  const uint64_t number = written();
  absl::Status status = engine.Flush();
  if (status.ok()) Acknowledge(number);
  return status;
}

// As the collector does: files are dropped only below a cut that a flush has made durable.
void CrashWorkload::CutChanges(Engine& engine) {
  cut_ = written() - random_.Below(written() / 4 + 1);
  if (!WriteNext(engine).ok() || !Flush(engine).ok()) return;
  engine.DeleteFilesInRange(Family::kChanges, "L", LogKey(cut_)).IgnoreError();
}

void CrashWorkload::Run(Engine& engine, int steps) {
  bool failed = false;
  for (int step = 0; step < steps; ++step) {
    absl::Status status = WriteNext(engine);
    if (status.ok() && random_.OneIn(15)) status = Flush(engine);
    if (random_.OneIn(15)) {
      const uint64_t number = written();
      engine.FlushInBackground([this, number](absl::Status flushed) {
        if (flushed.ok()) Acknowledge(number);
      });
    }
    if (status.ok() && random_.OneIn(40)) status = engine.StartCompaction();
    if (status.ok() && random_.OneIn(40)) CutChanges(engine);
    if (status.ok() && random_.OneIn(60)) {
      status = engine.Checkpoint("/checkpoint-" + std::to_string(seed_) + "-" +
                                 std::to_string(++checkpoints_));
    }
    EXPECT_FALSE(failed && status.ok()) << "it wrote after a terminal error";
    if (status.ok() || absl::IsResourceExhausted(status)) continue;
    failed = true;
    EXPECT_FALSE(engine.health().ok()) << "not in health: " << status;
    EXPECT_FALSE(engine.Flush().ok());
  }
}

const Families& CrashWorkload::StateAt(uint64_t number) {
  if (number < state_number_) {
    state_ = Families();
    state_number_ = 0;
  }
  while (state_number_ < number) ApplyTo(state_, batches_[state_number_++]);
  return state_;
}

std::string CrashWorkload::CheckEngine(const Engine& engine, uint64_t at_least, uint64_t* applied) {
  Families found = Contents(engine);
  *applied = NumberIn(In(found, Family::kMeta), kApplied);
  if (*applied < at_least) {
    return "batch " + std::to_string(at_least) + " was durable, but it recovered to " +
           std::to_string(*applied);
  }
  if (*applied > written()) return "it recovered to a batch that was never written";
  Families expected = StateAt(*applied);
  ForgetBelowCut(expected);
  ForgetBelowCut(found);
  const std::string difference = Difference(expected, found);
  return difference.empty() ? "" : "at batch " + std::to_string(*applied) + ": " + difference;
}

std::string CrashWorkload::Check(std::shared_ptr<CrashFileSystem> files, uint64_t at_least) {
  auto engine = OpenOn(std::move(files));
  if (!engine.ok()) return "it does not open: " + engine.status().ToString();
  uint64_t applied = 0;
  return CheckEngine(**engine, at_least, &applied);
}

}  // namespace gavel::storage
