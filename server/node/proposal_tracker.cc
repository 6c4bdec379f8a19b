#include "server/node/proposal_tracker.h"

#include <algorithm>
#include <memory>

#include "raft/sim_point.h"
#include "server/node/command_bytes.h"

namespace gavel::server {
namespace {

// What a waiting proposal costs besides its bytes.
constexpr size_t kOverheadBytes = 256;

}  // namespace

std::string ProposalTracker::Header(CommandField field, uint64_t sequence) const {
  return EncodeCommandHeader(field, IdOf(sequence));
}

void ProposalTracker::Add(CommandField field, std::string_view request, MonotonicNs deadline,
                          ProposeDone done, Waiters waiters) {
  const uint64_t sequence = ++last_sequence_;
  std::string bytes = Header(field, sequence);
  const size_t body_offset = bytes.size();
  AppendCommandBody(field, request, &bytes);
  bytes_ += bytes.size() + kOverheadBytes + waiters.bytes;
  waiters_ += waiters.count;
  pending_.emplace(sequence, Pending{field, std::make_shared<const std::string>(std::move(bytes)),
                                     body_offset, deadline, std::move(done), waiters});
  deadlines_.emplace(deadline, sequence);
  queued_.push_back(sequence);
}

std::vector<raft::Proposal> ProposalTracker::TakeQueued() {
  std::vector<raft::Proposal> proposals;
  proposals.reserve(queued_.size());
  for (const uint64_t sequence : queued_) {
    const auto it = pending_.find(sequence);
    if (it == pending_.end()) continue;  // Past its deadline before the core came.
    proposals.push_back({IdOf(sequence), it->second.payload});
    last_taken_ = sequence;
  }
  queued_.clear();
  return proposals;
}

void ProposalTracker::OnProposed(raft::Term term) {
  if (!proposed_.empty() && proposed_.back().first == term) {
    proposed_.back().second = last_taken_;
  } else {
    proposed_.emplace_back(term, last_taken_);
  }
}

void ProposalTracker::Hold(PendingMap::iterator it) {
  if (it->second.held) return;
  it->second.held = true;
  held_.push_back(it->first);
}

void ProposalTracker::OnDropped(const raft::RequestId& id) {
  if (id.member != member_ || id.incarnation != incarnation_) return;
  const auto it = pending_.find(id.sequence);
  if (it != pending_.end()) Hold(it);
}

std::optional<FinishedProposal> ProposalTracker::OnRefused(const raft::RequestId& id,
                                                           uint32_t reason) {
  if (id.member != member_ || id.incarnation != incarnation_) return std::nullopt;
  const auto it = pending_.find(id.sequence);
  if (it == pending_.end()) return std::nullopt;
  if (reason == 0 || reason > static_cast<uint32_t>(storage::kRequestErrorMax)) {
    return Finish(it, GateResult::kNotTaken);
  }
  FinishedProposal finished = Finish(it, GateResult::kRefused);
  finished.result.outcome.id = id;
  finished.result.outcome.error = static_cast<storage::RequestError>(reason);
  return finished;
}

std::vector<FinishedProposal> ProposalTracker::OnApplied(
    std::vector<storage::CommandOutcome> outcomes, raft::Term applied_term) {
  std::vector<FinishedProposal> finished;
  for (storage::CommandOutcome& outcome : outcomes) {
    if (outcome.id.member != member_ || outcome.id.incarnation != incarnation_) continue;
    const auto it = pending_.find(outcome.id.sequence);
    if (it == pending_.end()) continue;
    const bool refused = outcome.error != storage::RequestError::kNone;
    finished.push_back(Finish(it, refused ? GateResult::kRefused : GateResult::kOk));
    finished.back().result.outcome = std::move(outcome);
  }
  // A proposal made in an earlier term can only be in an entry of that term, and all those are
  // before the entry of `applied_term` just applied: it is in no log and never will be.
  uint64_t dropped_to = 0;
  auto run = proposed_.begin();
  for (; run != proposed_.end() && run->first < applied_term; ++run) dropped_to = run->second;
  proposed_.erase(proposed_.begin(), run);
  for (auto it = pending_.begin(); it != pending_.end() && it->first <= dropped_to; ++it) Hold(it);
  return finished;
}

void ProposalTracker::Requeue() {
  std::vector<uint64_t> held;
  held.swap(held_);
  std::sort(held.begin(), held.end());
  for (const uint64_t old_sequence : held) {
    const auto it = pending_.find(old_sequence);
    if (it == pending_.end()) continue;
    Pending pending = std::move(it->second);
    pending_.erase(it);
    deadlines_.erase({pending.deadline, old_sequence});
    const uint64_t sequence = ++last_sequence_;
    std::string bytes = Header(pending.field, sequence);
    const size_t body_offset = bytes.size();
    bytes.append(*pending.payload, pending.body_offset, std::string::npos);
    bytes_ -= pending.payload->size();
    bytes_ += bytes.size();
    pending.payload = std::make_shared<const std::string>(std::move(bytes));
    pending.body_offset = body_offset;
    pending.held = false;
    deadlines_.emplace(pending.deadline, sequence);
    pending_.emplace(sequence, std::move(pending));
    queued_.push_back(sequence);
  }
}

FinishedProposal ProposalTracker::Finish(PendingMap::iterator it, GateResult result) {
  FinishedProposal finished{std::move(it->second.done), {}};
  finished.result.result = result;
  bytes_ -= it->second.payload->size() + kOverheadBytes + it->second.waiters.bytes;
  waiters_ -= it->second.waiters.count;
  deadlines_.erase({it->second.deadline, it->first});
  pending_.erase(it);
  return finished;
}

// etcd tells the same three apart, by the time of the request and of the election
// (EtcdServer.parseProposeCtxErr).
GateResult ProposalTracker::WhyExpired(PendingMap::const_iterator it,
                                       const LeaderSeen& leader) const {
  if (InNoLog(it) || GAVEL_PLANTED_BUG(43)) {
    return leader.term.has_value() ? GateResult::kDropped : GateResult::kNoLeader;
  }
  if (!leader.term.has_value()) return GateResult::kTimedOut;
  const auto run = std::find_if(proposed_.begin(), proposed_.end(),
                                [&](const auto& terms) { return it->first <= terms.second; });
  if (run != proposed_.end() && run->first < *leader.term) return GateResult::kTimedOutLeaderFailed;
  return leader.connected ? GateResult::kTimedOut : GateResult::kTimedOutDisconnected;
}

std::vector<FinishedProposal> ProposalTracker::Expire(MonotonicNs now, const LeaderSeen& leader) {
  std::vector<FinishedProposal> finished;
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    const auto it = pending_.find(deadlines_.begin()->second);
    finished.push_back(Finish(it, WhyExpired(it, leader)));
  }
  return finished;
}

std::vector<FinishedProposal> ProposalTracker::Stop() {
  std::vector<FinishedProposal> finished;
  while (!pending_.empty()) {
    const auto it = pending_.begin();
    finished.push_back(Finish(it, InNoLog(it) ? GateResult::kDropped : GateResult::kStopped));
  }
  queued_.clear();
  held_.clear();
  return finished;
}

}  // namespace gavel::server
