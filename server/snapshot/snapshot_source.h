// The leader's side: archives of this member's state on their way to members that need more than
// the log still holds.
//
// An archive is written while it is sent, and only what its receiver has not confirmed is kept, so
// memory and disk do not grow with the state. A connection that breaks, or a piece that is lost,
// is made good from there.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"

#include "raft/raft.h"
#include "raft/types.h"
#include "server/clock.h"
#include "server/logging.h"
#include "server/metrics.h"
#include "server/peer/frame.h"
#include "server/snapshot/transfer_metrics.h"
#include "storage/engine/engine.h"
#include "storage/mutex.h"
#include "storage/snapshot/archive_writer.h"

namespace gavel::server {

struct SnapshotLimits {
  // Of one transfer. 0: none.
  uint64_t bytes_per_second = 64 << 20;
  // What is sent and not confirmed.
  uint64_t window_bytes = 1 << 20;
  // Without an answer, what is not confirmed is sent again after this, and the transfer given up
  // after that.
  MonotonicNs resend_after = kNsPerSecond;
  MonotonicNs give_up_after = 30 * kNsPerSecond;
  // A transfer that came to nothing is told of so much later, so that one which is refused is not
  // begun again in a tight loop.
  MonotonicNs failure_pause = kNsPerSecond;
  // What follows a snapshot stays in the log until its receiver has confirmed that it goes on from
  // there, for so long at most.
  MonotonicNs log_kept_for = 60 * kNsPerSecond;
};

// Thread-safe.
class SnapshotSource {
 public:
  static constexpr size_t kPieceBytes = 128 << 10;

  using Step = absl::AnyInvocable<bool()>;
  struct Surroundings {
    const Clock& clock;
    Logger& logger;
    Metrics& metrics;
    // Runs a step until it returns false; not before a time.
    std::function<void(MonotonicNs at, Step step)> in_background;
    std::function<std::shared_ptr<const storage::Engine>()> engine;
    std::function<void(raft::NodeId to, SnapshotMessage message)> send;
    // `to` holds everything up to the index; or nothing came of it.
    std::function<void(raft::NodeId to, std::optional<raft::Index> index)> ended;
  };
  // `life`: of this member; the ids of its transfers are counted within it.
  SnapshotSource(const storage::ArchiveOrigin& origin, raft::Incarnation life,
                 const SnapshotLimits& limits, Surroundings surroundings);

  // Begins to send the newest state to `to`, unless that is under way.
  void Start(raft::NodeId to);
  void OnReply(raft::NodeId from, const SnapshotReply& reply);
  // `peers`: as far as the leader's core knows.
  void OnTick(MonotonicNs now, const std::vector<raft::PeerProgress>& peers);
  // This member leads no more: what is under way ends, without a word to anybody.
  void Stop();

  // The log must keep everything from here on; nothing: as far as snapshots go, it may be cut.
  std::optional<raft::Index> log_floor() const;

 private:
  struct Transfer;
  using TransferPtr = std::shared_ptr<Transfer>;

  bool RunStep(const TransferPtr& transfer);
  // Puts the next bytes of the archive behind those that wait.
  absl::Status Write(Transfer& transfer);
  void SendPiece(Transfer& transfer, MonotonicNs now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Run(const TransferPtr& transfer, MonotonicNs at) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The receiver has everything up to reply.next.
  void Confirm(const TransferPtr& transfer, const SnapshotReply& reply)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // `status` says why nothing came of it.
  void End(const TransferPtr& transfer, const absl::Status& status);

  const storage::ArchiveOrigin origin_;
  const raft::Incarnation life_;
  const SnapshotLimits limits_;
  const Surroundings surroundings_;
  TransferMetrics metrics_;

  mutable Mutex mutex_;
  uint64_t transfers_ever_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<raft::NodeId, TransferPtr> transfers_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace gavel::server
