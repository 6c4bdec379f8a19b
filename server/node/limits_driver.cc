#include "server/node/limits_driver.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_format.h"

#include "proto/internal/command.pb.h"
#include "storage/state/limits.h"

namespace gavel::server {
namespace {

// A disk has space again once this part of the reserve is free, or the alarm would come and go.
constexpr uint64_t kDiskClearPercent = 125;

bool Holds(const storage::AlarmTable& alarms, const storage::Alarm& alarm) {
  return std::any_of(alarms.begin(), alarms.end(), [&](const storage::Alarm& other) {
    return other.member == alarm.member && other.kind == alarm.kind;
  });
}

const char* Advice(const storage::Alarm& alarm) {
  if (alarm.kind == storage::kAlarmCorrupt) {
    return "members may differ: compare them with HashKV before the alarm is disarmed";
  }
  if (alarm.kind != storage::kAlarmNoSpace) return "disarm it when its cause is gone";
  if ((alarm.causes & storage::Alarm::kDisk) != 0) {
    return "free space on the disk of that member's data directory; the alarm then ends by itself";
  }
  if ((alarm.causes & storage::Alarm::kQuota) != 0) {
    return "delete keys and compact, or raise --quota-backend-bytes on all members; the alarm then "
           "ends by itself";
  }
  return "disarm it when its cause is gone";
}

}  // namespace

LimitsDriver::LimitsDriver(const LimitsOptions& options, Surroundings surroundings)
    : options_(options),
      quota_bytes_(storage::Limits::QuotaOf(options.quota_bytes)),
      surroundings_(std::move(surroundings)) {}

void LimitsDriver::LookLater(MonotonicNs after) {
  surroundings_.background.AddAt(surroundings_.clock.Now() + after, [this] {
    Look();
    return false;
  });
}

void LimitsDriver::Look() {
  const auto limits = surroundings_.gate.limits();
  const bool leads = surroundings_.gate.status().raft.role == raft::Role::kLeader;
  Tell(*limits, leads);
  if (leads && limits->quota_bytes != quota_bytes_) return ProposeQuota();
  const std::optional<bool> alarm = WantedDiskAlarm(*limits);
  if (alarm && surroundings_.gate.has_leader()) return ProposeAlarm(*alarm);
  LookLater(surroundings_.gate.has_leader() ? kEvery : kSoon);
}

void LimitsDriver::ProposeQuota() {
  internal::SetQuota quota;
  quota.set_bytes(static_cast<uint64_t>(quota_bytes_));
  surroundings_.gate.Propose(
      CommandField::kSetQuota, quota.SerializeAsString(), std::nullopt,
      [this](const ProposeResult& result) {
        if (result.result == GateResult::kStopped) return;
        if (result.result == GateResult::kOk) {
          surroundings_.logger.Info("the quota is set", {{"bytes", quota_bytes_}});
          const int64_t used = surroundings_.used_bytes();
          if (quota_bytes_ > 0 && used > quota_bytes_) {
            surroundings_.logger.Warn(
                "the quota is below what is stored: writes that add to it are refused",
                {{"quota", quota_bytes_},
                 {"used", used},
                 {"what to do",
                  "delete keys and compact, or raise --quota-backend-bytes on all members"}});
          }
        }
        // To set it twice is harmless.
        LookLater(result.result == GateResult::kOk ? kSoon : kEvery);
      });
}

void LimitsDriver::ProposeAlarm(bool raise) {
  internal::ChangeAlarm change;
  change.set_member(surroundings_.gate.member_id().value());
  change.set_alarm(storage::kAlarmNoSpace);
  change.set_raise(raise);
  change.set_disk(true);
  surroundings_.gate.Propose(CommandField::kChangeAlarm, change.SerializeAsString(), std::nullopt,
                             [this](const ProposeResult& result) {
                               if (result.result != GateResult::kStopped) LookLater(kEvery);
                             });
}

std::optional<bool> LimitsDriver::WantedDiskAlarm(const storage::LimitsState& limits) {
  bool raised = false;
  for (const storage::Alarm& alarm : limits.alarms) {
    raised |= alarm.member == surroundings_.gate.member_id() &&
              alarm.kind == storage::kAlarmNoSpace && (alarm.causes & storage::Alarm::kDisk) != 0;
  }
  const uint64_t reserve = options_.disk_reserve_bytes;
  uint64_t free = 0;
  Reclaim(raised);
  if (reserve > 0) {
    const absl::StatusOr<uint64_t> bytes = surroundings_.free_bytes();
    if (!bytes.ok()) {
      if (!std::exchange(free_fails_told_, true)) {
        surroundings_.logger.Warn("cannot see how much space is left on the disk",
                                  {{"error", bytes.status().ToString()}});
      }
      return std::nullopt;
    }
    free = *bytes;
  }
  if (raised && free / kDiskClearPercent >= reserve / 100) return false;
  if (!raised && free < reserve) return true;
  return std::nullopt;
}

void LimitsDriver::Reclaim(bool raised) {
  if (raised || reclaiming_) surroundings_.set_disk_low(raised);
  reclaiming_ = raised;
  if (!raised) return;
  // What a compaction has given up stays on the disk until the engine rewrites its files.
  const storage::Revision compacted = surroundings_.gate.view()->compacted;
  if (reclaimed_.exchange(compacted) == compacted) return;
  surroundings_.gate.WhenCollected(compacted, std::nullopt, [this](GateResult result) {
    if (result == GateResult::kStopped) return;
    const bool started = result == GateResult::kOk && surroundings_.gate.StartCompaction().ok();
    if (!started) reclaimed_ = kNothingReclaimed;
  });
}

void LimitsDriver::Tell(const storage::LimitsState& limits, bool leads) {
  TellOfDifference(limits.quota_bytes, leads);
  for (const storage::Alarm& alarm : limits.alarms) {
    if (Holds(told_, alarm)) continue;
    surroundings_.logger.Warn("an alarm is raised",
                              {{"member", absl::StrFormat("%x", alarm.member.value())},
                               {"alarm", storage::AlarmName(alarm.kind)},
                               {"what to do", Advice(alarm)}});
  }
  for (const storage::Alarm& alarm : told_) {
    if (Holds(limits.alarms, alarm)) continue;
    surroundings_.logger.Info("an alarm has ended",
                              {{"member", absl::StrFormat("%x", alarm.member.value())},
                               {"alarm", storage::AlarmName(alarm.kind)}});
  }
  told_ = limits.alarms;
}

void LimitsDriver::TellOfDifference(int64_t quota_bytes, bool leads) {
  const bool other = !leads && surroundings_.gate.has_leader() && quota_bytes != quota_bytes_;
  // What a leader has just been elected for changes soon.
  const bool again = std::exchange(other_quota_, other ? quota_bytes : quota_bytes_) == quota_bytes;
  if (!other || !again || std::exchange(other_quota_told_, quota_bytes) == quota_bytes) return;
  surroundings_.logger.Warn("the leader's --quota-backend-bytes counts, not this member's",
                            {{"quota", quota_bytes}, {"this member's", quota_bytes_}});
}

}  // namespace gavel::server
