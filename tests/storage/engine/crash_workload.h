// Work on a RocksDB engine over a crashable file system, and the check of what a crash left.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "raft/random.h"
#include "storage/engine/engine.h"
#include "tests/storage/engine/crash_file_system.h"
#include "tests/storage/engine/engine_model.h"

namespace gavel::storage {

// Opens the database "/db" of `files`, with buffers and files small enough that a short workload
// makes it flush, compact and start new manifests on its own.
absl::StatusOr<std::unique_ptr<Engine>> OpenOn(std::shared_ptr<CrashFileSystem> files);

// Batches numbered from 1 that carry their number in kMeta, as the state machine's do; and which of
// them the engine has called durable.
class CrashWorkload {
 public:
  explicit CrashWorkload(uint64_t seed) : seed_(seed), random_(seed) {}

  // Writes, flushes, compacts, cuts and copies at random. Errors are what the world does; but an
  // engine that reported a terminal one must have it in health(), and must not flush again.
  void Run(Engine& engine, int steps);
  // Writes one more batch.
  absl::Status WriteNext(Engine& engine);
  // Flushes, and notes what that made durable.
  absl::Status Flush(Engine& engine);

  // The newest batch that the engine has called durable. Any thread.
  uint64_t acknowledged() const { return acknowledged_; }
  uint64_t written() const { return batches_.size(); }
  // Deliberately wrong, for the test of the check: takes what was written for durable.
  void Overclaim() { acknowledged_ = written(); }

  // Empty if the database in `files` opens and is exactly the model after the batch it names, and
  // that batch is at least number `at_least`; else what is wrong.
  std::string Check(std::shared_ptr<CrashFileSystem> files, uint64_t at_least);
  // The same of an open engine; the number it names goes to `applied`.
  std::string CheckEngine(const Engine& engine, uint64_t at_least, uint64_t* applied);

 private:
  void Acknowledge(uint64_t number);
  void CutChanges(Engine& engine);
  const Families& StateAt(uint64_t number);

  const uint64_t seed_;
  raft::Random random_;
  std::vector<WriteBatch> batches_;
  std::atomic<uint64_t> acknowledged_{0};
  uint64_t cut_ = 0;
  int checkpoints_ = 0;
  Families state_;  // After batch state_number_, kept because checks come in rising order mostly.
  uint64_t state_number_ = 0;
};

}  // namespace gavel::storage
