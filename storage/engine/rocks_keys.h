// How the families share RocksDB's one column family: each key begins with its family's tag.
#pragma once

#include <string>
#include <string_view>

#include "storage/engine/engine.h"

namespace gavel::storage {

// The tags are part of the format.
constexpr char FamilyTag(Family family) {
  switch (family) {
    case Family::kMeta:
      return 'i';
    case Family::kVersions:
      return 'v';
    case Family::kChanges:
      return 'c';
    case Family::kLeases:
      return 'l';
    case Family::kLeaseKeys:
      return 'n';
    case Family::kAuth:
      return 'a';
    case Family::kMembers:
      return 'p';
    case Family::kAlarms:
      return 'w';
    case Family::kLeaseRenewals:
      return 'r';
  }
  return 0;
}

inline std::string TaggedKey(Family family, std::string_view key) {
  std::string tagged;
  tagged.reserve(key.size() + 1);
  tagged.push_back(FamilyTag(family));
  tagged.append(key);
  return tagged;
}

// After the last key of the family.
inline std::string FamilyEnd(Family family) {
  return std::string(1, static_cast<char>(FamilyTag(family) + 1));
}

// Returns the part of a tagged key that filters know, or nothing.
//
// In `versions` that is the user key up to and with its terminator 0x00 0x01 (a 0x00 inside the
// user key is escaped as 0x00 0xff), so that all versions of one user key share it; in `lease_keys`
// it is the lease's id, which all keys of one lease share. Keys of `changes` and `lease_renewals`
// are only scanned and have none. Elsewhere it is the whole key.
std::string_view FilterPrefix(std::string_view tagged);

// True if all keys in [lower, upper) and all places to seek inside have the same FilterPrefix, so
// that filters may skip whole files. The upper bound may also be the end of a prefix that keys
// share: the prefix counted up by one.
bool StaysInOnePrefix(std::string_view lower, std::string_view upper);

}  // namespace gavel::storage
