// The values of the families `versions` and `changes`, and what their rows count for.
//
//   versions  00                                                      a tombstone
//             01, create revision, version, lease (varints), value    a value
//   changes   00 or 01 (as above), superseded bytes (varint), user key
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "storage/mvcc/revision.h"

namespace gavel::storage {

// One version of a key. A tombstone has an id only.
struct Version {
  ChangeId id;  // Its main revision is the mod_revision.
  bool tombstone = false;
  Revision create = 0;
  int64_t version = 0;
  int64_t lease = 0;
  std::string_view value;  // Owned by whoever made the Version.
};

// Appends all but the id, which is part of the row's key.
void AppendVersionRecord(const Version& version, std::string* out);
// Fills in all but the id; `value` is a view into `in`. False if the bytes are damaged.
bool ParseVersionRecord(std::string_view in, Version* version);

struct ChangeRecord {
  bool tombstone = false;
  // Bytes of versions superseded by all changes up to this one, since the store began.
  int64_t superseded_total = 0;
  std::string_view user_key;
};

void AppendChangeRecord(const ChangeRecord& change, std::string* out);
bool ParseChangeRecord(std::string_view in, ChangeRecord* change);

// What one version takes in both families, before compression: its key twice, its value, and
// the fixed parts. Part of the semantics: every member must count alike.
inline constexpr int64_t kVersionOverheadBytes = 40;
constexpr int64_t VersionBytes(size_t key_bytes, size_t value_bytes) {
  return 2 * static_cast<int64_t>(key_bytes) + static_cast<int64_t>(value_bytes) +
         kVersionOverheadBytes;
}

}  // namespace gavel::storage
