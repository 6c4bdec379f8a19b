// Feeds the apply stage; decides on flushes, cutting of the log, and collection of history.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "server/clock.h"
#include "server/logging.h"
#include "server/metrics.h"
#include "server/node/apply_stage.h"
#include "server/node/digest_driver.h"
#include "server/node/failure.h"
#include "server/node/flush_policy.h"
#include "server/node/history_collection.h"
#include "server/node/lag_bound.h"
#include "server/node/member_gate.h"
#include "server/node/queues.h"
#include "server/snapshot/snapshot_source.h"
#include "server/watch/watch_hub.h"

namespace gavel::server {

struct ApplyOptions {
  FlushLimits flush;
  // Entries kept in the log behind the durable state, for members that lag a little.
  uint64_t catchup_entries = 5000;
  // Members that lag further are brought up by a snapshot.
  LagLimits lag;
  // A longer batch is told to the operator.
  MonotonicNs warning_apply = 100 * kNsPerMs;
  // After the engine refused a batch because it would have to wait.
  MonotonicNs stall_pause = 5 * kNsPerMs;
};

struct ApplyMetrics {
  explicit ApplyMetrics(Metrics& metrics);

  Counter& slow_applies;
  Histogram& apply_seconds;
  Histogram& flush_seconds;
};

class ApplyDriver {
 public:
  struct Surroundings {
    const Clock& clock;
    Logger& logger;
    Queues& queues;
    MemberGate& gate;
    WatchHub& watches;
    Failure& failure;
    HistoryCollection& collection;
    const SnapshotSource& snapshots;
    DigestDriver& digests;
    std::function<void()> on_members;  // Who belongs to the cluster, or is to, has changed.
  };
  ApplyDriver(ApplyStage& stage, raft::Index durable, ApplyOptions options,
              Surroundings surroundings, ApplyMetrics metrics);

  // Does one batch of what is queued or due; false if that was nothing.
  bool RunOnce();
  // When RunOnce should be called even if nothing arrives; 0 if never.
  MonotonicNs NextWake() const;

  // The clean stop: applies what is committed and makes it durable.
  void Finish();

 private:
  void Take(ApplyInput input);
  void ApplyBatch(MonotonicNs now);
  void StartFlush(MonotonicNs now);
  void OnFlushed(const Flushed& flushed);
  void OnDiskSpace(bool low);
  void CutLogIfWanted();
  // Where the log may be cut, as far as this member and the others go.
  raft::Index KeepFrom() const;
  void Fail(std::string_view what, const absl::Status& status);

  ApplyStage& stage_;
  const ApplyOptions options_;
  const Surroundings surroundings_;
  const ApplyMetrics metrics_;

  FlushPolicy flush_;
  LagBound lag_;
  MonotonicNs flush_began_ = 0;
  raft::Index durable_;  // Applied index that a crash would keep.
  raft::Index cut_;      // Where the log was last asked to be cut.
  MonotonicNs stalled_until_ = 0;
  bool stall_told_ = false;
  std::vector<std::shared_ptr<const storage::WriteBatch>> collected_;
  storage::Revision compacted_;          // Published.
  storage::Revision durable_compacted_;  // What a crash would keep of it.
  bool disk_low_ = false;
  bool flush_asked_ = false;  // To be able to cut the log.
  bool failed_ = false;
};

}  // namespace gavel::server
