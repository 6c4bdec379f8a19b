// One member's stages, wired to each other by queues; no threads.
//
// Member runs each stage on a thread of its own; tests and the simulator call the Run functions
// from one loop. There is no other difference between the two.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "raft/random.h"
#include "server/clock.h"
#include "server/logging.h"
#include "server/metrics.h"
#include "server/node/apply_driver.h"
#include "server/node/compaction_driver.h"
#include "server/node/configuration_teller.h"
#include "server/node/core_driver.h"
#include "server/node/digest_driver.h"
#include "server/node/failure.h"
#include "server/node/history_collection.h"
#include "server/node/lease_driver.h"
#include "server/node/limits_driver.h"
#include "server/node/log_driver.h"
#include "server/node/member_gate.h"
#include "server/node/peer_book.h"
#include "server/node/queues.h"
#include "server/node/recovery.h"
#include "server/node/semantics_driver.h"
#include "server/peer/frame_exchange.h"
#include "server/peer/transport.h"
#include "server/snapshot/snapshot_sink.h"
#include "server/snapshot/snapshot_source.h"
#include "server/watch/watch_hub.h"

namespace gavel::server {

struct NodeOptions {
  MemberPlace place;
  std::vector<std::string> client_urls;  // Made known to the cluster.

  MonotonicNs heartbeat_interval = 100 * kNsPerMs;
  MonotonicNs election_timeout = 1000 * kNsPerMs;
  uint32_t leader_priority = 0;  // Of this member; made known to the cluster.
  // How long a member with a higher one must be ready before the leader gives way to it.
  MonotonicNs leader_priority_wait = 10 * kNsPerSecond;
  GateLimits gate;
  ApplyLimits apply_limits;
  ApplyOptions apply;
  WatchLimits watch;
  SnapshotLimits snapshots;
  LimitsOptions limits;
  // The highest version of commands that this member agrees to; 0: what this build knows. While one
  // member holds back, an older build can still take the place of any.
  uint32_t semantics_max = 0;
  uint64_t append_bytes_max = 1 << 20;
  AutoCompactionOptions auto_compaction;
  MonotonicNs digest_interval = 60 * kNsPerSecond;  // Between two comparisons of members; 0: none.
  // Entries kept in memory for followers that lag a little.
  uint64_t recent_bytes_max = 16 << 20;
  uint64_t request_bytes_max = 1536 << 10;  // Of what other members forward.
};

class Node {
 public:
  using MakeTransport =
      std::function<std::unique_ptr<PeerTransport>(raft::NodeId self, PeerEvents events)>;
  // All but the functions must outlive the node.
  struct Surroundings {
    storage::Disk& disk;
    const Clock& clock;
    Logger& logger;
    Metrics& metrics;
    raft::Random random;
    EngineStores stores;
    MakeTransport make_transport;
    Failure::OnFailure on_failure;  // On the thread that failed; may not return.
    // This node must be thrown away, as by a crash, and another opened in its place. On the log's
    // thread, once.
    std::function<void()> on_restart;
    // The member was removed from the cluster, for good. Once; it goes on as it is, so that who
    // waits is answered, until its owner stops it. On the thread of apply or of the core.
    std::function<void()> on_removed = nullptr;
  };

  // Recovers what the disk holds. Errors say what to do.
  static absl::StatusOr<std::unique_ptr<Node>> Open(const NodeOptions& options,
                                                    Surroundings surroundings);
  // Like a crash for what is durable: writes nothing.
  ~Node();

  MemberGate& gate() { return *gate_; }
  const MemberIdentity& identity() const { return identity_; }
  Queues& queues() { return queues_; }
  // Where the thread that runs the core waits; RunCore's inbox wakes it.
  PeerTransport& transport() { return *transport_; }
  storage::Engine& engine() { return apply_stage_->engine(); }
  absl::Status failure() const { return failure_.status(); }

  // Each does one round of a stage; false if there was nothing to do.
  bool RunCore();
  bool RunLog() { return log_->RunOnce(); }
  bool RunApply() { return apply_->RunOnce(); }
  bool RunBackground() { return queues_.background.RunOnce(); }

  CoreDriver& core() { return *core_; }
  LogDriver& log() { return *log_; }
  ApplyDriver& apply() { return *apply_; }
  // For looking at.
  const storage::StateMachine& state() const { return apply_stage_->machine(); }

  // Asks the best of the other members to lead, if this one does. Any thread.
  void HandOver();

  // The clean stop, once no stage runs any more: ends what waits, applies what is committed and
  // makes everything durable.
  void Finish();

 private:
  Node(const NodeOptions& options, const Surroundings& surroundings);

  void Build(const Surroundings& surroundings, MemberParts parts,
             std::unique_ptr<storage::Collector> collector);
  void BuildStages(const Surroundings& surroundings, MemberParts parts);
  void BuildSnapshots(const Surroundings& surroundings, const storage::StateMachine& machine);
  // Takes what a leader has sent whole to the core.
  void OnWholeSnapshot(raft::NodeId from, raft::SnapshotMeta meta);
  void InstallSnapshot(const raft::SnapshotMeta& meta);
  LeaseDriver MakeLeases(const Surroundings& surroundings, const storage::StateMachine& machine);
  PeerEvents MakeEvents();
  absl::Status OnFrame(std::string_view frame, StreamSender& sender);
  // What a member that wants to join asks for.
  std::string View() const;
  void OnConfiguration(const raft::Configuration& configuration);
  // Empty of a member that is not known, or has not started.
  std::string NameOf(raft::NodeId id) const;
  void Knock();
  void OnMembers();
  void OnRemoved();
  // Makes name and client URLs known once there is a leader.
  void Publish();
  void OnPublished(const ProposeResult& result);
  void PublishPriority();

  const NodeOptions options_;
  const Clock& clock_;
  Logger& logger_;
  Queues queues_;
  Failure failure_;
  const EngineStores stores_;
  const std::function<void()> on_restart_;
  const std::function<void()> on_removed_;
  std::atomic<bool> removed_ = false;
  MemberIdentity identity_;
  PeerBook peers_;  // Of the core's thread.
  MonotonicNs forget_at_ = 0;
  std::unique_ptr<storage::DataDirectory> directory_;
  std::optional<storage::LogOwner> log_owner_;
  ConfigurationTeller configurations_;  // Of the core's thread, once that runs.
  std::unique_ptr<LogStage> log_stage_;
  std::unique_ptr<ApplyStage> apply_stage_;
  std::unique_ptr<WatchHub> watches_;
  std::unique_ptr<MemberGate> gate_;
  std::unique_ptr<HistoryCollection> collection_;
  std::unique_ptr<CompactionDriver> compaction_;
  std::unique_ptr<DigestDriver> digests_;
  std::unique_ptr<LimitsDriver> limits_;
  std::unique_ptr<SemanticsDriver> semantics_;
  std::unique_ptr<FrameReceiver> receiver_;
  std::unique_ptr<FrameSender> sender_;
  std::unique_ptr<PeerTransport> transport_;
  std::unique_ptr<SnapshotSource> snapshots_;
  std::unique_ptr<SnapshotSink> received_;
  std::unique_ptr<CoreDriver> core_;
  std::unique_ptr<LogDriver> log_;
  std::unique_ptr<ApplyDriver> apply_;
  std::shared_ptr<void> on_scrape_;
  std::shared_ptr<void> on_watch_scrape_;
};

}  // namespace gavel::server
