// The state machine as a stage: committed entries in, outcomes out.
//
// Passive: no thread, lock or clock.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "raft/types.h"
#include "storage/state/state_machine.h"

namespace gavel::server {

struct ApplyLimits {
  // Bounds of one engine batch.
  size_t batch_entries_max = 1024;
  size_t batch_bytes_max = 4 << 20;
  // Of what its responses return of keys.
  int64_t response_bytes_max = 256 << 20;
};

// What one step applied.
struct ApplyOutput {
  std::vector<storage::CommandOutcome> outcomes;
  std::vector<storage::KeyChange> changes;  // If they were asked for.
  std::vector<storage::LeaseChange> leases;
  std::vector<storage::DigestReport> digest_reports;
  bool digest_marked = false;
  std::optional<bool> digest_news;
  raft::EntryId applied;  // The last entry applied; index 0 if none was.
  uint64_t entries = 0;
  uint64_t log_bytes = 0;
  bool members_changed = false;
  bool stalled = false;  // The engine would have to wait: nothing changed, try again later.
};

// Applies entries in order, many in one engine batch. The only writer of the engine.
class ApplyStage {
 public:
  ApplyStage(std::unique_ptr<storage::StateMachine> machine,
             std::shared_ptr<storage::Engine> engine, storage::StateMachine::Wanted wanted,
             ApplyLimits limits);

  void Queue(std::vector<raft::Entry> committed);
  bool has_work() const { return next_ < queue_.size(); }
  size_t queued() const { return queue_.size() - next_; }

  // Applies one batch of what is queued. Errors are final.
  absl::StatusOr<ApplyOutput> Step(bool changes_wanted);

  // Writes deletions that the history collector planned. False if the engine would have to wait.
  absl::StatusOr<bool> WriteCollected(const storage::WriteBatch& batch);

  storage::StateMachine& machine() { return *machine_; }
  storage::Engine& engine() { return *engine_; }

 private:
  const std::unique_ptr<storage::StateMachine> machine_;
  const std::shared_ptr<storage::Engine> engine_;
  const storage::StateMachine::Wanted wanted_;
  const ApplyLimits limits_;
  std::vector<raft::Entry> queue_;
  size_t next_ = 0;  // First entry of queue_ not applied yet.
};

}  // namespace gavel::server
