// The lease keeper's part of a turn of the core: what it is told, and what it has proposed.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "raft/effects.h"
#include "raft/message.h"
#include "server/clock.h"
#include "server/lease/lease_keeper.h"
#include "server/metrics.h"
#include "server/node/core_stage.h"
#include "server/node/failure.h"
#include "server/node/gate.h"
#include "server/node/queues.h"

namespace gavel::server {

// Counts what is applied here; renewals and expiries on the leader only, as etcd does.
struct LeaseMetrics {
  explicit LeaseMetrics(Metrics& metrics);

  Counter& granted;
  Counter& revoked;
  Counter& renewed;
  Counter& expired;
  Histogram& ttl;
};

// Of the core's thread.
class LeaseDriver {
 public:
  struct Surroundings {
    const Clock& clock;
    Queues& queues;
    Failure& failure;
    std::function<raft::RequestId()> new_id;  // Of a proposal of this member.
  };
  LeaseDriver(LeaseKeeper keeper, Surroundings surroundings, LeaseMetrics metrics);

  // Begins the scan that finds the leases of `engine`.
  void FindLeases(std::shared_ptr<const storage::Engine> engine);

  // Before a turn: takes what it tells, and adds the leader's own proposals. Requires: nothing
  // is added to the turn after.
  void Prepare(CoreTurn& turn);
  // After it.
  void OnOutput(const CoreOutput& output);

  // A turn should follow soon.
  bool busy() const { return keeper_.busy(); }
  // When leases can be ended at the earliest, if all stays as it is.
  std::optional<MonotonicNs> NextExpiry() const { return keeper_.NextExpiry(); }
  const LeaseKeeper& keeper() const { return keeper_; }

 private:
  void Take(const Applied& applied);
  void Count(const std::vector<storage::LeaseChange>& changes);
  void ScanOn();
  std::optional<raft::Proposal> Stamp(const CoreTurn& turn, MonotonicNs now);
  std::optional<raft::Proposal> Expire(MonotonicNs now);

  LeaseKeeper keeper_;
  const Surroundings surroundings_;
  const LeaseMetrics metrics_;
  std::shared_ptr<storage::LeaseScan> scan_;

  // Of the turn under way.
  std::optional<int64_t> stamp_ms_;
  bool expiring_ = false;
};

}  // namespace gavel::server
