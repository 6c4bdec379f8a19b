#include "server/snapshot/snapshot_sink.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "raft/sim_point.h"
#include "storage/disk/path.h"
#include "storage/snapshot/install_mark.h"
#include "storage/snapshot/installer.h"
#include "storage/status_macros.h"

namespace gavel::server {
namespace {

std::string Hex(uint64_t id) { return absl::StrFormat("%x", id); }

// Whether it is this member's disk that is to blame, and not the archive or a lack of room, which
// may be another one when the archive is sent again. `engine`: the store that is filled; null while
// it could not be opened, and nothing of the archive has been looked at.
bool ComesFromTheDisk(const absl::Status& status, const storage::Engine* engine) {
  if (engine != nullptr && !engine->health().ok()) return true;
  switch (status.code()) {
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kCancelled:
      return false;
    case absl::StatusCode::kDataLoss:
      return engine == nullptr;
    default:
      return true;
  }
}

}  // namespace

struct SnapshotSink::Arrival {
  raft::NodeId from;
  uint64_t transfer = 0;

  // Of the one step that runs. The store goes after its installer.
  ArrivalPtr before;  // Its store is closed first.
  std::shared_ptr<storage::Engine> engine;
  std::unique_ptr<storage::ArchiveInstaller> installer;
  std::optional<MonotonicNs> began;  // Until its end is told.

