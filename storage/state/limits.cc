#include "storage/state/limits.h"

#include <algorithm>
#include <limits>
#include <string>
#include <tuple>

#include "raft/sim_point.h"
#include "storage/mvcc/record.h"
#include "storage/mvcc/varint.h"
#include "storage/status_macros.h"

namespace gavel::storage {
namespace {

using etcdserverpb::RequestOp;
using etcdserverpb::TxnRequest;
using internal::Command;

constexpr uint8_t kAnyCause = Alarm::kOperator | Alarm::kQuota | Alarm::kDisk;

int64_t Growth(const etcdserverpb::PutRequest& put) {
  return VersionBytes(put.key().size(), put.value().size());
}

// Of the branch that adds more, as etcd counts.
int64_t Growth(const TxnRequest& txn) {
  int64_t most = 0;
  for (const auto* branch : {&txn.success(), &txn.failure()}) {
    int64_t bytes = 0;
    for (const RequestOp& op : *branch) {
      if (op.has_request_put()) bytes += Growth(op.request_put());
      if (op.has_request_txn()) bytes += Growth(op.request_txn());
    }
    most = std::max(most, bytes);
  }
  return most;
}

// What the command may add to what is used; 0 if it only takes away.
int64_t Growth(const Command& command) {
  switch (command.body_case()) {
    case Command::kPut:
      return Growth(command.put());
    case Command::kTxn:
      return Growth(command.txn());
    case Command::kLeaseGrant:
      return Limits::kLeaseBytes;
    default:
      return 0;
  }
}

bool IsClientWrite(const Command& command) {
  switch (command.body_case()) {
    case Command::kPut:
    case Command::kDeleteRange:
    case Command::kTxn:
    case Command::kCompact:
    case Command::kLeaseGrant:
    case Command::kLeaseRevoke:
      return true;
    default:
      return false;
  }
}

}  // namespace

absl::StatusOr<LimitsState> ReadLimits(const Engine& engine) {
  LimitsState state;
  GAVEL_ASSIGN_OR_RETURN(state.alarms, ReadAlarms(engine));
  std::string row;
  const absl::Status status = engine.Get(Family::kMeta, kMetaQuota, &row);
  if (absl::IsNotFound(status)) return state;
  if (!status.ok()) return status;
  std::string_view in = row;
  if (!TakeVarint(&in, &state.quota_bytes) || !in.empty() || state.quota_bytes <= 0) {
    return absl::DataLossError("meta: damaged quota");
  }
  return state;
}

int64_t UsedBytes(const Totals& totals, const MetaLeases& leases) {
  return totals.live_bytes + totals.superseded_total - totals.superseded_compacted +
         leases.count * Limits::kLeaseBytes;
}

RequestError Limits::Admit(const Command& command) {
  if (HasAlarm(state_.alarms, kAlarmCorrupt) && IsClientWrite(command)) {
    return RequestError::kCorrupt;
  }
  if (state_.quota_bytes == 0 && state_.alarms.empty()) return RequestError::kNone;
  const int64_t growth = Growth(command);
  if (growth == 0) return RequestError::kNone;
  if (HasAlarm(state_.alarms, kAlarmNoSpace)) return RequestError::kNoSpace;
  const int64_t used = UsedBytes(totals_, leases_);
  if (state_.quota_bytes == 0 || used + growth <= state_.quota_bytes) return RequestError::kNone;
  if (used > ClearMark(growth)) {
    Raise(raft::NodeId(command.member()), kAlarmNoSpace, Alarm::kQuota, growth);
  }
  return RequestError::kNoSpace;
}

int64_t Limits::ClearMark(int64_t refused_bytes) const {
  const int64_t percent = state_.quota_bytes / 100;
  const int64_t room = std::max<int64_t>(0, state_.quota_bytes - refused_bytes);
  return std::min(percent * kClearPercent, std::max(percent * kClearPercentMin, room));
}

void Limits::Raise(raft::NodeId member, uint32_t kind, uint8_t cause, int64_t refused_bytes) {
  auto alarm = FindAlarm(state_.alarms, member, kind);
  if (alarm == state_.alarms.end()) {
    const auto after =
        std::find_if(state_.alarms.begin(), state_.alarms.end(), [&](const Alarm& other) {
          return std::tuple(other.member, other.kind) > std::tuple(member, kind);
        });
    alarm = state_.alarms.insert(after, Alarm{member, kind, 0, 0});
  }
  alarm->causes |= cause;
  alarm->refused_bytes = std::max(alarm->refused_bytes, refused_bytes);
}

AlarmTable::iterator Limits::End(AlarmTable::iterator alarm, uint8_t causes) {
  alarm->causes &= static_cast<uint8_t>(~causes);
  if ((alarm->causes & Alarm::kQuota) == 0) alarm->refused_bytes = 0;
  return alarm->causes == 0 ? state_.alarms.erase(alarm) : std::next(alarm);
}

void Limits::Change(const internal::ChangeAlarm& change, AlarmTable* answer) {
  if (change.alarm() == 0) return;  // As in etcd, that is no alarm.
  const raft::NodeId member(change.member());
  if (change.raise())
    Raise(member, change.alarm(), change.disk() ? Alarm::kDisk : Alarm::kOperator, 0);
  const auto alarm = FindAlarm(state_.alarms, member, change.alarm());
  if (alarm == state_.alarms.end()) return;
  if (answer != nullptr) answer->push_back(*alarm);
  if (!change.raise()) End(alarm, change.disk() ? Alarm::kDisk : kAnyCause);
}

int64_t Limits::QuotaOf(uint64_t bytes) {
  // Far above any disk, and nothing that is added to it overflows.
  return static_cast<int64_t>(std::min<uint64_t>(bytes, std::numeric_limits<int64_t>::max() / 2));
}

void Limits::SetQuota(uint64_t bytes) { state_.quota_bytes = QuotaOf(bytes); }

void Limits::OnConfiguration(const raft::Configuration& configuration) {
  for (auto alarm = state_.alarms.begin(); alarm != state_.alarms.end();) {
    const bool member = std::any_of(
        configuration.members.begin(), configuration.members.end(),
        [&](const raft::MemberAddress& address) { return address.id == alarm->member; });
    alarm = member ? std::next(alarm) : End(alarm, Alarm::kDisk);
  }
}

void Limits::Settle() {
  if (state_.alarms.empty()) return;
  const int64_t used = UsedBytes(totals_, leases_);
  for (auto alarm = state_.alarms.begin(); alarm != state_.alarms.end();) {
    const bool room = (alarm->causes & Alarm::kQuota) != 0 &&
                      (state_.quota_bytes == 0 || used <= ClearMark(alarm->refused_bytes));
    alarm = room ? End(alarm, Alarm::kQuota) : std::next(alarm);
  }
}

void Limits::Write(WriteBatch& batch) const {
  if (state_.quota_bytes != before_.quota_bytes) {
    std::string row;
    AppendVarint(static_cast<uint64_t>(state_.quota_bytes), &row);
    if (state_.quota_bytes > 0) batch.Put(Family::kMeta, kMetaQuota, row);
    if (state_.quota_bytes == 0) batch.Delete(Family::kMeta, kMetaQuota);
  }
  if (state_.alarms == before_.alarms) return;
  for (const Alarm& alarm : before_.alarms) batch.Delete(Family::kAlarms, AlarmKey(alarm));
  for (const Alarm& alarm : state_.alarms) {
    batch.Put(Family::kAlarms, AlarmKey(alarm), EncodeAlarm(alarm));
  }
}

}  // namespace gavel::storage
