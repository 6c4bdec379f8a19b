#include "server/node/log_stage.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "raft/sim_point.h"
#include "storage/status_macros.h"

namespace gavel::server {

LogMetrics::LogMetrics(Metrics& metrics)
    : fsync_seconds(metrics.AddHistogram("etcd_disk_wal_fsync_duration_seconds",
                                         "Time that making the write-ahead log durable takes.",
                                         ExponentialBuckets(0.001, 2, 14))),
      write_seconds(metrics.AddHistogram("etcd_disk_wal_write_duration_seconds",
                                         "Time that writing to the write-ahead log takes.",
                                         ExponentialBuckets(0.001, 2, 14))),
      write_bytes(metrics.AddGauge("etcd_disk_wal_write_bytes_total",
                                   "Bytes written to the write-ahead log.")) {}

LogStage::LogStage(std::unique_ptr<storage::Wal> wal, LogHistory history, const Clock& clock,
                   LogMetrics metrics)
    : wal_(std::move(wal)), history_(std::move(history)), clock_(clock), metrics_(metrics) {}

absl::StatusOr<LogOutput> LogStage::Process(std::vector<LogBatch> batches) {
  LogOutput output;
  const MonotonicNs began = clock_.Now();
  busy_since_.store(began, std::memory_order_relaxed);
  bool must_sync = false;
  for (LogBatch& batch : batches) {
    const storage::WalBatch& records = batch.records;
    if (records.hard_state.has_value() || !records.entries.empty()) {
      GAVEL_RETURN_IF_ERROR(history_.Append(records.entries));
      GAVEL_RETURN_IF_ERROR(wal_->Append(records));
      wants_mark_ = true;
    }
    must_sync =
        must_sync || (batch.must_sync && !(GAVEL_PLANTED_BUG(18) && batch.records.entries.empty()));
    output.persisted = std::max(output.persisted, batch.number);
    std::move(batch.send_after_persist.begin(), batch.send_after_persist.end(),
              std::back_inserter(output.send));
  }
  if (must_sync) {
    const MonotonicNs written = clock_.Now();
    metrics_.write_seconds.Observe(static_cast<double>(written - began) / kNsPerSecond);
    GAVEL_RETURN_IF_ERROR(wal_->Sync());
    output.sync_took = clock_.Now() - written;
    metrics_.fsync_seconds.Observe(static_cast<double>(output.sync_took) / kNsPerSecond);
    metrics_.write_bytes.Set(static_cast<double>(wal_->stats().bytes_written));
  }
  busy_since_.store(0, std::memory_order_relaxed);
  return output;
}

absl::Status LogStage::WriteMark() {
  wants_mark_ = false;
  return wal_->WriteMark();
}

absl::StatusOr<raft::Index> LogStage::CutTo(raft::Index index) {
  GAVEL_ASSIGN_OR_RETURN(const raft::SnapshotMeta mark, history_.MarkAt(index));
  GAVEL_RETURN_IF_ERROR(wal_->CutTo(mark));
  const raft::Index first = wal_->stats().first_index;
  // The log keeps whole segments; what is still stored keeps its history.
  if (!first.is_none()) history_.CutTo(std::min(first.Previous(), index));
  return first;
}

}  // namespace gavel::server
