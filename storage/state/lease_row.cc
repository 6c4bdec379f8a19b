#include "storage/state/lease_row.h"

#include <algorithm>
#include <optional>

#include "storage/mvcc/key_codec.h"
#include "storage/mvcc/varint.h"

namespace gavel::storage {
namespace {

constexpr uint64_t kVersion = 1;
constexpr size_t kIdBytes = 8;
constexpr int64_t kMsPerSecond = 1000;

}  // namespace

int64_t LeaseDeadline(int64_t clock_ms, int64_t ttl_seconds) {
  const int64_t ttl = std::clamp<int64_t>(ttl_seconds, 0, kLeaseTtlSecondsMax);
  return clock_ms + ttl * kMsPerSecond + kLeaseSlackMs;
}

std::string EncodeLeaseRow(const LeaseRow& row) {
  std::string bytes;
  AppendVarint(kVersion, &bytes);
  AppendVarint(static_cast<uint64_t>(row.ttl_seconds), &bytes);
  AppendVarint(static_cast<uint64_t>(row.deadline_ms), &bytes);
  AppendVarint(row.renewed.value(), &bytes);
  return bytes;
}

bool DecodeLeaseRow(std::string_view bytes, LeaseRow* row) {
  uint64_t version = 0;
  uint64_t renewed = 0;
  if (!TakeVarint(&bytes, &version) || version != kVersion ||
      !TakeVarint(&bytes, &row->ttl_seconds) || !TakeVarint(&bytes, &row->deadline_ms) ||
      !TakeVarint(&bytes, &renewed)) {
    return false;
  }
  row->renewed = raft::Index(renewed);
  return bytes.empty();
}

LeaseRow WithRenewal(const LeaseRow& row, const LeaseRenewal& renewal) {
  if (renewal.index <= row.renewed) return row;
  const int64_t deadline_ms = LeaseDeadline(renewal.clock_ms, row.ttl_seconds);
  return {row.ttl_seconds, std::max(row.deadline_ms, deadline_ms), renewal.index};
}

std::string RenewalKey(raft::Index index) { return LeaseKey(static_cast<int64_t>(index.value())); }

std::string EncodeRenewalRow(const RenewalRow& row) {
  std::string bytes;
  bytes.reserve(kIdBytes * (row.ids.size() + 1));
  AppendVarint(kVersion, &bytes);
  AppendVarint(static_cast<uint64_t>(row.clock_ms), &bytes);
  for (const int64_t id : row.ids) bytes.append(LeaseKey(id));
  return bytes;
}

bool DecodeRenewalRow(std::string_view key, std::string_view bytes, RenewalRow* row) {
  const std::optional<int64_t> index = ParseLeaseKey(key);
  uint64_t version = 0;
  if (!index || !TakeVarint(&bytes, &version) || version != kVersion ||
      !TakeVarint(&bytes, &row->clock_ms) || bytes.empty() || bytes.size() % kIdBytes != 0) {
    return false;
  }
  row->index = raft::Index(static_cast<uint64_t>(*index));
  row->ids.clear();
  row->ids.reserve(bytes.size() / kIdBytes);
  for (; !bytes.empty(); bytes.remove_prefix(kIdBytes)) {
    row->ids.push_back(*ParseLeaseKey(bytes.substr(0, kIdBytes)));
  }
  return true;
}

}  // namespace gavel::storage
