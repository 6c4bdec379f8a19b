#include "storage/state/alarms.h"

#include <algorithm>
#include <memory>

#include "storage/mvcc/varint.h"

namespace gavel::storage {
namespace {

constexpr size_t kMemberBytes = 8;
constexpr size_t kKindBytes = 4;

void AppendBigEndian(uint64_t number, size_t bytes, std::string* out) {
  for (size_t i = bytes; i-- > 0;) out->push_back(static_cast<char>(number >> (8 * i)));
}

uint64_t ParseBigEndian(std::string_view bytes) {
  uint64_t number = 0;
  for (const char byte : bytes) number = number << 8 | static_cast<unsigned char>(byte);
  return number;
}

}  // namespace

std::string AlarmKey(const Alarm& alarm) {
  std::string key;
  AppendBigEndian(alarm.member.value(), kMemberBytes, &key);
  AppendBigEndian(alarm.kind, kKindBytes, &key);
  return key;
}

std::string EncodeAlarm(const Alarm& alarm) {
  std::string bytes;
  AppendVarint(alarm.causes, &bytes);
  AppendVarint(static_cast<uint64_t>(alarm.refused_bytes), &bytes);
  return bytes;
}

bool DecodeAlarm(std::string_view key, std::string_view bytes, Alarm* alarm) {
  if (key.size() != kMemberBytes + kKindBytes) return false;
  alarm->member = raft::NodeId(ParseBigEndian(key.substr(0, kMemberBytes)));
  alarm->kind = static_cast<uint32_t>(ParseBigEndian(key.substr(kMemberBytes)));
  uint64_t causes = 0;
  if (!TakeVarint(&bytes, &causes) || !TakeVarint(&bytes, &alarm->refused_bytes)) return false;
  if (causes == 0 || causes > (Alarm::kOperator | Alarm::kQuota | Alarm::kDisk)) return false;
  alarm->causes = static_cast<uint8_t>(causes);
  return bytes.empty() && alarm->refused_bytes >= 0;
}

absl::StatusOr<AlarmTable> ReadAlarms(const Engine& engine) {
  AlarmTable table;
  const std::unique_ptr<Iterator> rows = engine.NewIterator(Family::kAlarms);
  for (rows->SeekToFirst(); rows->Valid(); rows->Next()) {
    if (!DecodeAlarm(rows->key(), rows->value(), &table.emplace_back())) {
      return absl::DataLossError("alarms: damaged row");
    }
  }
  if (!rows->status().ok()) return rows->status();
  return table;
}

AlarmTable::iterator FindAlarm(AlarmTable& table, raft::NodeId member, uint32_t kind) {
  return std::find_if(table.begin(), table.end(), [&](const Alarm& alarm) {
    return alarm.member == member && alarm.kind == kind;
  });
}

std::string AlarmName(uint32_t kind) {
  if (kind == kAlarmNoSpace) return "NOSPACE";
  if (kind == kAlarmCorrupt) return "CORRUPT";
  return kind == 0 ? "NONE" : std::to_string(kind);
}

bool HasAlarm(const AlarmTable& table, uint32_t kind) {
  return std::any_of(table.begin(), table.end(),
                     [kind](const Alarm& alarm) { return alarm.kind == kind; });
}

}  // namespace gavel::storage
