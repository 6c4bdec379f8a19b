// The quota and the alarms: which commands are admitted.
//
// A function of the log alone, so that all members refuse the same commands. What a store *uses*
// are the bytes of live versions, those of superseded versions that are not compacted, and
// kLeaseBytes for each lease.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "proto/internal/command.pb.h"
#include "raft/configuration.h"
#include "storage/engine/engine.h"
#include "storage/mvcc/writer.h"
#include "storage/request_error.h"
#include "storage/state/alarms.h"
#include "storage/state/meta.h"

namespace gavel::storage {

// DataLoss: a row is damaged.
absl::StatusOr<LimitsState> ReadLimits(const Engine& engine);

int64_t UsedBytes(const Totals& totals, const MetaLeases& leases);

// Works on one batch. Passive.
class Limits {
 public:
  // What a lease counts for, as in etcd.
  static constexpr int64_t kLeaseBytes = 64;
  // An alarm that a full quota has raised ends by itself once no more than this part of the quota
  // is used, and there is room for what was refused.
  static constexpr int64_t kClearPercent = 95;
  // But it does not wait for less than this, for one request that is larger than the rest.
  static constexpr int64_t kClearPercentMin = 50;

  // What a state keeps of `bytes`.
  static int64_t QuotaOf(uint64_t bytes);

  // Borrows what is used; `before` is the state before the batch.
  Limits(const LimitsState& before, const Totals& totals, const MetaLeases& leases)
      : before_(before), state_(before), totals_(totals), leases_(leases) {}

  // kNoSpace: the command would add to the store, and there is an alarm or no room in the quota, in
  // which case the alarm is raised in the name of the member that took the request. kCorrupt: it is
  // a client's write, and there is that alarm. What takes away is always admitted otherwise.
  RequestError Admit(const internal::Command& command);

  // `answer` may be null. It is given the alarm that is raised, or was.
  void Change(const internal::ChangeAlarm& change, AlarmTable* answer);
  void SetQuota(uint64_t bytes);
  // A member that is gone has no disk.
  void OnConfiguration(const raft::Configuration& configuration);
  // After each entry: ends the alarms for want of quota if there is room again.
  void Settle();

  // Adds the rows that the batch has changed.
  void Write(WriteBatch& batch) const;
  const LimitsState& state() const { return state_; }

 private:
  // What may be used at most for an alarm to end that was raised when `refused_bytes` did not fit.
  int64_t ClearMark(int64_t refused_bytes) const;
  void Raise(raft::NodeId member, uint32_t kind, uint8_t cause, int64_t refused_bytes);
  // Returns where the alarms after it are.
  AlarmTable::iterator End(AlarmTable::iterator alarm, uint8_t causes);

  const LimitsState& before_;
  LimitsState state_;
  const Totals& totals_;
  const MetaLeases& leases_;
};

}  // namespace gavel::storage
