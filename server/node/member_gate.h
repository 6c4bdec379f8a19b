// The Gate of a running member: admission, waiting, and ending of requests.
//
// The one place where the front's threads, the core and apply meet. Call-backs run on the thread
// that ends a request, with no lock held.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "raft/effects.h"
#include "server/metrics.h"
#include "server/node/background.h"
#include "server/node/gate.h"
#include "server/node/proposal_tracker.h"
#include "server/node/read_barrier.h"
#include "server/node/renewals.h"
#include "storage/mutex.h"

namespace gavel::server {

// Who this member is.
struct MemberIdentity {
  raft::NodeId id;
  uint64_t cluster_id = 0;
  raft::Incarnation incarnation;
};

struct GateMetrics {
  explicit GateMetrics(Metrics& metrics);

  Counter& proposals_failed;
  Counter& read_indexes_failed;
  Counter& slow_read_indexes;
};

// Thread-safe.
class MemberGate final : public Gate {
 public:
  struct Surroundings {
    const Clock& clock;
    Background& background;
    const storage::StateMachine& machine;
    storage::Engine& engine;
    WatchHub& watches;
    std::function<void()> wake_core;
  };
  // `client_urls` are what this member advertises, or about to.
  MemberGate(const MemberIdentity& identity, std::vector<std::string> client_urls,
             const GateLimits& limits, uint64_t quota_bytes, Surroundings surroundings,
             GateMetrics metrics);

  void Propose(CommandField field, std::string request, std::optional<MonotonicNs> deadline,
               ProposeDone done) override;
  void RenewLease(int64_t id, std::optional<MonotonicNs> deadline, RenewDone done) override;
  int64_t lease_clock_ms() const override;
  int64_t NewId() override;
  void Read(std::optional<MonotonicNs> deadline, ReadDone done) override;
  std::shared_ptr<const storage::ReadView> view() const override;
  std::shared_ptr<const std::vector<storage::MemberRecord>> members() const override;
  MemberStatus status() const override;
  raft::NodeId member_id() const override { return identity_.id; }
  uint64_t cluster_id() const override { return identity_.cluster_id; }
  raft::Term term() const override;
  bool has_leader() const override { return has_leader_.load(std::memory_order_relaxed); }
  bool no_space() const override { return no_space_.load(std::memory_order_relaxed); }
  std::shared_ptr<const storage::LimitsState> limits() const override {
    return surroundings_.machine.limits();
  }
  bool learner() const override { return learner_.load(std::memory_order_relaxed); }
  void WhenCollected(storage::Revision compacted, std::optional<MonotonicNs> deadline,
                     absl::AnyInvocable<void(GateResult) &&> done) override;
  void MoveLeader(raft::NodeId target, std::optional<MonotonicNs> deadline,
                  absl::AnyInvocable<void(GateResult) &&> done) override;
  void ChangeMembers(const internal::ChangeMembers& change, std::optional<MonotonicNs> deadline,
                     ProposeDone done) override;
  std::shared_ptr<const storage::Membership> membership() const override;
  std::optional<MonotonicNs> ConnectedFor(raft::NodeId peer) const override;
  absl::Status StartCompaction() override { return surroundings_.engine.StartCompaction(); }
  WatchHub& watches() override { return surroundings_.watches; }
  size_t background_jobs() const override;
  void RunInBackground(absl::AnyInvocable<bool()> step) override;
  void RunInBackgroundAfter(MonotonicNs delay, absl::AnyInvocable<bool()> step) override;

  // For the core's driver.
  struct Work {
    std::vector<raft::Proposal> proposals;
    std::optional<raft::ReadId> read_round;
    std::optional<raft::NodeId> hand_over;
    size_t waiting = 0;  // Requests that wait for the core or for other members.
  };
  // What waits for the core.
  Work TakeWork(MonotonicNs now);
  // The id of a proposal of the core's own.
  raft::RequestId NewRequestId();
  // The proposals taken so far were proposed in `term` or before. Before any effect of theirs is
  // let out.
  void OnProposed(raft::Term term);
  // How a round of the core went.
  void OnCore(const std::vector<raft::ProposalOutcome>& outcomes,
              const std::vector<raft::ReadGrant>& reads,
              const std::vector<raft::ReadId>& failed_reads, raft::Status status);
  // Ends what is past its deadline; asks again for what has been held.
  void OnTick(MonotonicNs now);
  // When TakeWork must be called even if nothing comes: a pause between read rounds or between
  // commands of renewals ends.
  std::optional<MonotonicNs> NextRound() const;
  // True if nobody waits.
  bool idle() const;

  // For apply's driver, after the new view is published.

