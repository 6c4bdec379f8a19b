// What is told of snapshots on their way between members, under etcd's names.
#pragma once

#include "raft/types.h"
#include "server/clock.h"
#include "server/metrics.h"

namespace gavel::server {

// Of one side. A receiver hears nothing of a sender that gives up: what it has is under way until
// another begins. Registered for each other member when something is first passed on. Thread-safe.
class TransferMetrics {
 public:
  enum class Side { kSend, kReceive };
  TransferMetrics(Metrics& metrics, Side side);

  void OnBegun(raft::NodeId other);
  // What has begun is over after `took`.
  void OnEnded(raft::NodeId other, bool success, MonotonicNs took);

 private:
  Labels LabelsOf(raft::NodeId other) const;
  Gauge& InFlight(raft::NodeId other);

  Metrics& metrics_;
  const Side side_;
};

}  // namespace gavel::server
