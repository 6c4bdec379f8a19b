#include "server/node/digest_driver.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "proto/internal/command.pb.h"
#include "storage/disk/advice.h"
#include "storage/state/alarms.h"

namespace gavel::server {
namespace {

// Of a member's own reports, so many are remembered.
constexpr size_t kReportedMax = 16;

const storage::DigestMark* Find(const storage::DigestMarks& marks, raft::Index index) {
  if (index.is_none()) return nullptr;
  const auto mark = std::find_if(marks.begin(), marks.end(), [index](const auto& candidate) {
    return candidate.index == index;
  });
  return mark == marks.end() ? nullptr : &*mark;
}

}  // namespace

bool DigestTally::Add(const storage::DigestReport& report) {
  std::map<raft::NodeId, uint32_t>& members = marks_[report.mark.index];
  const bool added =
      members.size() < kMembersMax && members.emplace(report.member, report.mark.digest).second;
  if (marks_.size() > kMarksMax) marks_.erase(marks_.begin());
  return added;
}

bool DigestTally::Disagree(raft::Index mark) const {
  const auto found = marks_.find(mark);
  if (found == marks_.end() || found->second.empty()) return false;
  const auto& members = found->second;
  return std::any_of(members.begin(), members.end(), [&members](const auto& said) {
    return said.second != members.begin()->second;
  });
}

std::vector<raft::NodeId> DigestTally::Differing(raft::Index mark,
                                                 const std::vector<raft::NodeId>& voters) const {
  const auto found = marks_.find(mark);
  if (found == marks_.end()) return {};
  std::map<uint32_t, size_t> votes;
  for (const raft::NodeId voter : voters) {
    if (const auto said = found->second.find(voter); said != found->second.end()) {
      ++votes[said->second];
    }
  }
  const auto right = std::find_if(votes.begin(), votes.end(), [&voters](const auto& vote) {
    return vote.second > voters.size() / 2;
  });
  std::vector<raft::NodeId> differing;
  if (right == votes.end()) return differing;
  for (const auto& [member, digest] : found->second) {
    if (digest != right->first) differing.push_back(member);
  }
  return differing;
}

DigestDriver::DigestDriver(MonotonicNs interval, Surroundings surroundings, Metrics& metrics)
    : interval_(interval),
      surroundings_(std::move(surroundings)),
      differing_(metrics.AddGauge(
          "gavel_members_differing",
          "Members whose states were found to differ from what most have, since the start.")) {}

void DigestDriver::Start() {
  if (interval_ > 0) LookLater();
}

void DigestDriver::LookLater() {
  surroundings_.background.AddAt(surroundings_.clock.Now() + interval_, [this] {
    Look();
    return false;
  });
}

void DigestDriver::Look() {
  bool news = false;
  {
    const MutexLock lock(mutex_);
    news = news_ || unreported_;
  }
  if (news && surroundings_.gate.status().raft.role == raft::Role::kLeader) {
    // What has failed is tried with the next look: to mark twice is harmless.
    surroundings_.gate.Propose(CommandField::kMarkDigest, "", std::nullopt, [](ProposeResult) {});
  }
  LookLater();
}

void DigestDriver::OnApplied(const AppliedDigests& applied) {
  const storage::DigestMarks marks = surroundings_.marks();
  {
    const MutexLock lock(mutex_);
    if (applied.news) news_ = *applied.news;
    if (applied.marked) unreported_ = true;
    for (const storage::DigestReport& report : applied.reports) {
      if (report.mark.index == marks[0].index) unreported_ = false;
    }
  }
  if (applied.marked && surroundings_.gate.status().raft.role == raft::Role::kLeader) {
    Report(marks[0]);
  }
  for (const storage::DigestReport& report : applied.reports) {
    const storage::DigestMark* const own = Find(marks, report.mark.index);
    if (Take(report, own)) Report(*own);
    TellOfDiffering(report.mark.index);
  }
}

bool DigestDriver::Take(const storage::DigestReport& report, const storage::DigestMark* own) {
  const MutexLock lock(mutex_);
  if (!tally_.Add(report) || own == nullptr || reported_.contains(own->index)) return false;
  // A member that agrees with all others has nothing to add.
  return own->digest != report.mark.digest || tally_.Disagree(own->index);
}

void DigestDriver::Report(const storage::DigestMark& mark) {
  {
    const MutexLock lock(mutex_);
    if (!reported_.insert(mark.index).second) return;
    if (reported_.size() > kReportedMax) reported_.erase(reported_.begin());
  }
  internal::ReportDigest report;
  report.set_mark(mark.index.value());
  report.set_digest(mark.digest);
  // What has failed is marked anew.
  surroundings_.gate.Propose(CommandField::kReportDigest, report.SerializeAsString(), std::nullopt,
                             [](ProposeResult) {});
}

void DigestDriver::TellOfDiffering(raft::Index mark) {
  const std::shared_ptr<const raft::Configuration> configuration = surroundings_.configuration();
  std::vector<raft::NodeId> differing;
  std::vector<raft::NodeId> news;
  {
    const MutexLock lock(mutex_);
    differing = tally_.Differing(mark, configuration->voters);
    for (const raft::NodeId member : differing) {
      if (told_.insert(member).second) news.push_back(member);
    }
    differing_.Set(static_cast<double>(told_.size()));
  }
  if (surroundings_.gate.status().raft.role == raft::Role::kLeader) {
    for (const raft::NodeId member : differing) RaiseAlarm(member);
  }
  for (const raft::NodeId member : news) {
    surroundings_.logger.Error(
        "the state of a member differs from what most members have",
        {{"member", absl::StrFormat("%x", member.value())},
         {"entry", mark.value()},
         {"what to do",
          absl::StrCat("keep its data directory for inspection, and ", storage::kReplaceMember)}});
  }
}

void DigestDriver::RaiseAlarm(raft::NodeId member) {
  storage::AlarmTable alarms = surroundings_.gate.limits()->alarms;
  if (storage::FindAlarm(alarms, member, storage::kAlarmCorrupt) != alarms.end()) return;
  internal::ChangeAlarm change;
  change.set_member(member.value());
  change.set_alarm(storage::kAlarmCorrupt);
  change.set_raise(true);
  // What has failed is tried with the next comparison: the member still differs then.
  surroundings_.gate.Propose(CommandField::kChangeAlarm, change.SerializeAsString(), std::nullopt,
                             [](ProposeResult) {});
}

}  // namespace gavel::server
