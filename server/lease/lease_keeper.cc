#include "server/lease/lease_keeper.h"

#include <algorithm>
#include <utility>

#include "raft/check.h"
#include "raft/sim_point.h"

namespace gavel::server {

using storage::LeaseChange;

LeaseKeeper::LeaseKeeper(int64_t leases, int64_t clock_ms) : finding_(leases > 0) {
  clock_.OnApplied(clock_ms);
}

void LeaseKeeper::OnApplied(const AppliedLeases& applied) {
  applied_ = applied.last;
  clock_.OnApplied(applied.clock_ms);
  for (const LeaseChange& change : applied.changes) Take(change);
  if (!under_way_ || !under_way_->index || *under_way_->index > applied_.index) return;
  if (!GAVEL_PLANTED_BUG(81)) GiveBack();
  under_way_->applied = true;
}

void LeaseKeeper::Take(const LeaseChange& change) {
  switch (change.kind) {
    case LeaseChange::Kind::kGranted:
    case LeaseChange::Kind::kRenewed:
      SetIfNewer(change.id, change.row);
      return;
    case LeaseChange::Kind::kRevoked:
    case LeaseChange::Kind::kExpired:
      break;
  }
  const std::optional<KeptLease> known = table_.Find(change.id);
  // The scan may have found one that was granted since under the same id.
  if (known && known->renewed > change.row.renewed) return;
  if (known) table_.Erase(change.id);
  if (finding_) ended_[change.id] = change.row.renewed;
}

void LeaseKeeper::SetIfNewer(int64_t id, const storage::LeaseRow& row) {
  const std::optional<KeptLease> known = table_.Find(id);
  if (known && known->renewed >= row.renewed) return;
  table_.Set(id, {row.deadline_ms, row.renewed});
}

void LeaseKeeper::OnFound(std::span<const storage::LeaseScan::Lease> found, bool all) {
  for (const auto& [id, row] : found) {
    const auto ended = ended_.find(id);
    if (ended != ended_.end() && ended->second >= row.renewed) continue;
    SetIfNewer(id, row);
  }
  if (!all) return;
  finding_ = false;
  ended_ = {};
}

void LeaseKeeper::OnRole(std::optional<raft::Term> leads_in) {
  if (leads_in == leads_in_) return;
  leads_in_ = leads_in;
  clock_.Stop();
  // What is in the log of the lost term is decided there, if it is at all.
  if (under_way_ && !GAVEL_PLANTED_BUG(80)) GiveBack();
  under_way_.reset();
  next_expiry_ = 0;
  full_began_.reset();
  table_.Rewind(clock_.Read(0));
}

void LeaseKeeper::GiveBack() {
  for (const int64_t id : under_way_->ids) table_.Return(id);
}

void LeaseKeeper::Look(MonotonicNs now) {
  // An entry of the own term is applied, so all of earlier terms are.
  if (leads_in_ && !clock_.running() && applied_.term == *leads_in_) clock_.Begin(now);
  walked_ = table_.Walk(clock_.Read(now), kTurnLeasesMax);
  if (!under_way_ || !under_way_->applied) return;
  full_began_.reset();
  if (under_way_->full) {
    full_began_ = under_way_->began;
    next_expiry_ = now + std::min((now - under_way_->began) / kPausePart, kPauseMax);
  }
  under_way_.reset();
}

std::optional<int64_t> LeaseKeeper::Stamp(MonotonicNs now, bool dating) const {
  return clock_.Stamp(now, dating, finding_ || table_.size() > 0);
}

std::optional<LeaseExpiries> LeaseKeeper::Expire(MonotonicNs now) {
  if (!MayExpire() || now < next_expiry_) return std::nullopt;
  const size_t leases_max = EntryLeases(now);
  LeaseExpiries expiries{*leads_in_, clock_.Read(now), table_.TakeDue(leases_max)};
  UnderWay& entry = under_way_.emplace();
  entry.began = now;
  entry.now_ms = expiries.now_ms;
  entry.full = expiries.leases.size() == leases_max;
  entry.ids.reserve(expiries.leases.size());
  for (const DueLease& lease : expiries.leases) entry.ids.push_back(lease.id);
  return expiries;
}

size_t LeaseKeeper::EntryBound(int64_t late_ms) {
  // In proportion between two points.
  const auto between = [late_ms](int64_t from_ms, int64_t to_ms, size_t from, size_t to) {
    const int64_t over_ms = std::clamp<int64_t>(late_ms - from_ms, 0, to_ms - from_ms);
    return from + (to - from) * static_cast<size_t>(over_ms) / static_cast<size_t>(to_ms - from_ms);
  };
  if (late_ms <= kGoneMs) return between(kLateMsMin, kLateMsMax, kEntryLeasesMin, kEntryLeasesLate);
  return between(kGoneMs, 2 * kGoneMs, kEntryLeasesLate, kEntryLeasesMax);
}

size_t LeaseKeeper::EntryLeases(MonotonicNs now) const {
  if (!full_began_) return kEntryLeasesMin;
  const int64_t late_ms = clock_.Read(now) - table_.due_since_ms();
  const auto due = static_cast<int64_t>(table_.CountDue());
  const int64_t left_ms = std::max<int64_t>(kGoneMs - late_ms, 1000);
  const int64_t pace =
      std::min(std::max(std::min(due, kPaceSteady), due * 1000 / left_ms), kPaceMax);
  const MonotonicNs in_pace = (now - *full_began_) / kNsPerMs * pace / 1000;
  return std::clamp(static_cast<size_t>(in_pace), kEntryLeasesMin, EntryBound(late_ms));
}

void LeaseKeeper::OnExpiryAppended(raft::EntryId entry) {
  GAVEL_CHECK(under_way_ && !under_way_->index);
  // In another term it is void, and nothing is waited for.
  if (leads_in_ != entry.term) return OnExpiryDropped();
  under_way_->index = entry.index;
  clock_.OnStamped(under_way_->now_ms);
}

void LeaseKeeper::OnExpiryDropped() {
  GAVEL_CHECK(under_way_ && !under_way_->index);
  GiveBack();
  next_expiry_ = under_way_->began + kPauseMax;
  under_way_.reset();
}

bool LeaseKeeper::MayExpire() const { return clock_.running() && table_.has_due() && !under_way_; }

std::optional<MonotonicNs> LeaseKeeper::NextExpiry() const {
  if (!MayExpire()) return std::nullopt;
  return next_expiry_;
}

}  // namespace gavel::server
