#include "server/node/apply_driver.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "raft/sim_point.h"

namespace gavel::server {

ApplyMetrics::ApplyMetrics(Metrics& metrics)
    : slow_applies(metrics.AddCounter("etcd_server_slow_apply_total",
                                      "Batches whose application took too long.")),
      apply_seconds(metrics.AddHistogram(
          "etcd_server_apply_duration_seconds", "Time that applying a batch of entries takes.",
          ExponentialBuckets(0.0001, 2, 20),
          {{"version", "v3"}, {"op", "batch"}, {"success", "true"}})),
      flush_seconds(metrics.AddHistogram("etcd_disk_backend_commit_duration_seconds",
                                         "Time that making the state durable takes.",
                                         ExponentialBuckets(0.001, 2, 14))) {}

ApplyDriver::ApplyDriver(ApplyStage& stage, raft::Index durable, ApplyOptions options,
                         Surroundings surroundings, ApplyMetrics metrics)
    : stage_(stage),
      options_(options),
      surroundings_(std::move(surroundings)),
      metrics_(metrics),
      flush_(options.flush),
      lag_(options.lag),
      durable_(durable),
      compacted_(stage.machine().view()->compacted),
      durable_compacted_(compacted_) {}

MonotonicNs ApplyDriver::NextWake() const {
  if (failed_) return 0;
  if (stalled_until_ > 0) return stalled_until_;
  return flush_.WantedAt();
}

bool ApplyDriver::RunOnce() {
  if (failed_) return false;
  std::vector<ApplyInput> inputs = surroundings_.queues.apply.TakeAll();
  const bool any = !inputs.empty();
  for (ApplyInput& input : inputs) Take(std::move(input));
  const MonotonicNs now = surroundings_.clock.Now();
  if (now < stalled_until_) return any;
  const bool work = stage_.has_work() || !collected_.empty();
  stalled_until_ = 0;
  if (stage_.has_work()) ApplyBatch(now);
  if (!failed_ && !collected_.empty() && stalled_until_ == 0) {
    const absl::StatusOr<bool> written = stage_.WriteCollected(*collected_.front());
    if (!written.ok()) {
      Fail("deleting old history", written.status());
    } else if (*written) {
      collected_.erase(collected_.begin());
      surroundings_.collection.OnWritten();
    } else {
      stalled_until_ = now + options_.stall_pause;
    }
  }
  if (!failed_ && (flush_.Wanted(now) || (flush_asked_ && !flush_.running()))) {
    StartFlush(now);
    return true;
  }
  return any || work;
}

void ApplyDriver::Take(ApplyInput input) {
  if (auto* committed = std::get_if<Committed>(&input)) {
    stage_.Queue(std::move(committed->entries));
  } else if (auto* collected = std::get_if<Collected>(&input)) {
    collected_.push_back(std::move(collected->batch));
  } else if (auto* space = std::get_if<DiskSpace>(&input)) {
    OnDiskSpace(space->low);
  } else {
    OnFlushed(std::get<Flushed>(input));
  }
}

void ApplyDriver::ApplyBatch(MonotonicNs now) {
  const bool changes_wanted = surroundings_.watches.wants_changes();
  absl::StatusOr<ApplyOutput> output = stage_.Step(changes_wanted);
  if (!output.ok()) return Fail("applying committed entries", output.status());
  if (output->stalled) {
    stalled_until_ = now + options_.stall_pause;
    if (!std::exchange(stall_told_, true)) {
      surroundings_.logger.Warn("slow disk: the state engine takes no more for now");
    }
    return;
  }
  if (output->entries == 0) return;
  stall_told_ = false;
  flush_.OnApplied(output->entries, output->log_bytes, now);
  lag_.OnApplied(output->applied.index, output->log_bytes);
  const MonotonicNs took = surroundings_.clock.Now() - now;
  metrics_.apply_seconds.Observe(static_cast<double>(took) / kNsPerSecond);
  if (options_.warning_apply > 0 && took > options_.warning_apply) {
    metrics_.slow_applies.Increment();
    surroundings_.logger.Warn("applying took long", {{"milliseconds", took / kNsPerMs},
                                                     {"entries", output->entries},
                                                     {"bytes", output->log_bytes}});
  }
  if (output->members_changed) surroundings_.on_members();
  surroundings_.gate.OnLimits();
  const raft::EntryId applied = output->applied;
  GAVEL_SIM_POINT("applied, clients not told");
  if (GAVEL_PLANTED_BUG(32)) {
    surroundings_.queues.log.Push(
        CutLog{std::min(applied.index, surroundings_.gate.replicated_everywhere())});
  }
  // First: who reads what was applied reads the clock with it.
  const int64_t lease_clock = stage_.machine().leases().clock_ms;
  surroundings_.gate.OnLeaseClock(lease_clock);
  surroundings_.gate.OnApplied(std::move(output->outcomes), applied);
  surroundings_.watches.OnApplied(std::move(output->changes), changes_wanted,
                                  *stage_.machine().view());
  surroundings_.digests.OnApplied(
      {output->digest_marked, output->digest_news, output->digest_reports});
  surroundings_.queues.core.Push(Applied{applied, lease_clock, std::move(output->leases)});
  const storage::Revision compacted = stage_.machine().view()->compacted;
  if (compacted > compacted_) {
    compacted_ = compacted;
    surroundings_.collection.OnCompacted();
  }
}

void ApplyDriver::OnDiskSpace(bool low) {
  disk_low_ = low;
  if (!low) return;
  flush_asked_ = flush_.unflushed();
  CutLogIfWanted();
}

void ApplyDriver::StartFlush(MonotonicNs now) {
  flush_asked_ = false;
  flush_.OnStarted(now);
  flush_began_ = now;
  Queues& queues = surroundings_.queues;
  stage_.engine().FlushInBackground(
      [&queues](absl::Status status) { queues.apply.Push(Flushed{std::move(status)}); });
}

void ApplyDriver::OnFlushed(const Flushed& flushed) {
  flush_.OnFinished();
  GAVEL_SIM_POINT("state flushed, log not cut");
  if (absl::IsCancelled(flushed.status)) return;
  if (!flushed.status.ok()) return Fail("making the state durable", flushed.status);
  const absl::StatusOr<storage::StateMachine::Durable> durable = stage_.machine().ReadDurable();
  if (!durable.ok()) return Fail("reading the durable state back", durable.status());
  metrics_.flush_seconds.Observe(static_cast<double>(surroundings_.clock.Now() - flush_began_) /
                                 kNsPerSecond);
  durable_ = std::max(durable_, durable->applied.index);
  // What is durable bounds which files of old history may go.
  if (durable->compacted > durable_compacted_) {
    durable_compacted_ = durable->compacted;
    surroundings_.collection.OnCompacted();
  }
  CutLogIfWanted();
}

void ApplyDriver::CutLogIfWanted() {
  const raft::Index keep_from = KeepFrom();
  if (keep_from <= cut_) return;
  cut_ = keep_from;
  GAVEL_SIM_POINT("log about to be cut");
  surroundings_.queues.log.Push(CutLog{cut_});
}

raft::Index ApplyDriver::KeepFrom() const {
  // Members that lag are brought up from the log, unless they lag too far.
  const raft::Index everywhere = std::max(surroundings_.gate.replicated_everywhere(), lag_.Floor());
  uint64_t keep_from = std::min(durable_, everywhere).value();
  if (!disk_low_) keep_from -= std::min(keep_from, options_.catchup_entries);
  return std::min(raft::Index(keep_from),
                  surroundings_.snapshots.log_floor().value_or(raft::Index(keep_from)));
}

void ApplyDriver::Finish() {
  while (!failed_ && (stage_.has_work() || !surroundings_.queues.apply.empty())) {
    if (!RunOnce()) break;
  }
  if (failed_) return;
  const absl::Status flushed = stage_.engine().Flush();
  if (!flushed.ok()) Fail("making the state durable", flushed);
}

void ApplyDriver::Fail(std::string_view what, const absl::Status& status) {
  failed_ = true;
  const char* advice =
      absl::IsDataLoss(status)
          ? "a column family of the state in the data directory is damaged, which starting again "
            "does not mend: keep the directory for inspection, remove the member from the cluster, "
            "and add it as a new one with an empty data directory"
          : "check the disk and the kernel's messages, free space if it is full, then start this "
            "member again; what it had confirmed is in its log";
  surroundings_.failure.Report(what, advice, status);
}

}  // namespace gavel::server
