#include "server/snapshot/snapshot_source.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "storage/status_macros.h"

namespace gavel::server {
namespace {

std::string Hex(raft::NodeId id) { return absl::StrFormat("%x", id.value()); }

}  // namespace

struct SnapshotSource::Transfer {
  raft::NodeId to;
  uint64_t id = 0;
  MonotonicNs began = 0;

  // Of the one step that runs.
  std::unique_ptr<storage::ArchiveWriter> writer;

  // Under the source's mutex. Of the archive, `confirmed` <= `sent` <= what is written so far.
  raft::Index last;         // That the archive holds, once it is begun.
  std::string unconfirmed;  // From `confirmed` on.
  uint64_t confirmed = 0;
  uint64_t sent = 0;
  bool written = false;     // To its end.
  bool running = false;     // A step runs or is to run.
  MonotonicNs next_at = 0;  // For the sake of the rate.
  MonotonicNs heard = 0;
  MonotonicNs sent_again = 0;
  std::optional<MonotonicNs> ended;

  uint64_t end() const { return confirmed + unconfirmed.size(); }
};

SnapshotSource::SnapshotSource(const storage::ArchiveOrigin& origin, raft::Incarnation life,
                               const SnapshotLimits& limits, Surroundings surroundings)
    : origin_(origin),
      life_(life),
      limits_(limits),
      surroundings_(std::move(surroundings)),
      metrics_(surroundings_.metrics, TransferMetrics::Side::kSend) {}

void SnapshotSource::Start(raft::NodeId to) {
  const MonotonicNs now = surroundings_.clock.Now();
  {
    const MutexLock lock(mutex_);
    TransferPtr& transfer = transfers_[to];
    if (transfer != nullptr && !transfer->ended.has_value()) return;
    transfer = std::make_shared<Transfer>();
    transfer->to = to;
    transfer->id = (life_.value() << 32) + ++transfers_ever_;
    transfer->began = transfer->heard = now;
    metrics_.OnBegun(to);
    Run(transfer, now);
  }
  surroundings_.logger.Info(
      "a member needs log entries that are no longer stored: it is sent a "
      "snapshot",
      {{"member", Hex(to)}});
}

void SnapshotSource::Run(const TransferPtr& transfer, MonotonicNs at) {
  if (std::exchange(transfer->running, true)) return;
  surroundings_.in_background(at, [this, transfer] { return RunStep(transfer); });
}

bool SnapshotSource::RunStep(const TransferPtr& transfer) {
  const MonotonicNs now = surroundings_.clock.Now();
  {
    const MutexLock lock(mutex_);
    const bool all_sent = transfer->written && transfer->sent == transfer->end();
    const bool full = transfer->sent - transfer->confirmed >= limits_.window_bytes;
    if (transfer->ended.has_value() || all_sent || full || now < transfer->next_at) {
      transfer->running = false;
      if (transfer->ended.has_value()) {
        transfer->writer.reset();
      } else if (!all_sent && !full) {
        Run(transfer, transfer->next_at);
      }
      return false;
    }
    if (transfer->written || transfer->end() - transfer->sent >= kPieceBytes) {
      SendPiece(*transfer, now);
      return true;
    }
  }
  if (absl::Status status = Write(*transfer); !status.ok()) {
    End(transfer, status);
    return true;  // Once more, to let go of the writer.
  }
  return true;
}

absl::Status SnapshotSource::Write(Transfer& transfer) {
  if (transfer.writer == nullptr) {
    GAVEL_ASSIGN_OR_RETURN(transfer.writer,
                           storage::ArchiveWriter::Create(surroundings_.engine(), origin_));
    const MutexLock lock(mutex_);
    transfer.last = transfer.writer->last().index;
  }
  std::string bytes;
  GAVEL_ASSIGN_OR_RETURN(const bool more, transfer.writer->Step(&bytes));
  const MutexLock lock(mutex_);
  transfer.unconfirmed += bytes;
  transfer.written = !more;
  return absl::OkStatus();
}

void SnapshotSource::SendPiece(Transfer& transfer, MonotonicNs now) {
  SnapshotPiece piece;
  piece.transfer = transfer.id;
  piece.offset = transfer.sent;
  piece.bytes = transfer.unconfirmed.substr(transfer.sent - transfer.confirmed, kPieceBytes);
  transfer.sent += piece.bytes.size();
  piece.last = transfer.written && transfer.sent == transfer.end();
  if (limits_.bytes_per_second > 0) {
    transfer.next_at =
        std::max(transfer.next_at, now) +
        static_cast<MonotonicNs>(piece.bytes.size() * kNsPerSecond / limits_.bytes_per_second);
  }
  surroundings_.send(transfer.to, std::move(piece));
}

void SnapshotSource::OnReply(raft::NodeId from, const SnapshotReply& reply) {
  TransferPtr transfer;
  absl::Status refused;
  {
    const MutexLock lock(mutex_);
    const auto found = transfers_.find(from);
    if (found == transfers_.end()) return;
    transfer = found->second;
    if (transfer->id != reply.transfer || transfer->ended.has_value()) return;
    transfer->heard = surroundings_.clock.Now();
    if (reply.kind == SnapshotReply::Kind::kWanted || reply.kind == SnapshotReply::Kind::kMissing) {
      const bool begins_anew = reply.kind == SnapshotReply::Kind::kMissing && reply.next == 0;
      if (begins_anew && transfer->confirmed > 0) {
        refused = absl::AbortedError("the member has lost what it had of it");
      } else if (reply.next < transfer->confirmed || reply.next > transfer->end()) {
        return;  // An answer that was overtaken, or a receiver that is mistaken.
      } else {
        return Confirm(transfer, reply);
      }
    } else if (reply.kind == SnapshotReply::Kind::kRefused) {
      refused =
          absl::FailedPreconditionError(absl::StrCat("the member refuses it: ", reply.reason));
    } else if (!transfer->written) {
      return;  // It cannot have what does not exist yet.
    }
  }
  End(transfer, refused);
}

void SnapshotSource::Confirm(const TransferPtr& transfer, const SnapshotReply& reply) {
  transfer->unconfirmed.erase(0, reply.next - transfer->confirmed);
  transfer->confirmed = reply.next;
  transfer->sent = std::max(transfer->sent, transfer->confirmed);
  if (reply.kind == SnapshotReply::Kind::kMissing) transfer->sent = transfer->confirmed;
  Run(transfer, surroundings_.clock.Now());
}

void SnapshotSource::OnTick(MonotonicNs now, const std::vector<raft::PeerProgress>& peers) {
  const auto goes_on = [&peers](const Transfer& transfer) {
    return std::any_of(peers.begin(), peers.end(), [&](const raft::PeerProgress& peer) {
      return peer.id == transfer.to && peer.match >= transfer.last;
    });
  };
  std::vector<TransferPtr> given_up;
  {
    const MutexLock lock(mutex_);
    for (auto it = transfers_.begin(); it != transfers_.end();) {
      Transfer& transfer = *it->second;
      if (transfer.ended.has_value()) {
        const bool over = now - *transfer.ended > limits_.log_kept_for || goes_on(transfer);
        it = over ? transfers_.erase(it) : std::next(it);
        continue;
      }
      const MonotonicNs silent = now - std::max(transfer.heard, transfer.sent_again);
      if (now - transfer.heard > limits_.give_up_after) {
        given_up.push_back(it->second);
      } else if (silent > limits_.resend_after && transfer.sent > transfer.confirmed) {
        transfer.sent_again = now;
        transfer.sent = transfer.confirmed;
        Run(it->second, now);
      }
      ++it;
    }
  }
  for (const TransferPtr& transfer : given_up) {
    End(transfer, absl::DeadlineExceededError("no answer from the member"));
  }
}

void SnapshotSource::Stop() {
  const MutexLock lock(mutex_);
  for (auto& [to, transfer] : transfers_) {
    if (transfer->ended.has_value()) continue;
    const MonotonicNs now = surroundings_.clock.Now();
    Run(transfer, now);
    transfer->ended = now;
    metrics_.OnEnded(to, false, now - transfer->began);
  }
  transfers_.clear();
}

void SnapshotSource::End(const TransferPtr& transfer, const absl::Status& status) {
  const MonotonicNs now = surroundings_.clock.Now();
  uint64_t bytes = 0;
  {
    const MutexLock lock(mutex_);
    if (transfer->ended.has_value()) return;
    transfer->ended = now;
    bytes = transfer->end();
    transfer->unconfirmed.clear();
    transfer->unconfirmed.shrink_to_fit();
    Run(transfer, now);  // Lets go of the writer.
    // Nobody has got it, so nobody needs what follows it.
    if (!status.ok()) transfers_.erase(transfer->to);
  }
  const std::string to = Hex(transfer->to);
  metrics_.OnEnded(transfer->to, status.ok(), now - transfer->began);
  if (status.ok()) {
    surroundings_.logger.Info("a snapshot has arrived",
                              {{"member", to},
                               {"index", transfer->last.value()},
                               {"bytes", bytes},
                               {"milliseconds", (now - transfer->began) / kNsPerMs}});
    surroundings_.ended(transfer->to, transfer->last);
  } else {
    surroundings_.logger.Warn("a snapshot did not arrive; it is sent again",
                              {{"member", to}, {"reason", std::string(status.message())}});
    surroundings_.in_background(now + limits_.failure_pause, [this, receiver = transfer->to] {
      surroundings_.ended(receiver, std::nullopt);
      return false;
    });
  }
}

std::optional<raft::Index> SnapshotSource::log_floor() const {
  const MutexLock lock(mutex_);
  std::optional<raft::Index> floor;
  for (const auto& [to, transfer] : transfers_) {
    if (!floor.has_value() || transfer->last < *floor) floor = transfer->last;
  }
  return floor;
}

}  // namespace gavel::server