  // Under the sink's mutex.
  std::deque<SnapshotPiece> queue;
  uint64_t queued_upto = 0;
  uint64_t taken = 0;
  bool running = false;
  bool failed = false;
  std::optional<raft::SnapshotMeta> whole;
};

SnapshotPlaces::SnapshotPlaces(const std::string& path)
    : directory(path),
      store(storage::JoinPath(path, "received")),
      mark(storage::JoinPath(path, "install")) {}

SnapshotSink::SnapshotSink(uint64_t cluster_id, SnapshotPlaces places, Surroundings surroundings)
    : cluster_id_(cluster_id),
      places_(std::move(places)),
      surroundings_(std::move(surroundings)),
      metrics_(surroundings_.metrics, TransferMetrics::Side::kReceive),
      applying_(surroundings_.metrics.AddGauge(
          "etcd_server_snapshot_apply_in_progress_total",
          "1 if a snapshot that has come whole becomes the state, else 0.")) {}

void SnapshotSink::OnPiece(raft::NodeId from, SnapshotPiece piece) {
  if (!surroundings_.leads(from)) return;
  SnapshotReply reply;
  reply.transfer = piece.transfer;
  {
    const MutexLock lock(mutex_);
    if (closed_) return;
    const bool known = arrival_ != nullptr && arrival_->from == from &&
                       arrival_->transfer == piece.transfer && !arrival_->failed;
    if (!known && piece.offset == 0) {
      // The one before must have let go of the place.
      if (arrival_ != nullptr && arrival_->running) return;
      auto arrival = std::make_shared<Arrival>();
      arrival->from = from;
      arrival->transfer = piece.transfer;
      arrival->before = std::exchange(arrival_, arrival);
    }
    if (!known && piece.offset != 0) {
      reply.kind = SnapshotReply::Kind::kMissing;
    } else if (arrival_->whole.has_value()) {
      reply.kind = SnapshotReply::Kind::kWhole;
    } else if (piece.offset != arrival_->queued_upto) {
      reply.kind = piece.offset < arrival_->queued_upto ? SnapshotReply::Kind::kWanted
                                                        : SnapshotReply::Kind::kMissing;
      reply.next = arrival_->taken;
      // What waits is as good as taken, but must not be confirmed before it is.
      if (arrival_->queued_upto != arrival_->taken) reply.kind = SnapshotReply::Kind::kWanted;
    } else {
      if (arrival_->queued_upto - arrival_->taken >= kQueuedBytesMax) return;
      arrival_->queued_upto += piece.bytes.size();
      arrival_->queue.push_back(std::move(piece));
      if (!std::exchange(arrival_->running, true)) {
        surroundings_.in_background([this, arrival = arrival_] { return RunStep(arrival); });
      }
      return;
    }
  }
  surroundings_.send(from, std::move(reply));
}

bool SnapshotSink::RunStep(const ArrivalPtr& arrival) {
  SnapshotPiece piece;
  {
    const MutexLock lock(mutex_);
    if (arrival->queue.empty() || arrival->failed) {
      arrival->running = false;
      return false;
    }
    piece = std::move(arrival->queue.front());
    arrival->queue.pop_front();
  }
  const std::optional<SnapshotReply> reply = Take(*arrival, piece);
  if (!reply.has_value()) return false;
  surroundings_.send(arrival->from, *reply);
  if (reply->kind != SnapshotReply::Kind::kWhole) return true;
  raft::SnapshotMeta meta;
  {
    const MutexLock lock(mutex_);
    meta = *arrival->whole;
  }
  surroundings_.whole(arrival->from, std::move(meta));
  return true;
}

std::optional<SnapshotReply> SnapshotSink::Take(Arrival& arrival, const SnapshotPiece& piece) {
  SnapshotReply reply;
  reply.transfer = piece.transfer;
  absl::Status status = arrival.installer == nullptr ? Begin(arrival) : absl::OkStatus();
  if (status.ok()) status = arrival.installer->Feed(piece.bytes);
  if (status.ok() && piece.last) status = End(arrival);
  {
    const MutexLock lock(mutex_);
    arrival.taken += piece.bytes.size();
    arrival.failed = !status.ok();
    reply.next = arrival.taken;
    if (arrival.whole.has_value()) reply.kind = SnapshotReply::Kind::kWhole;
  }
  if (status.ok()) return reply;
  const bool disk_failed = ComesFromTheDisk(status, arrival.engine.get());
  arrival.installer.reset();
  arrival.engine.reset();
  TellEnd(arrival, false);
  if (disk_failed) {
    GiveUp(status);
    return std::nullopt;
  }
  surroundings_.logger.Warn("a snapshot was refused", {{"from", Hex(arrival.from.value())},
                                                       {"reason", std::string(status.message())}});
  reply.kind = SnapshotReply::Kind::kRefused;
  reply.reason = std::string(status.message());
  return reply;
}

// A sync that has failed once may claim to have succeeded when it is tried again, so there is no
// second transfer.
void SnapshotSink::GiveUp(const absl::Status& status) {
  {
    const MutexLock lock(mutex_);
    closed_ = true;
  }
  surroundings_.disk_failed(status);
}

absl::Status SnapshotSink::Begin(Arrival& arrival) {
  if (const ArrivalPtr before = std::exchange(arrival.before, nullptr)) {
    TellEnd(*before, false);
    if (before->engine != nullptr) GAVEL_RETURN_IF_ERROR(before->engine->health());
  }
  arrival.began = surroundings_.clock.Now();
  metrics_.OnBegun(arrival.from);
  surroundings_.logger.Info("a snapshot arrives", {{"from", Hex(arrival.from.value())}});
  GAVEL_RETURN_IF_ERROR(surroundings_.stores.remove(places_.store));
  GAVEL_RETURN_IF_ERROR(surroundings_.disk.CreateDirectories(places_.directory));
  GAVEL_ASSIGN_OR_RETURN(arrival.engine, surroundings_.stores.open(places_.store));
  GAVEL_ASSIGN_OR_RETURN(arrival.installer, storage::ArchiveInstaller::Create(*arrival.engine));
  return absl::OkStatus();
}

absl::Status SnapshotSink::End(Arrival& arrival) {
  GAVEL_SIM_POINT("snapshot received, not whole yet");
  GAVEL_ASSIGN_OR_RETURN(const storage::ArchiveSummary summary, arrival.installer->Finish());
  // What is whole is durable, but its store may have failed in the background.
  GAVEL_RETURN_IF_ERROR(arrival.engine->health());
  arrival.installer.reset();
  arrival.engine.reset();
  if (summary.header.cluster_id != cluster_id_) {
    return absl::FailedPreconditionError(absl::StrCat("it is of cluster ",
                                                      Hex(summary.header.cluster_id),
                                                      ", this member of ", Hex(cluster_id_)));
  }
  TellEnd(arrival, true);
  const storage::MetaState& state = summary.header.state;
  surroundings_.logger.Info("a snapshot has arrived whole", {{"from", Hex(arrival.from.value())},
                                                             {"index", state.applied.value()},
                                                             {"revision", state.totals.revision},
                                                             {"bytes", summary.bytes}});
  const MutexLock lock(mutex_);
  arrival.whole =
      raft::SnapshotMeta{state.applied, state.applied_term, summary.header.configuration};
  return absl::OkStatus();
}

void SnapshotSink::TellEnd(Arrival& arrival, bool whole) {
  const std::optional<MonotonicNs> began = std::exchange(arrival.began, std::nullopt);
  if (began) metrics_.OnEnded(arrival.from, whole, surroundings_.clock.Now() - *began);
}

absl::Status SnapshotSink::MakeCurrent(const raft::SnapshotMeta& meta) {
  {
    const MutexLock lock(mutex_);
    closed_ = true;
    if (arrival_ == nullptr || arrival_->whole != meta) {
      return absl::FailedPreconditionError("another snapshot has begun to arrive meanwhile");
    }
  }
  applying_.Set(1);  // Until the restart.
  GAVEL_SIM_POINT("snapshot wanted, not marked");
  return storage::WriteInstallMark(surroundings_.disk, places_.mark, {meta.index, meta.term});
}

}  // namespace gavel::server
