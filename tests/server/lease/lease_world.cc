#include "tests/server/lease/lease_world.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace gavel::testing {

using server::kNsPerMs;
using server::kNsPerSecond;
using server::LeaseKeeper;
using server::MonotonicNs;
using Kind = storage::LeaseChange::Kind;

namespace {

constexpr int64_t kMillion = 1'000'000;
// How far a clock may be off, in parts per million.
constexpr int64_t kDriftPpmMax = 300;
constexpr MonotonicNs kTurnMax = 40 * kNsPerMs;
constexpr MonotonicNs kPauseMax = 4 * kNsPerSecond;
// What a lease may last beyond its TTL while one leader leads: the slack of its deadline, a bucket,
// a few turns to find it and to commit.
constexpr MonotonicNs kLateMax = 500 * kNsPerMs;
// And what it may gain with each new leader besides the time without one.
constexpr MonotonicNs kGainMax = kNsPerSecond;

MonotonicNs Drift(MonotonicNs of) { return of / kMillion * 2 * kDriftPpmMax; }

}  // namespace

LeaseWorld::LeaseWorld(const LeaseWorldPlan& plan) : plan_(plan), random_(plan.seed) {
  members_.resize(static_cast<size_t>(plan.members));
  for (Member& member : members_) {
    member.keeper = std::make_unique<LeaseKeeper>(0, 0);
    member.rate_ppm = static_cast<int64_t>(random_.Below(2 * kDriftPpmMax)) - kDriftPpmMax;
    member.offset = static_cast<MonotonicNs>(random_.Below(1000)) * kNsPerSecond;
  }
}

MonotonicNs LeaseWorld::Clock(const Member& member) const {
  return member.offset + now_ + now_ / kMillion * member.rate_ppm;
}

void LeaseWorld::Fail(std::string what) {
  if (failures_.size() < 5) failures_.push_back(absl::StrCat(now_ / kNsPerMs, " ms: ", what));
}

void LeaseWorld::GrantMany(int count, int64_t ttl_seconds) {
  for (int i = 0; i < count; ++i) {
    Entry grant{.kind = Entry::Kind::kGrant, .id = next_id_++, .ttl_seconds = ttl_seconds};
    waiting_.push_back(std::move(grant));
  }
}

void LeaseWorld::Run(int turns) {
  for (int i = 0; i < turns; ++i) {
    now_ += static_cast<MonotonicNs>(random_.Below(kTurnMax / plan_.members));
    if (!leader_ && now_ >= leaderless_until_) ChangeLeader();
    if (leader_ && !calm_ && random_.OneIn(plan_.lose_leader_one_in)) {
      leader_.reset();
      leaderless_until_ = now_ + static_cast<MonotonicNs>(random_.Below(3000)) * kNsPerMs;
    }
    Turn(random_.Below(members_.size()));
    if (leader_) {
      // Not the whole way at once.
      Commit(committed_ + (log_.size() - committed_ + 1) / (1 + random_.Below(2)));
    }
    Member& member = members_[random_.Below(members_.size())];
    ApplySome(member, random_.Below(30));
    if (member.scan_at) ScanOn(member);
    if (plan_.restarts && !calm_ && random_.OneIn(400)) Restart(member);
  }
}

// The new leader has all that is committed, and perhaps more.
void LeaseWorld::ChangeLeader() {
  log_.resize(committed_ + random_.Below(log_.size() - committed_ + 1));
  leader_ = random_.Below(members_.size());
  term_ = term_.Next();
  began_ = false;
  Entry first;
  first.term = term_;
  log_.push_back(std::move(first));
  Member& member = members_[*leader_];
  member.believes = term_;
  member.keeper->OnRole(term_);
}

uint64_t LeaseWorld::Append(size_t index, Entry entry) {
  Member& member = members_[index];
  entry.term = *member.believes;
  // Whoever was deposed and does not know it appends to a log that will be lost.
  if (leader_ != index) return log_.size() + 1;
  log_.push_back(std::move(entry));
  return log_.size();
}

void LeaseWorld::Requests(std::vector<Entry>* requests) {
  *requests = std::exchange(waiting_, {});
  while (!calm_ && random_.OneIn(plan_.renew_one_in)) {
    Entry entry;
    entry.kind = Entry::Kind::kRenew;
    if (random_.OneIn(3)) entry.kind = Entry::Kind::kGrant;
    if (random_.OneIn(20)) entry.kind = Entry::Kind::kRevoke;
    entry.id = static_cast<int64_t>(1 + random_.Below(static_cast<uint64_t>(plan_.ids)));
    entry.ttl_seconds =
        static_cast<int64_t>(2 + random_.Below(static_cast<uint64_t>(plan_.ttl_seconds - 1)));
    requests->push_back(std::move(entry));
  }
  for (Entry& entry : *requests) {
    entry.came = now_;
    entry.gained = gained_;
  }
}

