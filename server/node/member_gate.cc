#include "server/node/member_gate.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <utility>
#include <variant>

#include "proto/internal/command.pb.h"
#include "raft/random.h"
#include "raft/sim_point.h"
#include "server/node/command_bytes.h"
#include "storage/state/semantics.h"

namespace gavel::server {

GateMetrics::GateMetrics(Metrics& metrics)
    : proposals_failed(metrics.AddCounter("etcd_server_proposals_failed_total",
                                          "Proposals that ended without an outcome.")),
      read_indexes_failed(metrics.AddCounter("etcd_server_read_indexes_failed_total",
                                             "Confirmation rounds of reads that failed.")),
      slow_read_indexes(metrics.AddCounter("etcd_server_slow_read_indexes_total",
                                           "Confirmation rounds of reads given up as slow.")) {}

MemberGate::MemberGate(const MemberIdentity& identity, std::vector<std::string> client_urls,
                       const GateLimits& limits, uint64_t quota_bytes, Surroundings surroundings,
                       GateMetrics metrics)
    : identity_(identity),
      client_urls_(std::move(client_urls)),
      limits_(limits),
      quota_bytes_(quota_bytes),
      surroundings_(std::move(surroundings)),
      metrics_(metrics),
      applied_(surroundings_.machine.applied().value()),
      lease_clock_applied_ms_(-1),
      proposals_(identity.id, identity.incarnation) {
  OnMembers();
  OnLimits();
  OnLeaseClock(surroundings_.machine.leases().clock_ms);
}

MonotonicNs MemberGate::Until(std::optional<MonotonicNs> deadline) const {
  const MonotonicNs latest = surroundings_.clock.Now() + limits_.request_timeout;
  return std::min(deadline.value_or(latest), latest);
}

bool MemberGate::IsAgreed(CommandField field) const {
  // What makes them agree says its version itself.
  if (field == CommandField::kAgreeSemantics) return true;
  const uint32_t needed = SemanticsOf(field);
  return needed <= storage::kFoundingSemantics || needed <= surroundings_.machine.semantics();
}

GateResult MemberGate::Refusal(size_t bytes, uint64_t backlog_max) const {
  if (closed_) return GateResult::kStopped;
  const uint64_t commit = commit_.load(std::memory_order_relaxed);
  const uint64_t applied = applied_.load(std::memory_order_relaxed);
  const bool backlog = commit > applied && commit - applied > backlog_max;
  const bool full = proposals_.bytes() + renewals_.bytes() + bytes > limits_.pending_bytes_max;
  if ((backlog || full || log_full_.load(std::memory_order_relaxed)) && !GAVEL_PLANTED_BUG(31)) {
    return GateResult::kTooManyRequests;
  }
  return GateResult::kOk;
}

void MemberGate::Propose(CommandField field, std::string request,
                         std::optional<MonotonicNs> deadline, ProposeDone done) {
  const MonotonicNs until = Until(deadline);
  const bool agreed = IsAgreed(field);
  GateResult refused = GateResult::kOk;
  bool wake = false;
  {
    const MutexLock lock(mutex_);
    refused = Refusal(request.size(), limits_.apply_backlog_entries_max);
    if (refused == GateResult::kOk && !agreed) refused = GateResult::kNotTaken;
    if (refused == GateResult::kOk) {
      wake = !proposals_.has_queued();
      proposals_.Add(field, request, until, std::move(done));
    }
  }
  if (refused != GateResult::kOk) {
    ProposeResult result;
    result.result = refused;
    result.term = term();
    std::move(done)(std::move(result));
  } else if (wake) {
    surroundings_.wake_core();
  }
}

void MemberGate::RenewLease(int64_t id, std::optional<MonotonicNs> deadline, RenewDone done) {
  if (GAVEL_PLANTED_BUG(75)) {
    std::move(done)(GateResult::kOk, 2);
    done = [](GateResult, int64_t) {};
  }
  const MonotonicNs until = Until(deadline);
  GateResult refused = GateResult::kOk;
  bool wake = false;
  {
    const MutexLock lock(mutex_);
    // Leases must not be lost to a load of writes, and many renewals are one entry.
    refused = Refusal(Renewals::kBytes, 2 * limits_.apply_backlog_entries_max);
    if (refused == GateResult::kOk) {
      wake = !proposals_.has_queued() && renewals_.empty();
      renewals_.Add(id, until, std::move(done));
    }
  }
  if (refused != GateResult::kOk) {
    std::move(done)(refused, 0);
  } else if (wake) {
    surroundings_.wake_core();
  }
}

void MemberGate::QueueRenewals(std::vector<Renewals::Command> commands) {
  for (Renewals::Command& command : commands) {
    const size_t count = command.waiters.size();
    proposals_.Add(CommandField::kRenewLeases, command.request, command.deadline,
                   [waiters = std::move(command.waiters)](const ProposeResult& result) mutable {
                     Renewals::Finish(std::move(waiters), result);
                   },
                   {count, count * Renewals::kBytes});
  }
}

void MemberGate::OnLeaseClock(int64_t clock_ms) {
  // An old reading says nothing about how long it has been.
  if (clock_ms <= lease_clock_applied_ms_) return;
  lease_clock_applied_ms_ = clock_ms;
  lease_clock_lead_.store(clock_ms * kNsPerMs - surroundings_.clock.Now(),
                          std::memory_order_relaxed);
}

int64_t MemberGate::lease_clock_ms() const {
  return (lease_clock_lead_.load(std::memory_order_relaxed) + surroundings_.clock.Now()) / kNsPerMs;
}

int64_t MemberGate::NewId() {
  // The incarnation never comes back, so neither does where it begins, out of 2^63 places. Rows
  // with ids next to each other are written and found next to each other.
  const uint64_t life = raft::Random(identity_.id.value() ^ identity_.incarnation.value()).Next();
  uint64_t id = 0;
  while (id == 0) id = (life + ids_.fetch_add(1, std::memory_order_relaxed)) << 1 >> 1;
  return static_cast<int64_t>(id);
}

void MemberGate::Read(std::optional<MonotonicNs> deadline, ReadDone done) {
  const MonotonicNs until = Until(deadline);
  bool closed = false;
  bool wake = false;
  {
    const MutexLock lock(mutex_);
    closed = closed_;
    if (!closed) {
      const bool could_begin = reads_.CanBegin();
      reads_.Add(until, std::move(done));
      wake = !could_begin && reads_.CanBegin();
    }
  }
  if (closed) {
    std::move(done)(ReadResult{GateResult::kStopped, nullptr});
  } else if (wake) {
    surroundings_.wake_core();
  }
}

std::shared_ptr<const storage::ReadView> MemberGate::view() const {
  return surroundings_.machine.view();
}

raft::Term MemberGate::term() const { return raft::Term(term_.load(std::memory_order_relaxed)); }

size_t MemberGate::background_jobs() const { return surroundings_.background.due(); }

void MemberGate::RunInBackground(absl::AnyInvocable<bool()> step) {
  surroundings_.background.Add(std::move(step));
}

void MemberGate::RunInBackgroundAfter(MonotonicNs delay, absl::AnyInvocable<bool()> step) {
  surroundings_.background.AddAt(surroundings_.clock.Now() + delay, std::move(step));
}

MemberStatus MemberGate::status() const {
  MemberStatus status;
  status.cluster_id = identity_.cluster_id;
  status.applied = raft::Index(applied_.load(std::memory_order_relaxed));
  const auto quota = static_cast<uint64_t>(limits()->quota_bytes);
  // Until a leader has set it, this member's own.
  status.quota_bytes = quota > 0 ? quota : quota_bytes_;
  {
    const MutexLock lock(mutex_);
    status.raft = raft_status_;
  }
  // Apply may be ahead of what the core has told so far.
  status.raft.commit = std::max(status.raft.commit, status.applied);
  status.learner = learner();
  const storage::EngineStats engine = surroundings_.engine.stats();
  // What is not flushed yet occupies the write buffers; etcd's file counts it too.
  status.db_bytes = engine.disk_bytes + engine.unflushed_bytes;
  status.db_in_use_bytes = engine.live_bytes + engine.unflushed_bytes;
  status.db_readers = engine.readers;
  if (status.db_bytes == 0) status.db_bytes = 1;
  if (status.db_in_use_bytes > status.db_bytes) status.db_in_use_bytes = status.db_bytes;
  const absl::Status health = surroundings_.engine.health();
  if (!health.ok()) status.disk_errors.emplace_back(health.message());
  if (log_stalled_.load(std::memory_order_relaxed)) {
    status.disk_errors.emplace_back("the disk of the log does not answer");
  }
  for (const std::string& error : status.disk_errors) status.errors.push_back(error);
  return status;
}

MemberGate::Work MemberGate::TakeWork(MonotonicNs now) {
  const MutexLock lock(mutex_);
  Work work;
  QueueRenewals(renewals_.TakeDue(now));
  work.waiting = proposals_.waiters() + reads_.unconfirmed();
  if (proposals_.has_queued()) work.proposals = proposals_.TakeQueued();
  work.read_round = reads_.Begin(now);
  work.hand_over = std::exchange(hand_over_, std::nullopt);
  return work;
}

raft::RequestId MemberGate::NewRequestId() {
  const MutexLock lock(mutex_);
  return proposals_.NewId();
}

void MemberGate::OnProposed(raft::Term term) {
  const MutexLock lock(mutex_);
  proposals_.OnProposed(term);
}

void MemberGate::OnCore(const std::vector<raft::ProposalOutcome>& outcomes,
                        const std::vector<raft::ReadGrant>& reads,
                        const std::vector<raft::ReadId>& failed_reads, raft::Status status) {
  const MonotonicNs now = surroundings_.clock.Now();
  term_.store(status.term.value(), std::memory_order_relaxed);
  commit_.store(status.commit.value(), std::memory_order_relaxed);
  has_leader_.store(status.leader.has_value(), std::memory_order_relaxed);
  std::vector<FinishedRead> finished;
  std::vector<LeaderWaiter> moved;
  std::vector<FinishedProposal> refused;
  {
    const MutexLock lock(mutex_);
    const bool leader_changed = raft_status_.leader != status.leader;
    raft_status_ = std::move(status);
    for (const raft::ProposalOutcome& outcome : outcomes) {
      if (outcome.kind == raft::ProposalOutcome::Kind::kDropped) proposals_.OnDropped(outcome.id);
      if (outcome.kind != raft::ProposalOutcome::Kind::kRefused) continue;
      if (auto ended = proposals_.OnRefused(outcome.id, outcome.reason))
        refused.push_back(*std::move(ended));
    }
    for (const raft::ReadGrant& grant : reads) reads_.OnGranted(grant.id, grant.index, now);
    // Asking again at once would fail at once while there is no leader.
    for (const raft::ReadId id : failed_reads)
      reads_.OnFailed(id, leader_changed && leader_known());
    if (leader_changed && leader_known()) {
      proposals_.Requeue();
      reads_.Release();
      moved = TakeLeaderWaiters(raft_status_.leader, std::numeric_limits<MonotonicNs>::min());
    }
    finished = reads_.TakeServable(raft::Index(applied_.load(std::memory_order_acquire)));
  }
  if (!failed_reads.empty()) {
    metrics_.read_indexes_failed.Increment(static_cast<double>(failed_reads.size()));
  }
  for (LeaderWaiter& waiter : moved) std::move(waiter.done)(GateResult::kOk);
  EndProposals(std::move(refused));
  EndReads(std::move(finished));
}

void MemberGate::OnTick(MonotonicNs now) {
  std::vector<FinishedProposal> proposals;
  std::vector<FinishedRead> reads;
  std::vector<CollectWaiter> collects;
  std::vector<LeaderWaiter> moves;
  std::vector<MembersWaiter> changes;
  uint64_t given_up = 0;
  {
    const MutexLock lock(mutex_);
    if (!collect_waiters_.empty()) collects = TakeCollectWaiters(collected_, now);
    if (!leader_waiters_.empty()) moves = TakeLeaderWaiters(std::nullopt, now);
    if (!members_waiters_.empty()) changes = TakeMembersWaiters(now);
    proposals = proposals_.Expire(now, SeeLeader());
    reads = reads_.Expire(now, leader_known(), &given_up);
    if (leader_known()) {
      proposals_.Requeue();
      reads_.Release();
    }
  }
  for (CollectWaiter& waiter : collects) std::move(waiter.done)(GateResult::kTimedOut);
  for (LeaderWaiter& waiter : moves) std::move(waiter.done)(GateResult::kTimedOut);
  EndMembersWaiters(std::move(changes));
  if (given_up > 0) metrics_.slow_read_indexes.Increment(static_cast<double>(given_up));
  if (!proposals.empty()) {
    metrics_.proposals_failed.Increment(static_cast<double>(proposals.size()));
  }
  EndProposals(std::move(proposals));
  EndReads(std::move(reads));
}

std::optional<MonotonicNs> MemberGate::NextRound() const {
  const MutexLock lock(mutex_);
  const std::optional<MonotonicNs> read = reads_.pause_until();
  const std::optional<MonotonicNs> renewal = renewals_.due_at();
  return read && renewal ? std::min(*read, *renewal) : read ? read : renewal;
}

bool MemberGate::idle() const {
  const MutexLock lock(mutex_);
  return proposals_.empty() && renewals_.empty() && reads_.empty() && collect_waiters_.empty() &&
         leader_waiters_.empty() && members_waiters_.empty();
}

void MemberGate::OnApplied(std::vector<storage::CommandOutcome> outcomes, raft::EntryId applied) {
  std::vector<FinishedProposal> proposals;
  std::vector<FinishedRead> reads;
  bool wake = false;
  {
    const MutexLock lock(mutex_);
    // Under the lock: a grant that OnCore files after this sees the new index.
    applied_.store(applied.index.value(), std::memory_order_release);
    proposals = proposals_.OnApplied(std::move(outcomes), applied.term);
    reads = reads_.TakeServable(applied.index);
    if (proposals_.has_held() && leader_known()) {
      proposals_.Requeue();
      wake = true;
    }
  }
  if (wake) surroundings_.wake_core();
  EndProposals(std::move(proposals));
  if (!reads.empty()) GAVEL_SIM_POINT("writers told, readers not");
  EndReads(std::move(reads));
}

raft::Index MemberGate::replicated_everywhere() const {
  const MutexLock lock(mutex_);
  return raft_status_.replicated_everywhere;
}

void MemberGate::OnLimits() {
  no_space_.store(storage::HasAlarm(limits()->alarms, storage::kAlarmNoSpace),
                  std::memory_order_relaxed);
}

std::vector<MemberGate::CollectWaiter> MemberGate::TakeCollectWaiters(storage::Revision collected,
                                                                      MonotonicNs now) {
  const auto taken = std::stable_partition(
      collect_waiters_.begin(), collect_waiters_.end(), [&](const CollectWaiter& waiter) {
        return waiter.compacted > collected && waiter.deadline > now;
      });
  std::vector<CollectWaiter> waiters(std::make_move_iterator(taken),
                                     std::make_move_iterator(collect_waiters_.end()));
  collect_waiters_.erase(taken, collect_waiters_.end());
  return waiters;
}

void MemberGate::WhenCollected(storage::Revision compacted, std::optional<MonotonicNs> deadline,
                               absl::AnyInvocable<void(GateResult) &&> done) {
  const MonotonicNs until = deadline.value_or(std::numeric_limits<MonotonicNs>::max());
  GateResult result = GateResult::kOk;
  {
    const MutexLock lock(mutex_);
    if (closed_) {
      result = GateResult::kStopped;
    } else if (compacted > collected_) {
      collect_waiters_.push_back({compacted, until, std::move(done)});
      return;
    }
  }
  std::move(done)(result);
}

void MemberGate::OnCollected(storage::Revision collected) {
  std::vector<CollectWaiter> waiters;
  {
    const MutexLock lock(mutex_);
    collected_ = std::max(collected_, collected);
    waiters = TakeCollectWaiters(collected_, std::numeric_limits<MonotonicNs>::min());
  }
  for (CollectWaiter& waiter : waiters) std::move(waiter.done)(GateResult::kOk);
}

std::vector<MemberGate::LeaderWaiter> MemberGate::TakeLeaderWaiters(
    std::optional<raft::NodeId> leader, MonotonicNs now) {
  const auto taken = std::stable_partition(
      leader_waiters_.begin(), leader_waiters_.end(),
      [&](const LeaderWaiter& waiter) { return waiter.target != leader && waiter.deadline > now; });
  std::vector<LeaderWaiter> waiters(std::make_move_iterator(taken),
                                    std::make_move_iterator(leader_waiters_.end()));
  leader_waiters_.erase(taken, leader_waiters_.end());
  return waiters;
}

void MemberGate::MoveLeader(raft::NodeId target, std::optional<MonotonicNs> deadline,
                            absl::AnyInvocable<void(GateResult) &&> done) {
  const MonotonicNs until = Until(deadline);
  GateResult result = GateResult::kOk;
  bool asked = false;
  {
    const MutexLock lock(mutex_);
    if (closed_) {
      result = GateResult::kStopped;
    } else if (raft_status_.role != raft::Role::kLeader) {
      result = GateResult::kNotLeader;
    } else if (target != identity_.id) {
      hand_over_ = target;
      leader_waiters_.push_back({target, until, std::move(done)});
      asked = true;
    }
  }
  if (asked) {
    surroundings_.wake_core();
  } else {
    std::move(done)(result);
  }
}

void MemberGate::Close() {
  const MutexLock lock(mutex_);
  closed_ = true;
}

void MemberGate::Stop() {
  std::vector<FinishedProposal> proposals;
  std::vector<FinishedRead> reads;
  std::vector<CollectWaiter> collects;
  std::vector<LeaderWaiter> moves;
  std::vector<MembersWaiter> changes;
  {
    const MutexLock lock(mutex_);
    closed_ = true;
    changes.swap(members_waiters_);
    collects.swap(collect_waiters_);
    moves.swap(leader_waiters_);
    QueueRenewals(renewals_.TakeAll());
    proposals = proposals_.Stop();
    reads = reads_.Stop();
  }
  for (CollectWaiter& waiter : collects) std::move(waiter.done)(GateResult::kStopped);
  for (LeaderWaiter& waiter : moves) std::move(waiter.done)(GateResult::kStopped);
  for (MembersWaiter& waiter : changes) waiter.result.result = GateResult::kStopped;
  EndMembersWaiters(std::move(changes));
  EndProposals(std::move(proposals));
  EndReads(std::move(reads));
}

size_t MemberGate::pending_proposals() const {
  const MutexLock lock(mutex_);
  return proposals_.count();
}

size_t MemberGate::pending_bytes() const {
  const MutexLock lock(mutex_);
  return proposals_.bytes();
}

void MemberGate::EndReads(std::vector<FinishedRead> reads) const {
  if (reads.empty()) return;
  const std::shared_ptr<const storage::ReadView> newest = view();
  for (FinishedRead& read : reads) {
    ReadResult result;
    result.result = read.result;
    if (read.result == GateResult::kOk) result.view = newest;
    std::move(read.done)(std::move(result));
  }
}

void MemberGate::EndProposals(std::vector<FinishedProposal> proposals) const {
  const raft::Term newest = term();
  for (FinishedProposal& proposal : proposals) {
    proposal.result.term = newest;
    std::move(proposal.done)(std::move(proposal.result));
  }
}

}  // namespace gavel::server
