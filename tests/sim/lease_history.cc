#include "tests/sim/lease_history.h"

#include <algorithm>
#include <set>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"

#include "server/clock.h"
#include "tests/sim/history.h"

namespace gavel::sim {

using server::kNsPerMs;
using server::kNsPerSecond;

namespace {

constexpr int64_t kMillion = 1'000'000;

// The lease clock stands still while nobody reads it into the log. Between two entries that were
// committed within this time somebody did; a leader reads it every 500 ms.
constexpr int64_t kReadingGap = 700 * kNsPerMs;
// From the old leader's last reading to its loss, and the rounding of TTLs and buckets.
constexpr int64_t kChangeOfLeader = 1500 * kNsPerMs;
// In all: what README of server/lease promises for one leader, and the turns of slow stages.
constexpr int64_t kLate = kNsPerSecond;
constexpr int64_t kTurns = 20;

int64_t ByClock(int64_t seconds, int64_t rate_ppm) {
  return seconds * kMillion * (kNsPerSecond / rate_ppm);
}

}  // namespace

LeaseHistory::LeaseHistory(const std::vector<RenewalRecord>& renewals,
                           const std::vector<LeaseQuestion>& questions, Surroundings surroundings)
    : renewals_(renewals), questions_(questions), s_(std::move(surroundings)) {
  found_.assign(renewals.size(), false);
  row_true_.assign(questions.size(), false);
  explained_.assign(questions.size(), false);
  for (size_t i = 0; i < renewals.size(); ++i) {
    if (renewals[i].answered) renewals_of_[renewals[i].id].push_back(i);
  }
  for (size_t i = 0; i < questions.size(); ++i) {
    const LeaseQuestion& question = questions[i];
    const int64_t revision = question.id == 0 ? question.about_all.header().revision()
                                              : question.about_one.header().revision();
    questions_at_.emplace(revision, i);
  }
  Answer(0, testing::Model());
}

void LeaseHistory::OnEntry(uint64_t index, uint64_t term, const internal::Command& command,
                           const testing::ModelOutcome& outcome, const testing::Model& after) {
  if (terms_.empty() || terms_.back().second != term) {
    terms_.emplace_back(CommittedAt(index), term);
  }
  if (command.has_lease_grant()) {
    const auto& grant = command.lease_grant();
    if (outcome.error == storage::RequestError::kNone) {
      ++leases_;
      const int64_t sent_at = s_.sent_at(NumberOf(grant));
      live_[grant.id()] = {grant.ttl(), index, sent_at + ByClock(grant.ttl(), s_.fastest_ppm),
                           after.leases.at(grant.id()).deadline_ms};
    } else {
      s_.sometimes("a lease was refused because its id was in use");
    }
  } else if (command.has_lease_revoke()) {
    live_.erase(command.lease_revoke().id());
  } else if (command.has_renew_leases()) {
    Renew(index, command.renew_leases(), std::get<storage::RenewOutcome>(outcome.response), after);
  } else if (command.has_expire_leases()) {
    Expire(index, command.expire_leases(), after);
  }
  Answer(index, after);
}

void LeaseHistory::Renew(uint64_t index, const internal::RenewLeases& command,
                         const storage::RenewOutcome& outcome, const testing::Model& after) {
  std::map<int64_t, int64_t> ttls;
  for (int i = 0; i < command.ids_size(); ++i) {
    ttls[command.ids(i)] = outcome.ttl_seconds[static_cast<size_t>(i)];
  }
  for (const auto& [id, ttl] : ttls) {
    const auto live = live_.find(id);
    if (live != live_.end()) {
      live->second.renewed = index;
      if (live->second.deadline_ms <= after.lease_clock_ms) {
        s_.sometimes("a lease that was due was renewed");
      }
      live->second.deadline_ms = after.leases.at(id).deadline_ms;
    }
    const auto waiting = renewals_of_.find(id);
    if (waiting == renewals_of_.end()) continue;
    for (const size_t i : waiting->second) {
      const RenewalRecord& renewal = renewals_[i];
      if (renewal.committed_before >= index || renewal.committed_after < index) continue;
      if (renewal.ttl_seconds != ttl) continue;
      found_[i] = true;
      if (live == live_.end()) continue;
      // It may have been an earlier entry that was meant, so this says no more than is sure.
      live->second.not_before =
          std::max(live->second.not_before, renewal.sent_at + ByClock(ttl, s_.fastest_ppm));
    }
  }
}

void LeaseHistory::Expire(uint64_t index, const internal::ExpireLeases& command,
                          const testing::Model& after) {
  for (const internal::LeaseExpiry& expiry : command.leases()) {
    const auto live = live_.find(expiry.id());
    if (live == live_.end()) {
      s_.sometimes("an expiry under way met a lease that had ended");
      continue;
    }
    if (live->second.renewed != expiry.renewed_index()) {
      s_.sometimes("an expiry under way was overtaken by a renewal");
    }
    if (after.leases.contains(expiry.id())) continue;
    ++expired_;
    const int64_t at = CommittedAt(index);
    CheckEnd(expiry.id(), live->second, at, true);
    if (terms_.size() > 1 && at - terms_.back().first < kNsPerSecond) {
      s_.sometimes("a lease expired right after a change of the leader");
    }
    live_.erase(live);
  }
}

int64_t LeaseHistory::HeldUp(int64_t from, int64_t until) const {
  int64_t sum = 0;
  if (s_.slow_times == nullptr) return 0;
  for (const auto& [begin, end] : *s_.slow_times) {
    // What has gathered meanwhile takes half as long again.
    const int64_t made_up = end + (end - begin) / 2;
    const int64_t overlap = std::min(made_up, until) - std::max(begin, from);
    if (overlap <= 0) continue;
    sum += overlap;
    from = std::max(from, std::min(made_up, until));
  }
  return sum;
}

// E1 and E3. `ended_at`: when the lease ended, or the run did while it lived.
void LeaseHistory::CheckEnd(int64_t id, const Live& lease, int64_t ended_at, bool ended) {
  if (ended && ended_at < lease.not_before) {
    return Fail(absl::StrCat("E1: lease ", id, " of ", lease.ttl_seconds, " s ended ",
                             (lease.not_before - ended_at) / kNsPerMs, " ms early, at ",
                             ended_at / kNsPerMs, " ms"));
  }
  int64_t allowed = ByClock(lease.ttl_seconds, s_.slowest_ppm) + kLate + kTurns * s_.turn;
  const int64_t since = CommittedAt(lease.renewed);
  allowed += HeldUp(since, ended_at);
  int64_t last = since;
  const auto& committed_at = *s_.committed_at;
  for (uint64_t i = lease.renewed; i < committed_at.size() && committed_at[i] <= ended_at; ++i) {
    if (committed_at[i] - last > kReadingGap) allowed += committed_at[i] - last;
    last = committed_at[i];
  }
  if (ended_at - last > kReadingGap) allowed += ended_at - last;
  for (const auto& [at, term] : terms_) {
    if (at > since && at <= ended_at) allowed += kChangeOfLeader;
  }
  if (ended_at - since <= allowed) return;
  Fail(absl::StrCat("E3: lease ", id, " of ", lease.ttl_seconds, " s, renewed at ",
                    since / kNsPerMs, " ms, ", ended ? "ended " : "lives ",
                    (ended_at - since - allowed) / kNsPerMs, " ms too late, at ",
                    ended_at / kNsPerMs, " ms"));
}

// A state between the question and its answer must be what was answered, and none from before the
// revision that the answer names. A lease and its keys are read one after the other: the lease may
// have ended in between.
void LeaseHistory::Answer(uint64_t index, const testing::Model& model) {
  while (!questions_at_.empty() && questions_at_.begin()->first <= model.revision()) {
    asked_.push_back(questions_at_.begin()->second);
    questions_at_.erase(questions_at_.begin());
  }
  std::erase_if(asked_, [&](size_t i) {
    const LeaseQuestion& question = questions_[i];
    if (index > question.committed_after) return true;
    if (index < question.committed_before) return false;
    row_true_[i] = row_true_[i] || RowIsTrue(question, model);
    explained_[i] = row_true_[i] && KeysAreTrue(question, model);
    return static_cast<bool>(explained_[i]);
  });
}

// Whether the model, as it stands, says what was answered; but for the keys.
bool LeaseHistory::RowIsTrue(const LeaseQuestion& question, const testing::Model& model) const {
  if (question.id == 0) {
    std::set<int64_t> ids;
    for (const auto& lease : question.about_all.leases()) ids.insert(lease.id());
    return ids.size() == model.leases.size() &&
           std::all_of(model.leases.begin(), model.leases.end(),
                       [&](const auto& lease) { return ids.contains(lease.first); });
  }
  const auto& told = question.about_one;
  const auto lease = model.leases.find(question.id);
  if (lease == model.leases.end()) return told.ttl() == -1 && told.grantedttl() == 0;
  if (told.grantedttl() != lease->second.ttl_seconds) return false;
  const int64_t left_ms = lease->second.deadline_ms - 20 - model.lease_clock_ms;
  return told.ttl() >= 0 && told.ttl() <= std::max<int64_t>(0, left_ms / 1000);
}

bool LeaseHistory::KeysAreTrue(const LeaseQuestion& question, const testing::Model& model) const {
  const auto& told = question.about_one.keys();
  std::set<std::string> keys;
  if (question.keys) {
    for (const auto& [id, key] : model.LeaseKeys()) {
      if (id == question.id) keys.insert(key);
    }
  }
  return keys == std::set<std::string>(told.begin(), told.end());
}

void LeaseHistory::OnEnd() {
  for (const auto& [id, indexes] : renewals_of_) {
    for (const size_t i : indexes) {
      ++renewals_checked_;
      const RenewalRecord& renewal = renewals_[i];
      if (renewal.ttl_seconds == 0) s_.sometimes("a renewal found no lease");
      if (found_[i]) continue;
      return Fail(absl::StrCat("E2: a renewal of lease ", id, ", sent at ",
                               renewal.sent_at / kNsPerMs, " ms, was answered with a TTL of ",
                               renewal.ttl_seconds, " s, which no entry bears out"));
    }
  }
  for (size_t i = 0; i < questions_.size(); ++i) {
    if (explained_[i]) continue;
    const LeaseQuestion& question = questions_[i];
    return Fail(
        absl::StrCat("E5: ", question.id == 0 ? "a list of leases" : "what is told of a lease",
                     " was never true: ",
                     question.id == 0 ? question.about_all.ShortDebugString()
                                      : question.about_one.ShortDebugString()));
  }
  for (const auto& [id, lease] : live_) CheckEnd(id, lease, s_.ended_at, false);
}

}  // namespace gavel::sim
