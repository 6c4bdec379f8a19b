// The keys of the column families: bytewise order is the order that reads need.
//
//   versions     escaped user key, descending main revision (8), descending sub revision (4)
//   changes      main revision (8), sub revision (4)
//   leases       lease id (8)
//   lease_keys   lease id (8), user key
//
// Escaping turns 00 into 00 FF and ends the user key with 00 01, so that no user key's rows lie
// between those of another and shorter keys come first. All numbers are big-endian; descending
// ones are complemented. Example: the second change (sub revision 1) of revision 2 to key "a" is
//   61 00 01 | FF FF FF FF FF FF FF FD | FF FF FF FE
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "storage/mvcc/revision.h"

namespace gavel::storage {

// Bytes of a `versions` key after the escaped user key.
inline constexpr size_t kVersionSuffixBytes = 12;

// Appends the escaped user key with its end mark: what all rows of the key begin with.
void AppendKeyPrefix(std::string_view user_key, std::string* out);
// Turns a prefix into the key that is after all its rows and before those of any later key.
inline void MovePastPrefix(std::string* prefix) { prefix->back() = '\x02'; }
// Appends the part of a `versions` key that orders the versions of one key, newest first.
void AppendVersionSuffix(ChangeId id, std::string* out);

// The whole key of one version.
std::string VersionKey(std::string_view user_key, ChangeId id);

// A `versions` key taken apart. The prefix is a view into it.
struct VersionKeyParts {
  std::string_view prefix;  // As AppendKeyPrefix wrote it.
  ChangeId id;
};
// Nothing if the bytes are no `versions` key.
std::optional<VersionKeyParts> ParseVersionKey(std::string_view key);

// Returns the user key of a well-formed prefix: a view into it if nothing was escaped, else into
// `*scratch`.
std::string_view UserKey(std::string_view prefix, std::string* scratch);

std::string ChangeKey(ChangeId id);
std::optional<ChangeId> ParseChangeKey(std::string_view key);

std::string LeaseKey(int64_t lease);
// Nothing if the bytes are no `leases` key.
std::optional<int64_t> ParseLeaseKey(std::string_view key);
std::string LeaseKeyKey(int64_t lease, std::string_view user_key);

// The user keys from `begin` to before `end`; without `end`, all from `begin` on.
struct KeyRange {
  std::string_view begin;
  std::optional<std::string_view> end;
  bool single = false;  // Exactly `begin`; `end` is not used.

  // As requests write it: no end is the one key, the end "\0" is no end.
  static KeyRange FromRequest(std::string_view key, std::string_view range_end);
  bool Contains(std::string_view key) const;
};

// The `versions` keys of a key range: from `begin` to before `end`, if there is one.
struct EncodedRange {
  std::string begin;
  std::optional<std::string> end;
};
EncodedRange EncodeRange(const KeyRange& range);

}  // namespace gavel::storage
