#include "storage/state/lease_row.h"

#include "storage/mvcc/varint.h"

namespace gavel::storage {
namespace {

constexpr uint64_t kVersion = 1;

}  // namespace

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

}  // namespace gavel::storage