void LeaseWorld::Tell(Member& member) {
  for (const auto& input : std::exchange(member.inbox, {})) {
    if (const auto* applied = std::get_if<Applied>(&input)) {
      member.keeper->OnApplied({applied->entry, applied->clock_ms, applied->changes});
    } else {
      const Found& found = std::get<Found>(input);
      member.keeper->OnFound(found.leases, found.all);
    }
  }
}

void LeaseWorld::Turn(size_t index) {
  Member& member = members_[index];
  // It may not know yet that it leads no more.
  const bool deposed = member.believes && (leader_ != index || *member.believes != term_);
  if (deposed && random_.OneIn(5)) {
    member.believes.reset();
    member.keeper->OnRole(std::nullopt);
  }
  LeaseKeeper& keeper = *member.keeper;
  Tell(member);
  std::vector<Entry> requests;
  if (leader_ == index) Requests(&requests);
  const MonotonicNs clock = Clock(member);
  keeper.Look(clock);
  if (!keeper.leads()) return;
  if (leader_ == index && !began_ && member.applied > 0 &&
      applied_[member.applied - 1].entry.term == term_) {
    began_ = true;
    gained_ += now_ - last_led_ + kGainMax;
  }
  LeadersTurn(index, std::move(requests), clock);
}

void LeaseWorld::LeadersTurn(size_t index, std::vector<Entry> requests, MonotonicNs clock) {
  LeaseKeeper& keeper = *members_[index].keeper;
  if (!calm_ && random_.OneIn(200)) {
    // The process is stopped right after it has looked at its clock.
    const auto pause = static_cast<MonotonicNs>(random_.Below(kPauseMax));
    now_ += pause;
    gained_ += pause;
  }
  const bool dating = std::any_of(requests.begin(), requests.end(), [](const Entry& entry) {
    return entry.kind == Entry::Kind::kGrant || entry.kind == Entry::Kind::kRenew;
  });
  if (const auto stamp = keeper.Stamp(clock, dating)) {
    Append(index, {.kind = Entry::Kind::kClock, .now_ms = *stamp});
    keeper.OnStamped(*stamp);
  }
  for (Entry& entry : requests) Append(index, std::move(entry));
  if (auto expiries = keeper.Expire(clock)) {
    if (expiries->leases.size() > LeaseKeeper::kEntryLeasesMax) Fail("an entry is too large");
    if (random_.OneIn(20)) {
      keeper.OnExpiryDropped();
    } else {
      const raft::Term term = *members_[index].believes;
      const uint64_t at = Append(
          index, {.kind = Entry::Kind::kExpire, .expiries = *std::move(expiries), .came = now_});
      keeper.OnExpiryAppended({raft::Index(at), term});
    }
  }
  if (leader_ != index) return;
  if (began_) last_led_ = now_;
  const auto under_way =
      std::count_if(log_.begin() + static_cast<std::ptrdiff_t>(members_[index].applied), log_.end(),
                    [&](const Entry& entry) {
                      return entry.kind == Entry::Kind::kExpire && entry.term == term_;
                    });
  if (under_way > 1) {
    Fail(absl::StrCat(under_way, " entries of expiries are under way"));
  }
}

void LeaseWorld::Commit(uint64_t upto) {
  for (; committed_ < std::min<uint64_t>(upto, log_.size()); ++committed_) {
    Applied applied = Apply(log_[committed_]);
    applied.entry = {raft::Index(committed_ + 1), log_[committed_].term};
    applied.clock_ms = clock_ms_;
    applied_.push_back(std::move(applied));
  }
}

LeaseWorld::Applied LeaseWorld::Apply(const Entry& entry) {
  Applied applied;
  switch (entry.kind) {
    case Entry::Kind::kEmpty:
      break;
    case Entry::Kind::kClock:
      if (entry.now_ms < clock_ms_) Fail("the lease clock goes back");
      clock_ms_ = std::max(clock_ms_, entry.now_ms);
      break;
    case Entry::Kind::kGrant:
      if (!rows_.contains(entry.id)) Set(applied, entry, Kind::kGranted);
      break;
    case Entry::Kind::kRenew:
      if (rows_.contains(entry.id)) Set(applied, entry, Kind::kRenewed);
      break;
    case Entry::Kind::kRevoke:
      if (rows_.contains(entry.id)) End(applied, entry.id, Kind::kRevoked);
      break;
    case Entry::Kind::kExpire:
      clock_ms_ = std::max(clock_ms_, entry.expiries.now_ms);
      for (const server::DueLease& due : entry.expiries.leases) {
        const auto row = rows_.find(due.id);
        if (row == rows_.end() || row->second.renewed != due.renewed ||
            row->second.deadline_ms > clock_ms_) {
          ++voided_;
          continue;
        }
        CheckEnd(due.id, row->second, entry);
        End(applied, due.id, Kind::kExpired);
        ++expired_;
      }
  }
  return applied;
}

