#include "storage/mvcc/key_codec.h"

#include <algorithm>

namespace gavel::storage {
namespace {

constexpr std::string_view kEndMark("\x00\x01", 2);
constexpr std::string_view kEscapedZero("\x00\xff", 2);

void AppendEscaped(std::string_view user_key, std::string* out) {
  while (!user_key.empty()) {
    const size_t zero = user_key.find('\0');
    if (zero == std::string_view::npos) break;
    out->append(user_key.substr(0, zero));
    out->append(kEscapedZero);
    user_key.remove_prefix(zero + 1);
  }
  out->append(user_key);
}

template <class Unsigned>
void AppendBigEndian(Unsigned value, std::string* out) {
  char bytes[sizeof(Unsigned)];
  for (size_t i = 0; i < sizeof(Unsigned); ++i) {
    bytes[i] = static_cast<char>(value >> (8 * (sizeof(Unsigned) - 1 - i)));
  }
  out->append(bytes, sizeof(bytes));
}

template <class Unsigned>
Unsigned ReadBigEndian(const char* bytes) {
  Unsigned value = 0;
  for (size_t i = 0; i < sizeof(Unsigned); ++i) {
    value = static_cast<Unsigned>(value << 8) | static_cast<unsigned char>(bytes[i]);
  }
  return value;
}

}  // namespace

void AppendKeyPrefix(std::string_view user_key, std::string* out) {
  AppendEscaped(user_key, out);
  out->append(kEndMark);
}

void AppendVersionSuffix(ChangeId id, std::string* out) {
  AppendBigEndian(~static_cast<uint64_t>(id.main), out);
  AppendBigEndian(~static_cast<uint32_t>(id.sub), out);
}

std::string VersionKey(std::string_view user_key, ChangeId id) {
  std::string key;
  key.reserve(user_key.size() + kEndMark.size() + kVersionSuffixBytes);
  AppendKeyPrefix(user_key, &key);
  AppendVersionSuffix(id, &key);
  return key;
}

std::optional<VersionKeyParts> ParseVersionKey(std::string_view key) {
  if (key.size() < kEndMark.size() + kVersionSuffixBytes) return std::nullopt;
  const std::string_view prefix = key.substr(0, key.size() - kVersionSuffixBytes);
  if (!prefix.ends_with(kEndMark)) return std::nullopt;
  const char* suffix = prefix.data() + prefix.size();
  ChangeId id;
  id.main = static_cast<int64_t>(~ReadBigEndian<uint64_t>(suffix));
  id.sub = static_cast<int32_t>(~ReadBigEndian<uint32_t>(suffix + 8));
  return VersionKeyParts{prefix, id};
}

std::string_view UserKey(std::string_view prefix, std::string* scratch) {
  std::string_view escaped = prefix.substr(0, prefix.size() - kEndMark.size());
  size_t zero = escaped.find('\0');
  if (zero == std::string_view::npos) return escaped;
  scratch->clear();
  while (zero != std::string_view::npos) {
    scratch->append(escaped.substr(0, zero + 1));
    escaped.remove_prefix(std::min(zero + kEscapedZero.size(), escaped.size()));
    zero = escaped.find('\0');
  }
  scratch->append(escaped);
  return *scratch;
}

std::string ChangeKey(ChangeId id) {
  std::string key;
  AppendBigEndian(static_cast<uint64_t>(id.main), &key);
  AppendBigEndian(static_cast<uint32_t>(id.sub), &key);
  return key;
}

std::optional<ChangeId> ParseChangeKey(std::string_view key) {
  if (key.size() != 12) return std::nullopt;
  ChangeId id;
  id.main = static_cast<int64_t>(ReadBigEndian<uint64_t>(key.data()));
  id.sub = static_cast<int32_t>(ReadBigEndian<uint32_t>(key.data() + 8));
  return id;
}

std::string LeaseKey(int64_t lease) {
  std::string key;
  AppendBigEndian(static_cast<uint64_t>(lease), &key);
  return key;
}

std::optional<int64_t> ParseLeaseKey(std::string_view key) {
  if (key.size() != 8) return std::nullopt;
  return static_cast<int64_t>(ReadBigEndian<uint64_t>(key.data()));
}

std::string LeaseKeyKey(int64_t lease, std::string_view user_key) {
  std::string key = LeaseKey(lease);
  key.append(user_key);
  return key;
}

KeyRange KeyRange::FromRequest(std::string_view key, std::string_view range_end) {
  KeyRange range;
  range.begin = key;
  if (range_end.empty()) {
    range.single = true;
  } else if (range_end != std::string_view("\0", 1)) {
    range.end = range_end;
  }
  return range;
}

bool KeyRange::Contains(std::string_view key) const {
  if (single) return key == begin;
  return key >= begin && (!end || key < *end);
}

EncodedRange EncodeRange(const KeyRange& range) {
  EncodedRange encoded;
  AppendKeyPrefix(range.begin, &encoded.begin);
  if (range.single) {
    // After all suffixes, yet with the same prefix: the engine's filters can tell at once that
    // the key is missing.
    encoded.end.emplace(encoded.begin).append(kVersionSuffixBytes + 1, '\xff');
  } else if (range.end) {
    AppendKeyPrefix(*range.end, &encoded.end.emplace());
  }
  return encoded;
}

}  // namespace gavel::storage
