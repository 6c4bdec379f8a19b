// Feeds the core stage and hands its effects to those who carry them out.
//
// One thread, or a loop, calls RunOnce. Everything it is given came through its queue or the gate.
//
// Each turn of a member costs every other member messages and wakes, however few requests it is
// for. While many requests wait, the driver therefore asks for a rest after each turn, many times
// as long as the turn was, so that the next is for more of them.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "server/clock.h"
#include "server/logging.h"
#include "server/metrics.h"
#include "server/node/core_stage.h"
#include "server/node/lease_driver.h"
#include "server/node/member_gate.h"
#include "server/node/membership_driver.h"
#include "server/node/peer_times.h"
#include "server/node/queues.h"
#include "server/node/succession.h"
#include "server/peer/frame_exchange.h"
#include "server/snapshot/snapshot_source.h"
#include "storage/wal/wal.h"

namespace gavel::server {

struct CoreTimes {
  MonotonicNs tick = 10 * kNsPerMs;
  MonotonicNs election_timeout = 1000 * kNsPerMs;
  // A longer write of the log is told to the operator.
  MonotonicNs slow_disk = 1000 * kNsPerMs;
  // See LeaderPriority.
  MonotonicNs leader_priority_wait = 10 * kNsPerSecond;
};

struct CoreMetrics {
  explicit CoreMetrics(Metrics& metrics);

  Gauge& has_leader;
  Gauge& is_leader;
  Counter& leader_changes;
  Counter& heartbeat_send_failures;
  Counter& turns;
  Counter& forwards_refused;
  Counter& contradictions;
  Counter& gave_way;
};

class CoreDriver {
 public:
  struct Surroundings {
    const Clock& clock;
    Logger& logger;
    Queues& queues;
    MemberGate& gate;
    FrameSender& sender;
    std::function<void(const raft::Configuration&)> on_configuration;  // It is in force.
    storage::Wal& wal;  // To read entries for slow followers.
    SnapshotSource& snapshots;
    const std::atomic<MonotonicNs>& log_busy_since;
  };
  CoreDriver(CoreStage stage, raft::NodeId id, const CoreTimes& times, Surroundings surroundings,
             CoreMetrics metrics, PeerTimes peer_times, LeaseDriver leases,
             const MembershipDriver& members);

  // Takes what is due and queued; false if that was nothing.
  bool RunOnce();
  // When RunOnce should be called even if nothing arrives.
  MonotonicNs NextWake() const { return next_wake_; }
  // Until when RunOnce should not be called whatever arrives; in the past unless under load.
  MonotonicNs RestUntil() const { return rest_until_; }

  // At the clean stop, when RunOnce will not be called again.
  std::optional<raft::HardState> TakeHeldHardState() { return stage_.TakeHeldHardState(); }
  const CoreStage& stage() const { return stage_; }
  LeaseDriver& leases() { return leases_; }

 private:
  uint32_t DueTicks(MonotonicNs now);
  void Turn(uint32_t ticks, std::vector<CoreInput> inputs, MemberGate::Work work, MonotonicNs now);
  void Rest(MonotonicNs began);
  void HandOut(CoreOutput output, MonotonicNs now);
  void Observe(const std::vector<CoreInput>& inputs, MonotonicNs now);
  void TellOfReading(const OlderEntries& older);
  void TellOfLoss(const raft::Status& status);
  void TellOfContradiction(const raft::Contradiction& contradiction);
  void TellOfRefusals(const CoreOutput& output);
  void OnRole(const raft::RoleChange& role);
  void ReadOlder(const raft::EntriesWanted& wanted);
  void WatchDisk(MonotonicNs now);
  void GiveWay(MonotonicNs now);

  CoreStage stage_;
  const raft::NodeId id_;
  const CoreTimes times_;
  const Surroundings surroundings_;
  const CoreMetrics metrics_;
  PeerTimes peer_times_;
  LeaseDriver leases_;
  const MembershipDriver members_;
  LeaderPriority priority_;

  MonotonicNs last_tick_;
  MonotonicNs next_wake_;
  MonotonicNs rest_until_ = 0;
  uint64_t uncommitted_ = 0;     // Entries, after the last turn.
  uint64_t most_under_way_ = 0;  // Requests at once since the last tick.
  std::optional<raft::NodeId> leader_;
  raft::Role role_ = raft::Role::kFollower;
  MonotonicNs next_look_at_priorities_ = 0;
  MonotonicNs stall_told_ = 0;  // The write (by its start) that was last told of.
  bool loss_told_ = false;
  bool reading_fails_ = false;  // For members that lag.
  std::set<std::pair<raft::NodeId, std::string>> refusals_told_;
  uint64_t contradictions_ = 0;
  std::pair<raft::Term, raft::NodeId> contradiction_told_;
};

}  // namespace gavel::server
