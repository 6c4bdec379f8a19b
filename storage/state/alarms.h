// The quota and the table of alarms. The rows of the family `alarms`:
//
//   member (8 bytes), kind (4 bytes), both big-endian → causes, refused bytes (varints)
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

#include "raft/types.h"
#include "storage/engine/engine.h"

namespace gavel::storage {

// Numbers of etcdserverpb.AlarmType. Others may be raised too, and mean nothing.
inline constexpr uint32_t kAlarmNoSpace = 1;
inline constexpr uint32_t kAlarmCorrupt = 2;

struct Alarm {
  // What keeps it raised: any of these.
  static constexpr uint8_t kOperator = 1;  // Until an operator ends it.
  static constexpr uint8_t kQuota = 2;     // Until enough has been deleted and compacted.
  static constexpr uint8_t kDisk = 4;      // Until the member has said that it has space again.

  raft::NodeId member;
  uint32_t kind = 0;
  uint8_t causes = 0;
  int64_t refused_bytes = 0;  // kQuota: what did not fit.

  friend bool operator==(const Alarm&, const Alarm&) = default;
};

// Sorted by member and kind.
using AlarmTable = std::vector<Alarm>;

struct LimitsState {
  int64_t quota_bytes = 0;  // 0: there is no bound.
  AlarmTable alarms;

  friend bool operator==(const LimitsState&, const LimitsState&) = default;
};

// DataLoss: a row is damaged.
absl::StatusOr<AlarmTable> ReadAlarms(const Engine& engine);

std::string AlarmKey(const Alarm& alarm);
std::string EncodeAlarm(const Alarm& alarm);
// False if key or bytes are damaged.
bool DecodeAlarm(std::string_view key, std::string_view bytes, Alarm* alarm);

// The alarm of that member and kind; the end if it is not raised.
AlarmTable::iterator FindAlarm(AlarmTable& table, raft::NodeId member, uint32_t kind);
// As etcd writes it: NOSPACE, CORRUPT, or a number.
std::string AlarmName(uint32_t kind);
bool HasAlarm(const AlarmTable& table, uint32_t kind);

}  // namespace gavel::storage