void LeaseWorld::Set(Applied& applied, const Entry& entry, Kind kind) {
  storage::LeaseRow& row = rows_[entry.id];
  if (kind == Kind::kGranted)
    row = {.ttl_seconds = entry.ttl_seconds, .deadline_ms = 0, .renewed = {}};
  row.deadline_ms =
      std::max(row.deadline_ms, clock_ms_ + row.ttl_seconds * 1000 + storage::kLeaseSlackMs);
  row.renewed = raft::Index(committed_ + 1);
  promises_[entry.id] = {entry.came, entry.gained};
  applied.changes.push_back({kind, entry.id, row});
}

void LeaseWorld::End(Applied& applied, int64_t id, Kind kind) {
  applied.changes.push_back({kind, id, rows_.at(id)});
  rows_.erase(id);
}

void LeaseWorld::CheckEnd(int64_t id, const storage::LeaseRow& row, const Entry& entry) {
  const Promise& promise = promises_.at(id);
  const MonotonicNs ttl = row.ttl_seconds * kNsPerSecond;
  const MonotonicNs lived = entry.came - promise.came;
  if (lived < ttl - Drift(ttl)) {
    Fail(absl::StrCat("lease ", id, " of ", row.ttl_seconds, " s is ended after ", lived / kNsPerMs,
                      " ms"));
  }
  const MonotonicNs gained = gained_ - promise.gained;
  const MonotonicNs most = ttl + gained + Drift(ttl + gained) + kLateMax;
  if (now_ - promise.came > most) {
    Fail(absl::StrCat("lease ", id, " of ", row.ttl_seconds, " s ends after ",
                      (now_ - promise.came) / kNsPerMs, " ms; ", most / kNsPerMs, " are allowed"));
  }
}

void LeaseWorld::ApplySome(Member& member, uint64_t entries_max) {
  const uint64_t end = std::min(committed_, member.applied + entries_max);
  if (end == member.applied) return;
  Applied batch;
  for (; member.applied < end; ++member.applied) {
    const Applied& one = applied_[member.applied];
    batch.entry = one.entry;
    batch.clock_ms = one.clock_ms;
    for (const storage::LeaseChange& change : one.changes) {
      if (change.kind == Kind::kRevoked || change.kind == Kind::kExpired) {
        member.rows.erase(change.id);
      } else {
        member.rows[change.id] = change.row;
      }
      batch.changes.push_back(change);
    }
  }
  member.inbox.emplace_back(std::move(batch));
}

// A few leases at a time; what the scan sees is ahead of what the keeper was told.
void LeaseWorld::ScanOn(Member& member) {
  Found found;
  auto it = member.rows.lower_bound(*member.scan_at);
  for (; it != member.rows.end() && found.leases.size() < 5; ++it) found.leases.push_back(*it);
  found.all = it == member.rows.end();
  member.scan_at = found.all ? std::nullopt : std::optional(it->first);
  member.inbox.emplace_back(std::move(found));
}

void LeaseWorld::Restart(Member& member) {
  if (leader_ && &members_[*leader_] == &member) return;
  member.inbox.clear();
  member.believes.reset();
  const int64_t clock_ms = member.applied == 0 ? 0 : applied_[member.applied - 1].clock_ms;
  member.keeper = std::make_unique<LeaseKeeper>(static_cast<int64_t>(member.rows.size()), clock_ms);
  if (!member.rows.empty()) member.scan_at = member.rows.begin()->first;
}

void LeaseWorld::CheckTables() {
  Commit(log_.size());
  for (Member& member : members_) {
    ApplySome(member, log_.size());
    while (member.scan_at) ScanOn(member);
    Tell(member);
    if (member.keeper->size() != rows_.size()) Fail("a keeper knows other leases");
    for (const auto& [id, row] : rows_) {
      const auto known = member.keeper->Find(id);
      if (known != server::KeptLease{row.deadline_ms, row.renewed}) {
        Fail(absl::StrCat("a keeper is wrong about lease ", id));
      }
    }
  }
}

}  // namespace gavel::testing
