#include "server/node/core_driver.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "raft/limits.h"
#include "raft/sim_point.h"
#include "storage/disk/advice.h"

namespace gavel::server {
namespace {

// After a pause no more ticks than these are made up for: a member that was stopped must look at
// what arrived meanwhile before it believes that its leader is gone.
constexpr MonotonicNs kTicksMax = 10;
// Ticks at a time while nobody waits: fewer wakes of an idle member.
constexpr MonotonicNs kIdleTicks = 5;

// How many different refusals of commands are told, and how much of what another member says.
constexpr size_t kRefusalsToldMax = 1000;
constexpr size_t kRefusalBytesMax = 256;

// Below so many requests under way there is no rest.
constexpr size_t kRestRequestsMin = 16;
// A rest is so many times as long as the turn was. A turn takes longer when the processors are
// busy.
constexpr MonotonicNs kRestFactor = 10;
// It is bounded by what is under way: nobody who shares the member with few others waits for many.
constexpr MonotonicNs kRestPerRequest = 32 * kNsPerMs / 1000;
constexpr MonotonicNs kShortRestMax = kNsPerMs / 2;
constexpr MonotonicNs kLongRestMax = 2 * kNsPerMs;

// How often a member looks at the others' priorities, in the time that one must be ready.
constexpr MonotonicNs kPriorityLooks = 10;

std::string Hex(raft::NodeId id) { return absl::StrFormat("%x", id.value()); }

std::string_view RoleName(raft::Role role) {
  switch (role) {
    case raft::Role::kFollower:
      return "follower";
    case raft::Role::kPreCandidate:
      return "pre-candidate";
    case raft::Role::kCandidate:
      return "candidate";
    case raft::Role::kLeader:
      return "leader";
  }
  return "unknown";
}

}  // namespace

CoreMetrics::CoreMetrics(Metrics& metrics)
    : has_leader(metrics.AddGauge("etcd_server_has_leader", "1 if a leader is known, else 0.")),
      is_leader(metrics.AddGauge("etcd_server_is_leader", "1 if this member leads, else 0.")),
      leader_changes(metrics.AddCounter("etcd_server_leader_changes_seen_total",
                                        "Changes of the leader that this member has seen.")),
      heartbeat_send_failures(metrics.AddCounter("etcd_server_heartbeat_send_failures_total",
                                                 "Frames a leader could not send in time.")),
      turns(metrics.AddCounter("gavel_core_turns_total",
                               "Times the consensus core took what was waiting for it.")),
      forwards_refused(
          metrics.AddCounter("gavel_forwarded_proposals_refused_total",
                             "Commands of other members that this one, as leader, did not take.")),
      contradictions(metrics.AddCounter(
          "gavel_contradictions_total",
          "Messages of a leader that cannot be true beside what this member knows.")),
      gave_way(metrics.AddCounter(
          "gavel_leader_priority_hand_overs_total",
          "Times that this member handed leadership to one with a higher --leader-priority.")) {}

CoreDriver::CoreDriver(CoreStage stage, raft::NodeId id, const CoreTimes& times,
                       Surroundings surroundings, CoreMetrics metrics, PeerTimes peer_times,
                       LeaseDriver leases, const MembershipDriver& members)
    : stage_(std::move(stage)),
      id_(id),
      times_(times),
      surroundings_(std::move(surroundings)),
      metrics_(metrics),
      peer_times_(std::move(peer_times)),
      leases_(std::move(leases)),
      members_(members),
      priority_(times_.leader_priority_wait),
      last_tick_(surroundings_.clock.Now()),
      next_wake_(last_tick_ + times_.tick) {}

uint32_t CoreDriver::DueTicks(MonotonicNs now) {
  const MonotonicNs due = (now - last_tick_) / times_.tick;
  if (due > kTicksMax) {
    last_tick_ = now;
    return static_cast<uint32_t>(kTicksMax);
  }
  last_tick_ += due * times_.tick;
  return static_cast<uint32_t>(due);
}

bool CoreDriver::RunOnce() {
  const MonotonicNs now = surroundings_.clock.Now();
  const uint32_t ticks = DueTicks(now);
  std::vector<CoreInput> inputs = surroundings_.queues.core.TakeAll();
  if (ticks > 0) {
    surroundings_.snapshots.OnTick(now, stage_.status().peers);
    WatchDisk(now);
    GiveWay(now);
  }
  MemberGate::Work work = surroundings_.gate.TakeWork(now);
  if (work.hand_over) inputs.emplace_back(gavel::server::HandOver{*work.hand_over});
  const auto expiry = leases_.NextExpiry();
  const bool busy = ticks > 0 || !inputs.empty() || !work.proposals.empty() ||
                    work.read_round.has_value() || (expiry && *expiry <= now);
  if (busy) {
    // What other members' clients wait for is, on the leader, in the log.
    const uint64_t under_way = work.waiting + uncommitted_;
    most_under_way_ = ticks > 0 ? under_way : std::max(most_under_way_, under_way);
    Turn(ticks, std::move(inputs), std::move(work), now);
    if (most_under_way_ >= kRestRequestsMin) Rest(now);
  }
  const bool idle = leader_.has_value() && surroundings_.gate.idle() && !leases_.busy();
  next_wake_ = last_tick_ + (idle ? kIdleTicks : 1) * times_.tick;
  if (const auto round = surroundings_.gate.NextRound()) {
    next_wake_ = std::min(next_wake_, *round);
  }
  if (const auto next = leases_.NextExpiry()) next_wake_ = std::min(next_wake_, *next);
  return busy;
}

void CoreDriver::Turn(uint32_t ticks, std::vector<CoreInput> inputs, MemberGate::Work work,
                      MonotonicNs now) {
  metrics_.turns.Increment();
  if (role_ == raft::Role::kLeader) Observe(inputs, now);
  const bool proposing = !work.proposals.empty();
  CoreTurn turn{.ticks = ticks,
                .first = std::nullopt,
                .inputs = std::move(inputs),
                .proposals = std::move(work.proposals),
                .last = std::nullopt,
                .change = std::nullopt,
                .read_round = work.read_round};
  if (ticks > 0 && role_ == raft::Role::kLeader) {
    turn.change = members_.Next(stage_.configuration(), stage_.status());
  }
  leases_.Prepare(turn);
  CoreOutput output = stage_.Process(std::move(turn));
  if (proposing) surroundings_.gate.OnProposed(stage_.proposed_term());
  leases_.OnOutput(output);
  HandOut(std::move(output), now);
  if (ticks > 0) surroundings_.gate.OnTick(now);
}

void CoreDriver::Rest(MonotonicNs began) {
  const MonotonicNs now = surroundings_.clock.Now();
  const auto most = std::clamp(static_cast<MonotonicNs>(most_under_way_) * kRestPerRequest,
                               kShortRestMax, kLongRestMax);
  rest_until_ = now + std::min(kRestFactor * (now - began), most);
}

void CoreDriver::Observe(const std::vector<CoreInput>& inputs, MonotonicNs now) {
  for (const CoreInput& input : inputs) {
    if (std::holds_alternative<PeerUnreachable>(input)) {
      metrics_.heartbeat_send_failures.Increment();
    } else if (const auto* peer = std::get_if<PeerMessages>(&input)) {
      peer_times_.OnReceive(peer->messages, now);
    } else if (const auto* older = std::get_if<OlderEntries>(&input)) {
      TellOfReading(*older);
    }
  }
}

void CoreDriver::TellOfReading(const OlderEntries& older) {
  // It is asked for again all the time, so only what changes is told.
  if (std::exchange(reading_fails_, !older.status.ok()) == !older.status.ok()) return;
  if (older.status.ok()) {
    surroundings_.logger.Info("the log can be read again");
    return;
  }
  surroundings_.logger.Error(
      "reading the log for another member failed",
      {{"member", Hex(older.to)},
       {"from", older.from.value()},
       {"error", older.status.ToString()},
       {"what to do",
        "check the disk and the kernel's messages: that member lags until this one can read its "
        "log or another one leads"}});
}

void CoreDriver::TellOfLoss(const raft::Status& status) {
  if (status.missing.is_none() || std::exchange(loss_told_, true)) return;
  surroundings_.logger.Error(
      "this member has confirmed entries that its log does not hold",
      {{"leader", status.leader.has_value() ? Hex(*status.leader) : "none"},
       {"confirmed", status.missing.value()},
       {"end of the log", status.last.value()},
       {"what to do",
        absl::StrCat("its data directory was emptied or put back from a copy: stop it, and put the "
                     "whole directory back, or ",
                     storage::kReplaceMember)}});
}

// Each sender once in a term.
void CoreDriver::TellOfContradiction(const raft::Contradiction& contradiction) {
  if (contradiction.count == contradictions_) return;
  metrics_.contradictions.Increment(static_cast<double>(contradiction.count - contradictions_));
  contradictions_ = contradiction.count;
  const std::pair told(contradiction.term, contradiction.from);
  if (std::exchange(contradiction_told_, told) == told) return;
  surroundings_.logger.Error(
      contradiction.index.is_none() ? "two members say that they lead one term"
                                    : "a leader contradicts a committed entry",
      {{"term", contradiction.term.value()},
       {"member", Hex(contradiction.from)},
       {"leader known", contradiction.leader.has_value() ? Hex(*contradiction.leader) : "none"},
       {"entry", contradiction.index.value()},
       {"what to do",
        "what it said was refused. One of the members is broken, has a copy of another's identity, "
        "or is not yours: stop what does not belong here, and compare HashKV of the others"}});
}

// Each reason once for each member, on both ends.
void CoreDriver::TellOfRefusals(const CoreOutput& output) {
  const auto is_new = [this](raft::NodeId member, const std::string& reason) {
    return refusals_told_.size() < kRefusalsToldMax &&
           refusals_told_.emplace(member, reason).second;
  };
  for (const RefusedForward& refused : output.refused) {
    metrics_.forwards_refused.Increment();
    if (!is_new(refused.from, refused.reason)) continue;
    surroundings_.logger.Warn("did not take a command that a member forwarded",
                              {{"from", Hex(refused.from)}, {"reason", refused.reason}});
  }
  for (const raft::ProposalOutcome& outcome : output.proposals) {
    if (outcome.kind != raft::ProposalOutcome::Kind::kRefused || outcome.reason != 0) continue;
    const std::string reason = outcome.refusal.substr(0, kRefusalBytesMax);
    if (!is_new(id_, reason)) continue;
    surroundings_.logger.Error("the leader does not take a command of this member",
                               {{"reason", reason}});
  }
}

void CoreDriver::HandOut(CoreOutput output, MonotonicNs now) {
  Queues& queues = surroundings_.queues;
  if (output.configuration.has_value()) {
    surroundings_.on_configuration(*output.configuration);
  }
  // The disk works while the messages are encoded and sent.
  for (LogBatch& batch : output.log) queues.log.Push(std::move(batch));
  GAVEL_SIM_POINT("batches handed out, nothing sent");
  if (!output.send.empty()) {
    if (role_ == raft::Role::kLeader) peer_times_.OnSend(output.send, now);
    surroundings_.sender.Send(std::move(output.send));
  }
  GAVEL_SIM_POINT("sent, commits not handed out");
  if (!output.committed.empty()) queues.apply.Push(Committed{std::move(output.committed)});
  for (const raft::RoleChange& role : output.roles) OnRole(role);
  raft::Status status = stage_.status();
  uncommitted_ = status.last.value() - status.commit.value();
  TellOfLoss(status);
  TellOfContradiction(status.contradiction);
  TellOfRefusals(output);
  surroundings_.gate.OnCore(output.proposals, output.reads, output.failed_reads, std::move(status));
  for (const raft::EntriesWanted& wanted : output.older) ReadOlder(wanted);
  for (const raft::SnapshotWanted& wanted : output.snapshots) {
    if (role_ == raft::Role::kLeader) surroundings_.snapshots.Start(wanted.to);
  }
}

void CoreDriver::OnRole(const raft::RoleChange& role) {
  const char* const changed = role.role != role_       ? "role changed"
                              : role.leader != leader_ ? "leader changed"
                                                       : "term changed";
  surroundings_.logger.Info(changed,
                            {{"member", Hex(id_)},
                             {"role", RoleName(role.role)},
                             {"term", role.term.value()},
                             {"leader", role.leader.has_value() ? Hex(*role.leader) : "none"}});
  if (role.term >= raft::kTermMax) {
    surroundings_.logger.Error(
        "the last term is reached: after this leader there can be no other",
        {{"term", role.term.value()},
         {"what to do",
          "a broken or hostile peer has named it: save a snapshot, find the peer, and found the "
          "cluster anew with gavelutl snapshot restore"}});
  }
  if (role.leader.has_value() && role.leader != leader_) metrics_.leader_changes.Increment();
  leader_ = role.leader;
  if (role_ == raft::Role::kLeader && role.role != role_) surroundings_.snapshots.Stop();
  role_ = role.role;
  metrics_.has_leader.Set(role.leader.has_value() ? 1 : 0);
  metrics_.is_leader.Set(role.role == raft::Role::kLeader ? 1 : 0);
}

void CoreDriver::ReadOlder(const raft::EntriesWanted& wanted) {
  Queues& queues = surroundings_.queues;
  storage::Wal& wal = surroundings_.wal;
  queues.background.Add([&queues, &wal, wanted] {
    absl::StatusOr<std::vector<raft::Entry>> entries = wal.Read(wanted.from, wanted.bytes_max);
    OlderEntries older{.to = wanted.to, .from = wanted.from, .entries = {}};
    if (entries.ok()) {
      older.entries = *std::move(entries);
    } else if (!absl::IsOutOfRange(entries.status())) {
      older.status = entries.status();
    }
    queues.core.Push(std::move(older));
    return false;
  });
}

void CoreDriver::WatchDisk(MonotonicNs now) {
  const MonotonicNs since = surroundings_.log_busy_since.load(std::memory_order_relaxed);
  const bool stalled = since != 0 && now - since >= times_.slow_disk;
  surroundings_.gate.SetLogStalled(stalled);
  if (!stalled || stall_told_ == since) return;
  stall_told_ = since;
  surroundings_.logger.Warn("slow disk: a write of the log has not returned",
                            {{"milliseconds", (now - since) / kNsPerMs}});
  if (role_ != raft::Role::kLeader || now - since < times_.election_timeout) return;
  // A leader whose disk stands still serves nobody; one that works should lead.
  const auto best = BestSuccessor(stage_.status(), *surroundings_.gate.members());
  if (!best) return;
  surroundings_.logger.Warn("handing leadership over because of the slow disk",
                            {{"to", Hex(*best)}});
  surroundings_.queues.core.Push(HandOver{*best});
}

void CoreDriver::GiveWay(MonotonicNs now) {
  if (now < next_look_at_priorities_) return;
  next_look_at_priorities_ = now + times_.leader_priority_wait / kPriorityLooks;
  const auto to = priority_.Next(stage_.status(), *surroundings_.gate.members(), now);
  if (!to) return;
  metrics_.gave_way.Increment();
  surroundings_.logger.Info("handing leadership over to a member with a higher priority",
                            {{"to", Hex(*to)}});
  surroundings_.queues.core.Push(HandOver{*to});
}

}  // namespace gavel::server