  // The lease clock as the log has it.
  void OnLeaseClock(int64_t clock_ms);
  void OnApplied(std::vector<storage::CommandOutcome> outcomes, raft::EntryId applied);
  // How far the log may be cut: all members have stored it up to here.
  raft::Index replicated_everywhere() const;
  // Quota and alarms may have changed.
  void OnLimits();
  // The member table has changed.
  void OnMembers();
  // For the transport. Any thread.
  void OnPeerConnected(raft::NodeId peer);
  void OnPeerLost(raft::NodeId peer);

  // History below the compacted revision `collected` has been deleted here.
  void OnCollected(storage::Revision collected);
  // While set, proposals are refused: there is no space left for the log.
  // A write of the log has not returned for long.
  void SetLogStalled(bool stalled) { log_stalled_.store(stalled, std::memory_order_relaxed); }
  void SetLogFull(bool full) { log_full_.store(full, std::memory_order_relaxed); }

  // Refuses what comes from here on.
  void Close();
  // Ends everything that waits.
  void Stop();

  size_t pending_proposals() const;
  size_t pending_bytes() const;

 private:
  struct CollectWaiter {
    storage::Revision compacted = 0;
    MonotonicNs deadline = 0;
    absl::AnyInvocable<void(GateResult) &&> done;
  };
  struct LeaderWaiter {
    raft::NodeId target;
    MonotonicNs deadline = 0;
    absl::AnyInvocable<void(GateResult) &&> done;
  };
  // Who waits for a change of members to show.
  struct MembersWaiter {
    std::function<bool()> shows;
    MonotonicNs deadline = 0;
    ProposeResult result;
    ProposeDone done;
  };
  // When a request must have ended: at its client's deadline, or sooner.
  MonotonicNs Until(std::optional<MonotonicNs> deadline) const;
  // Takes out who waits for at most `collected`, or is past its deadline.
  std::vector<CollectWaiter> TakeCollectWaiters(storage::Revision collected, MonotonicNs now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Takes out who waits for `leader`, or is past its deadline.
  std::vector<LeaderWaiter> TakeLeaderWaiters(std::optional<raft::NodeId> leader, MonotonicNs now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Takes out those whose change shows, or who are past their deadline.
  std::vector<MembersWaiter> TakeMembersWaiters(MonotonicNs now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void AwaitMembers(MembersWaiter waiter);
  static void EndMembersWaiters(std::vector<MembersWaiter> waiters);
  void QueueRenewals(std::vector<Renewals::Command> commands) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Why a new proposal is refused; kOk if it is not.
  // Whether all members can apply such a command.
  bool IsAgreed(CommandField field) const;
  GateResult Refusal(size_t bytes, uint64_t backlog_max) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void EndReads(std::vector<FinishedRead> reads) const;
  void EndProposals(std::vector<FinishedProposal> proposals) const;
  bool leader_known() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return raft_status_.leader.has_value();
  }

  // What there is to say of the leader when a proposal has timed out.
  LeaderSeen SeeLeader() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const MemberIdentity identity_;
  const std::vector<std::string> client_urls_;
  const GateLimits limits_;
  const uint64_t quota_bytes_;
  const Surroundings surroundings_;
  const GateMetrics metrics_;

  std::atomic<uint64_t> term_ = 0;
  std::atomic<uint64_t> commit_ = 0;
  std::atomic<uint64_t> applied_;
  std::atomic<bool> has_leader_ = false;
  std::atomic<bool> learner_ = false;
  std::atomic<bool> no_space_ = false;
  std::atomic<bool> log_full_ = false;
  std::atomic<bool> log_stalled_ = false;
  std::atomic<uint64_t> ids_ = 0;
  // The lease clock less the monotonic clock, in nanoseconds, as of the last reading applied.
  std::atomic<int64_t> lease_clock_lead_;
  int64_t lease_clock_applied_ms_;  // Of apply's thread.

  mutable Mutex mutex_;
  ProposalTracker proposals_ ABSL_GUARDED_BY(mutex_);
  Renewals renewals_ ABSL_GUARDED_BY(mutex_);
  ReadBarrier reads_ ABSL_GUARDED_BY(mutex_);
  std::vector<CollectWaiter> collect_waiters_ ABSL_GUARDED_BY(mutex_);
  std::vector<LeaderWaiter> leader_waiters_ ABSL_GUARDED_BY(mutex_);
  std::vector<MembersWaiter> members_waiters_ ABSL_GUARDED_BY(mutex_);
  std::map<raft::NodeId, MonotonicNs> connected_since_ ABSL_GUARDED_BY(mutex_);
  std::optional<raft::NodeId> hand_over_ ABSL_GUARDED_BY(mutex_);  // For the core.
  storage::Revision collected_ ABSL_GUARDED_BY(mutex_) = -1;
  raft::Status raft_status_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace gavel::server
