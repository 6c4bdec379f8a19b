// The write-ahead log as a stage: batches in, confirmations and messages out.
//
// Passive: no thread and no lock. The clock is only asked how long the disk took.
// Every error is final: the process must stop, since a write-ahead log that failed once may lie
// from then on.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "server/clock.h"
#include "server/metrics.h"
#include "server/node/log_batch.h"
#include "server/node/log_history.h"
#include "storage/wal/wal.h"

namespace gavel::server {

// Where the log's figures go, under etcd's names.
struct LogMetrics {
  explicit LogMetrics(Metrics& metrics);

  Histogram& fsync_seconds;
  Histogram& write_seconds;
  Gauge& write_bytes;
};

struct LogOutput {
  raft::BatchNumber persisted;      // Confirms this batch and all before it.
  std::vector<raft::Message> send;  // What waited for the disk.
  MonotonicNs sync_took = 0;
};

class LogStage {
 public:
  LogStage(std::unique_ptr<storage::Wal> wal, LogHistory history, const Clock& clock,
           LogMetrics metrics);

  // Writes all batches, then makes them durable with at most one fdatasync.
  absl::StatusOr<LogOutput> Process(std::vector<LogBatch> batches);

  // True if something was written since the last mark.
  bool wants_mark() const { return wants_mark_; }
  absl::Status WriteMark();

  // Deletes what holds only entries below `index`. Returns the first index still stored.
  absl::StatusOr<raft::Index> CutTo(raft::Index index);

  // For reading entries and preparing segments from other threads.
  storage::Wal& wal() { return *wal_; }

  // When the write under way began, or 0. Any thread.
  const std::atomic<MonotonicNs>& busy_since() const { return busy_since_; }

 private:
  std::unique_ptr<storage::Wal> wal_;
  LogHistory history_;
  const Clock& clock_;
  LogMetrics metrics_;
  bool wants_mark_ = false;
  std::atomic<MonotonicNs> busy_since_ = 0;
};

}  // namespace gavel::server
