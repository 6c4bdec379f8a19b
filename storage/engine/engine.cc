#include "storage/engine/engine.h"

#include "raft/check.h"

namespace gavel::storage {
namespace {

void AppendLength(std::string& out, size_t length) {
  while (length >= 0x80) {
    out.push_back(static_cast<char>(length | 0x80));
    length >>= 7;
  }
  out.push_back(static_cast<char>(length));
}

size_t TakeLength(std::string_view bytes, size_t& offset) {
  size_t length = 0;
  for (int shift = 0;; shift += 7) {
    const auto byte = static_cast<uint8_t>(bytes[offset++]);
    length |= static_cast<size_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return length;
  }
}

}  // namespace

std::string_view FamilyName(Family family) {
  switch (family) {
    case Family::kMeta:
      return "meta";
    case Family::kVersions:
      return "versions";
    case Family::kChanges:
      return "changes";
    case Family::kLeases:
      return "leases";
    case Family::kLeaseKeys:
      return "lease_keys";
    case Family::kAuth:
      return "auth";
    case Family::kMembers:
      return "members";
    case Family::kAlarms:
      return "alarms";
    case Family::kLeaseRenewals:
      return "lease_renewals";
  }
  GAVEL_CHECK(false) << "family " << static_cast<int>(family);
}

void WriteBatch::Put(Family family, std::string_view key, std::string_view value) {
  Add(Kind::kPut, family, key, value);
}

void WriteBatch::Delete(Family family, std::string_view key) {
  Add(Kind::kDelete, family, key, {});
}

void WriteBatch::DeleteRange(Family family, std::string_view from, std::string_view to) {
  if (from >= to) return;  // RocksDB takes a reversed range for an error, in mid batch.
  Add(Kind::kDeleteRange, family, from, to);
}

void WriteBatch::Clear() {
  bytes_.clear();
  count_ = 0;
}

void WriteBatch::Add(Kind kind, Family family, std::string_view key, std::string_view value) {
  bytes_.push_back(static_cast<char>(static_cast<int>(kind) << 4 | static_cast<int>(family)));
  AppendLength(bytes_, key.size());
  AppendLength(bytes_, value.size());
  bytes_.append(key);
  bytes_.append(value);
  ++count_;
}

WriteBatch::Op WriteBatch::Next(size_t& offset) const {
  const std::string_view bytes = bytes_;
  const auto head = static_cast<uint8_t>(bytes[offset++]);
  const size_t key_size = TakeLength(bytes, offset);
  const size_t value_size = TakeLength(bytes, offset);
  Op op{static_cast<Kind>(head >> 4), static_cast<Family>(head & 0xf),
        bytes.substr(offset, key_size), bytes.substr(offset + key_size, value_size)};
  offset += key_size + value_size;
  return op;
}

}  // namespace gavel::storage
