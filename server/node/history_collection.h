// Has old history deleted: planned in the background, written by apply.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "server/clock.h"
#include "server/metrics.h"
#include "server/node/background.h"
#include "server/node/failure.h"
#include "server/node/queues.h"
#include "storage/mutex.h"
#include "storage/mvcc/collector.h"
#include "storage/state/state_machine.h"

namespace gavel::server {

struct HistoryMetrics {
  explicit HistoryMetrics(Metrics& metrics);

  Histogram& total_ms;
  Gauge& last;
  Counter& deleted;
};

// One plan is under way at a time; the next is made once apply has written the last.
// Thread-safe.
class HistoryCollection {
 public:
  struct Surroundings {
    const Clock& clock;
    Queues& queues;
    const storage::StateMachine& machine;
    Failure& failure;
    std::function<void(storage::Revision)> on_collected;
  };
  HistoryCollection(std::unique_ptr<storage::Collector> collector, Surroundings surroundings,
                    const HistoryMetrics& metrics);

  // The published compacted revision has moved, or may have before the start.
  void OnCompacted();
  // Apply has written the batch handed to it.
  void OnWritten();

 private:
  // One plan; a job of the background.
  void Plan();
  void AddJob();

  const std::unique_ptr<storage::Collector> collector_;  // The job's, one at a time.
  const Surroundings surroundings_;
  const HistoryMetrics metrics_;
  std::optional<MonotonicNs> began_;  // The job's: when it first found something to delete.

  Mutex mutex_;
  // A job is queued or a batch is on its way to apply.
  bool running_ ABSL_GUARDED_BY(mutex_) = false;
  bool again_ ABSL_GUARDED_BY(mutex_) = false;    // The compacted revision has moved meanwhile.
  bool written_ ABSL_GUARDED_BY(mutex_) = false;  // Tell the collector before the next plan.
};

}  // namespace gavel::server
