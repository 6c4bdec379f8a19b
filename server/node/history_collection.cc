#include "server/node/history_collection.h"

#include <string_view>
#include <utility>

namespace gavel::server {
namespace {

// Changes looked at for one plan: some hundred microseconds of work.
constexpr int64_t kChangesMax = 1000;

constexpr std::string_view kAdvice =
    "check the disk and the kernel's messages, then start this member again";

}  // namespace

HistoryMetrics::HistoryMetrics(Metrics& metrics)
    : total_ms(metrics.AddHistogram("etcd_debugging_mvcc_db_compaction_total_duration_milliseconds",
                                    "Bucketed histogram of db compaction total duration.",
                                    ExponentialBuckets(100, 2, 14))),
      last(metrics.AddGauge("etcd_debugging_mvcc_db_compaction_last",
                            "The unix time of the last db compaction. Resets to 0 on start.")),
      deleted(metrics.AddCounter("etcd_debugging_mvcc_db_compaction_keys_total",
                                 "Total number of db keys compacted.")) {}

HistoryCollection::HistoryCollection(std::unique_ptr<storage::Collector> collector,
                                     Surroundings surroundings, const HistoryMetrics& metrics)
    : collector_(std::move(collector)), surroundings_(std::move(surroundings)), metrics_(metrics) {}

void HistoryCollection::AddJob() {
  surroundings_.queues.background.Add([this] {
    Plan();
    return false;
  });
}

void HistoryCollection::OnCompacted() {
  {
    const MutexLock lock(mutex_);
    if (running_) {
      again_ = true;
      return;
    }
    running_ = true;
  }
  AddJob();
}

void HistoryCollection::OnWritten() {
  {
    const MutexLock lock(mutex_);
    written_ = true;
  }
  AddJob();
}

void HistoryCollection::Plan() {
  {
    const MutexLock lock(mutex_);
    if (std::exchange(written_, false)) collector_->OnWritten();
    again_ = false;
  }
  const storage::Revision published = surroundings_.machine.view()->compacted;
  const absl::StatusOr<storage::StateMachine::Durable> durable =
      surroundings_.machine.ReadDurable();
  absl::StatusOr<storage::WriteBatch> batch =
      durable.ok() ? collector_->Plan(published, durable->compacted, kChangesMax)
                   : absl::StatusOr<storage::WriteBatch>(durable.status());
  if (!batch.ok()) {
    surroundings_.failure.Report("collecting old history", kAdvice, batch.status());
    return;
  }
  if (!batch->empty()) {
    if (!began_.has_value()) began_ = surroundings_.clock.Now();
    uint64_t deleted = 0;
    batch->ForEach([&](const storage::WriteBatch::Op& op) {
      if (op.kind == storage::WriteBatch::Kind::kDelete) ++deleted;
    });
    metrics_.deleted.Increment(static_cast<double>(deleted));
    surroundings_.queues.apply.Push(
        Collected{std::make_shared<const storage::WriteBatch>(*std::move(batch))});
    return;
  }
  if (absl::Status dropped = collector_->DropFiles(); !dropped.ok()) {
    surroundings_.failure.Report("dropping files of old history", kAdvice, dropped);
    return;
  }
  if (began_.has_value()) {
    const MonotonicNs took = surroundings_.clock.Now() - *std::exchange(began_, std::nullopt);
    metrics_.total_ms.Observe(static_cast<double>(took) / kNsPerMs);
    metrics_.last.Set(static_cast<double>(surroundings_.clock.WallNs() / kNsPerSecond));
  }
  surroundings_.on_collected(collector_->collected());
  bool again = false;
  {
    const MutexLock lock(mutex_);
    again = std::exchange(again_, false);
    running_ = again;
  }
  if (again) AddJob();
}

}  // namespace gavel::server
