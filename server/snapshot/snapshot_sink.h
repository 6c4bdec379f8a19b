// The receiver's side: an archive that arrives, the store that is filled with it aside, and the
// mark that makes it the state.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "raft/configuration.h"
#include "raft/types.h"
#include "server/clock.h"
#include "server/logging.h"
#include "server/metrics.h"
#include "server/peer/frame.h"
#include "server/snapshot/engine_stores.h"
#include "server/snapshot/transfer_metrics.h"
#include "storage/disk/disk.h"
#include "storage/engine/engine.h"
#include "storage/mutex.h"

namespace gavel::server {

// Where a member keeps what it receives.
struct SnapshotPlaces {
  explicit SnapshotPlaces(const std::string& directory);

  std::string directory;
  std::string store;
  std::string mark;  // See storage/snapshot/install_mark.h.
};

// Thread-safe. One archive at a time.
class SnapshotSink {
 public:
  // More of an archive than this does not wait for the disk; what comes then is dropped.
  static constexpr uint64_t kQueuedBytesMax = 8 << 20;

  struct Surroundings {
    const Clock& clock;
    Logger& logger;
    Metrics& metrics;
    storage::Disk& disk;
    const EngineStores& stores;
    std::function<void(absl::AnyInvocable<bool()> step)> in_background;
    // Whether archives are taken from this member: the one that leads.
    std::function<bool(raft::NodeId from)> leads;
    std::function<void(raft::NodeId to, SnapshotMessage message)> send;
    // An archive has come whole, is sound, and stands ready for MakeCurrent. Last in the log's
    // terms: `meta`.
    std::function<void(raft::NodeId from, raft::SnapshotMeta meta)> whole;
    // The disk has failed, so that this member cannot go on. Nothing more is taken.
    std::function<void(const absl::Status& status)> disk_failed;
  };
  SnapshotSink(uint64_t cluster_id, SnapshotPlaces places, Surroundings surroundings);

  void OnPiece(raft::NodeId from, SnapshotPiece piece);

  // The member's state is what was received, from its next start on; durable on return. Nothing
  // more is taken from here on. FailedPrecondition: `meta` does not stand ready.
  absl::Status MakeCurrent(const raft::SnapshotMeta& meta);

 private:
  struct Arrival;
  using ArrivalPtr = std::shared_ptr<Arrival>;

  bool RunStep(const ArrivalPtr& arrival);
  // Takes the next piece; what to answer, if the disk has not failed.
  std::optional<SnapshotReply> Take(Arrival& arrival, const SnapshotPiece& piece);
  void GiveUp(const absl::Status& status);
  absl::Status Begin(Arrival& arrival);
  absl::Status End(Arrival& arrival);
  // Whether it has come whole or not.
  void TellEnd(Arrival& arrival, bool whole);

  const uint64_t cluster_id_;
  const SnapshotPlaces places_;
  const Surroundings surroundings_;
  TransferMetrics metrics_;
  Gauge& applying_;

  Mutex mutex_;
  ArrivalPtr arrival_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace gavel::server
