#include "server/node/log_driver.h"

#include <utility>
#include <variant>

#include "raft/sim_point.h"

namespace gavel::server {
namespace {

constexpr std::string_view kAdvice =
    "the log may lie after a failed write, so it is not used again: check the disk and the "
    "kernel's messages, free space if it is full, then start this member again";

// Below this much room the log takes no more proposals.
constexpr uint64_t kReservedBytesMin = 4 << 20;
// How often the background looks whether there is space again.
constexpr MonotonicNs kSpaceCheckEvery = kNsPerSecond;

}  // namespace

LogDriver::LogDriver(LogStage& stage, Surroundings surroundings)
    : stage_(stage), surroundings_(std::move(surroundings)) {
  PrepareSegment();
}

bool LogDriver::RunOnce() {
  if (ended_) return false;
  std::vector<LogInput> inputs = surroundings_.queues.log.TakeAll();
  const MonotonicNs now = surroundings_.clock.Now();
  if (inputs.empty()) {
    if (!stage_.wants_mark() || now < NextMark()) return false;
    if (absl::Status status = stage_.WriteMark(); !status.ok()) Fail(status);
    return true;
  }
  std::vector<LogBatch> batches;
  std::optional<raft::SnapshotMeta> install;
  raft::Index cut;
  for (LogInput& input : inputs) {
    if (auto* batch = std::get_if<LogBatch>(&input)) {
      install = std::move(batch->records.mark);
      if (install.has_value()) break;
      batches.push_back(std::move(*batch));
    } else {
      cut = std::max(cut, std::get<CutLog>(input).index);
    }
  }
  if (!batches.empty()) WriteBatches(std::move(batches));
  if (install.has_value()) {
    if (!ended_) surroundings_.install(*install);
    ended_ = true;
    return true;
  }
  if (!ended_ && !cut.is_none()) Cut(cut);
  idle_since_ = surroundings_.clock.Now();
  if (!ended_) PrepareSegment();
  return true;
}

void LogDriver::WriteBatches(std::vector<LogBatch> batches) {
  GAVEL_SIM_POINT("batches taken, not written");
  absl::StatusOr<LogOutput> output = stage_.Process(std::move(batches));
  if (!output.ok()) return Fail(output.status());
  GAVEL_SIM_POINT("batches durable, the core not told");
  surroundings_.queues.core.Push(Persisted{output->persisted});
  if (space_missing_) {
    // What is left may be used up before the background looks again; it may just find space, too.
    TellRoom();
    if (!space_missing_) surroundings_.set_log_full(false);
  }
  GAVEL_SIM_POINT("before promises are sent");
  if (!output->send.empty()) surroundings_.sender.Send(std::move(output->send));
  if (output->sync_took >= surroundings_.slow_disk) {
    surroundings_.logger.Warn("slow disk: making the log durable took long",
                              {{"milliseconds", output->sync_took / kNsPerMs}});
  }
}

void LogDriver::Cut(raft::Index index) {
  absl::StatusOr<raft::Index> first = stage_.CutTo(index);
  if (absl::IsOutOfRange(first.status())) return;  // Cut to there before.
  if (!first.ok()) return Fail(first.status());
  surroundings_.queues.core.Push(LogCut{*first});
  surroundings_.logger.Debug("log cut", {{"first index", first->value()}});
}

void LogDriver::PrepareSegment() {
  const uint64_t segments = stage_.wal().stats().segments;
  if (segments == prepared_for_ || preparing_.exchange(true)) return;
  prepared_for_ = segments;
  surroundings_.queues.background.Add([this] { return PrepareStep(); });
}

bool LogDriver::PrepareStep() {
  storage::Wal& wal = stage_.wal();
  const absl::StatusOr<bool> more = wal.PrepareSegment();
  if (absl::IsResourceExhausted(more.status())) {
    TellRoom();
    if (!space_missing_.exchange(true)) {
      surroundings_.logger.Error(
          "no space for the next segment of the log",
          {{"error", std::string(more.status().message())},
           {"what to do",
            "free space on the disk of the data directory; writes are refused "
            "once the room that is left has been used"}});
    }
    surroundings_.queues.background.AddAt(surroundings_.clock.Now() + kSpaceCheckEvery,
                                          [this] { return PrepareStep(); });
    return false;
  }
  if (!more.ok()) {
    surroundings_.failure.Report("preparing a segment of the log", kAdvice, more.status());
    return false;
  }
  if (space_missing_.exchange(false)) {
    surroundings_.set_log_full(false);
    surroundings_.logger.Info("there is space for the log again");
  }
  if (!*more) preparing_ = false;
  return *more;
}

void LogDriver::TellRoom() {
  surroundings_.set_log_full(stage_.wal().stats().reserved_bytes < kReservedBytesMin);
}

void LogDriver::Finish(std::optional<raft::HardState> hard_state) {
  while (RunOnce() && !surroundings_.queues.log.empty()) {
  }
  if (ended_) return;
  if (hard_state.has_value()) {
    std::vector<LogBatch> last(1);
    last[0].records.hard_state = hard_state;
    last[0].must_sync = true;
    if (absl::StatusOr<LogOutput> written = stage_.Process(std::move(last)); !written.ok()) {
      return Fail(written.status());
    }
  }
  if (!stage_.wants_mark()) return;
  if (absl::Status status = stage_.WriteMark(); !status.ok()) Fail(status);
}

void LogDriver::Fail(const absl::Status& status) {
  ended_ = true;
  surroundings_.failure.Report("the write-ahead log", kAdvice, status);
}

}  // namespace gavel::server
