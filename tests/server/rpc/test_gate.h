// A Gate over a real state machine on the ordered map, without log and consensus: a proposal is
// applied where it stands. A test can have requests fail, and hold reads back.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "server/node/gate.h"
#include "server/watch/watch_hub.h"
#include "storage/engine/map_engine.h"
#include "storage/mvcc/collector.h"
#include "storage/state/state_machine.h"
#include "tests/server/node/manual_clock.h"

namespace gavel::testing {

class TestGate final : public server::Gate {
 public:
  // kInline: everything happens in the caller. kThread: outcomes, reads and background steps come
  // from a thread of the gate, as in a running member.
  enum class Mode { kInline, kThread };
  explicit TestGate(Mode mode = Mode::kInline);
  ~TestGate() override;

  void Propose(server::CommandField field, std::string request,
               std::optional<server::MonotonicNs> deadline, server::ProposeDone done) override;
  void RenewLease(int64_t id, std::optional<server::MonotonicNs> deadline,
                  server::RenewDone done) override;
  int64_t lease_clock_ms() const override { return machine_->leases().clock_ms; }
  int64_t NewId() override { return ++last_id_; }
  void Read(std::optional<server::MonotonicNs> deadline, server::ReadDone done) override;
  std::shared_ptr<const storage::ReadView> view() const override { return machine_->view(); }
  std::shared_ptr<const std::vector<storage::MemberRecord>> members() const override;
  server::MemberStatus status() const override;
  raft::NodeId member_id() const override { return kMember; }
  uint64_t cluster_id() const override { return kCluster; }
  raft::Term term() const override { return kTerm; }
  bool has_leader() const override { return has_leader_; }
  bool learner() const override { return learner_; }
  bool no_space() const override {
    return storage::HasAlarm(machine_->limits()->alarms, storage::kAlarmNoSpace);
  }
  std::shared_ptr<const storage::LimitsState> limits() const override { return machine_->limits(); }
  void WhenCollected(storage::Revision compacted, std::optional<server::MonotonicNs> deadline,
                     absl::AnyInvocable<void(server::GateResult) &&> done) override;
  // Ends at once, as FailMoves says.
  void MoveLeader(raft::NodeId target, std::optional<server::MonotonicNs> deadline,
                  absl::AnyInvocable<void(server::GateResult) &&> done) override;
  // What is wanted is the configuration at once, all of them caught up.
  void ChangeMembers(const internal::ChangeMembers& change,
                     std::optional<server::MonotonicNs> deadline,
                     server::ProposeDone done) override;
  std::shared_ptr<const storage::Membership> membership() const override {
    return machine_->membership();
  }
  std::optional<server::MonotonicNs> ConnectedFor(raft::NodeId peer) const override;
  absl::Status StartCompaction() override;
  server::WatchHub& watches() override { return *watches_; }
  size_t background_jobs() const override { return background_jobs_; }
  void RunInBackground(absl::AnyInvocable<bool()> step) override;
  // Only PassTime brings them about.
  void RunInBackgroundAfter(server::MonotonicNs delay, absl::AnyInvocable<bool()> step) override;

  // From here on every proposal or read ends like this; kOk: they are carried out.
  void FailProposals(server::GateResult result) { propose_result_ = result; }
  void FailReads(server::GateResult result) { read_result_ = result; }
  void FailMoves(server::GateResult result) { move_result_ = result; }
  void FailCompactions(absl::Status status) { compaction_status_ = std::move(status); }
  // Background steps wait until they are released.
  void HoldBackground(bool hold);
  // So many are said to wait.
  void set_background_jobs(size_t jobs) { background_jobs_ = jobs; }
  // Of the responses of one command.
  void set_response_bytes_max(int64_t bytes) { response_bytes_max_ = bytes; }
  void set_has_leader(bool has) { has_leader_ = has; }
  void set_leads(bool leads) { leads_ = leads; }
  void set_learner(bool learner) { learner_ = learner; }
  // For how long; nothing: it is not.
  void SetConnected(raft::NodeId peer, std::optional<server::MonotonicNs> time);
  // A member says its name.
  void Publish(raft::NodeId member, const std::string& name);
  // Moves the gate's clock, and runs what was to be run by then.
  void PassTime(server::MonotonicNs by);
  // Of hubs that begin from here on: before any watch.
  void SetWatchLimits(const server::WatchLimits& limits);
  // The bytes of every request proposed.
  std::vector<std::pair<server::CommandField, std::string>> proposals();
  int64_t reads() const { return reads_; }
  // Who was to lead, and how often the engine was to rewrite its files.
  const std::vector<raft::NodeId>& moves() const { return moves_; }
  int64_t compactions() const { return compactions_; }

  // Puts a key past all checks, to fill the store.
  void Fill(const std::string& key, const std::string& value);
  void Compact(storage::Revision revision);
  // Makes what is stored of keys unreadable.
  void DamageVersions();

  static constexpr raft::NodeId kMember{0x1111};
  static constexpr uint64_t kCluster = 0x2222;
  static constexpr raft::Term kTerm{7};

 private:
  void ApplyWanted();
  storage::CommandOutcome Apply(server::CommandField field, const std::string& request);
  // Hands what has been applied to the watch hub, in order; what is applied meanwhile, too.
  void TellWatches();
  void RunAt(server::MonotonicNs at, absl::AnyInvocable<bool()> step);
  void Post(absl::AnyInvocable<bool()> step);
  void Main();

  const Mode mode_;
  const std::shared_ptr<storage::MapEngine> engine_;
  std::unique_ptr<storage::StateMachine> machine_;
  ManualClock clock_;
  std::unique_ptr<server::WatchHub> watches_;
  std::atomic<server::GateResult> propose_result_ = server::GateResult::kOk;
  std::atomic<server::GateResult> read_result_ = server::GateResult::kOk;
  std::atomic<server::GateResult> move_result_ = server::GateResult::kOk;
  std::vector<raft::NodeId> moves_;
  absl::Status compaction_status_;
  int64_t compactions_ = 0;
  std::atomic<bool> has_leader_ = true;
  std::atomic<bool> leads_ = true;
  std::atomic<bool> learner_ = false;
  std::atomic<size_t> background_jobs_ = 0;
  std::atomic<int64_t> response_bytes_max_ = std::numeric_limits<int64_t>::max();
  std::atomic<int64_t> reads_ = 0;
  std::atomic<int64_t> last_id_ = 1000;

  struct Applied {
    std::vector<storage::KeyChange> changes;
    bool asked = false;
    std::shared_ptr<const storage::ReadView> view;
  };

  std::map<raft::NodeId, server::MonotonicNs> connected_;

  std::mutex apply_mutex_;  // One at a time applies; guards the next four.
  std::deque<Applied> untold_;
  bool telling_ = false;
  uint64_t applied_ = 0;
  std::vector<std::pair<server::CommandField, std::string>> proposals_;

  std::mutex mutex_;  // Guards the rest.
  std::condition_variable wake_;
  std::deque<absl::AnyInvocable<bool()>> steps_;
  std::deque<absl::AnyInvocable<bool()>> held_;
  std::multimap<server::MonotonicNs, absl::AnyInvocable<bool()>> later_;
  bool hold_ = false;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace gavel::testing
