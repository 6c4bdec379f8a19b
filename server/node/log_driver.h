// Feeds the log stage and reports what became durable.
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <vector>

#include "server/clock.h"
#include "server/logging.h"
#include "server/node/failure.h"
#include "server/node/log_stage.h"
#include "server/node/queues.h"
#include "server/peer/frame_exchange.h"

namespace gavel::server {

class LogDriver {
 public:
  // Without a batch for so long the high-water mark is written to its block.
  static constexpr MonotonicNs kMarkAfter = 10 * kNsPerMs;

  struct Surroundings {
    const Clock& clock;
    Logger& logger;
    Queues& queues;
    FrameSender& sender;
    Failure& failure;
    std::function<void(bool full)> set_log_full;
    // A snapshot that has been received takes the place of the state. Nothing is written after.
    std::function<void(const raft::SnapshotMeta& meta)> install;
    MonotonicNs slow_disk = kNsPerSecond;
  };
  LogDriver(LogStage& stage, Surroundings surroundings);

  // Takes what is queued or due; false if that was nothing.
  bool RunOnce();
  // When RunOnce should be called even if nothing arrives; 0 if never.
  MonotonicNs NextMark() const { return stage_.wants_mark() ? idle_since_ + kMarkAfter : 0; }

  // The clean stop: writes what is left and the mark.
  void Finish(std::optional<raft::HardState> hard_state);

 private:
  void WriteBatches(std::vector<LogBatch> batches);
  void Cut(raft::Index index);
  // Has the next segment written with zeros, if one is needed.
  void PrepareSegment();
  // One step of it, in the background; true if there is more.
  bool PrepareStep();
  // Says whether the log has room for proposals while there is no space for its next segment.
  void TellRoom();
  void Fail(const absl::Status& status);

  LogStage& stage_;
  const Surroundings surroundings_;
  MonotonicNs idle_since_ = 0;
  uint64_t prepared_for_ = 0;  // WalStats::segments when PrepareSegment was last asked for.
  std::atomic<bool> preparing_ = false;
  std::atomic<bool> space_missing_ = false;
  bool ended_ = false;  // Nothing is written any more.
};

}  // namespace gavel::server
