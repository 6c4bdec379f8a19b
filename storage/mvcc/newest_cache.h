// What is known of the newest versions of keys, so that a write need not look for them.
//
// Derived from the engine and never authoritative: dropping any entry at any time changes
// nothing but speed. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"

#include "storage/mvcc/record.h"
#include "storage/mvcc/revision.h"

namespace gavel::storage {

// All but the value of a key's newest version.
struct NewestVersion {
  ChangeId id;  // {0, 0}: the key has no version at all.
  bool live = false;
  Revision create = 0;
  int64_t version = 0;
  int64_t lease = 0;
  int64_t value_bytes = 0;

  static NewestVersion Of(const Version& version);
  Version WithoutValue() const;

  friend bool operator==(const NewestVersion&, const NewestVersion&) = default;
};

// Holds two halves: new entries go to the young one, and when that is full the old one is
// dropped and the young one becomes old. An entry that is used moves to the young half.
class NewestCache {
 public:
  explicit NewestCache(size_t bytes_max) : half_bytes_max_(bytes_max / 2) {}

  // Null if nothing is known. Valid until the next call.
  const NewestVersion* Find(std::string_view key);
  void Set(std::string_view key, const NewestVersion& newest);

  size_t bytes() const { return young_bytes_ + old_bytes_; }

 private:
  using Map = absl::flat_hash_map<std::string, NewestVersion>;
  static size_t EntryBytes(std::string_view key);

  const size_t half_bytes_max_;
  Map young_;
  Map old_;
  size_t young_bytes_ = 0;
  size_t old_bytes_ = 0;
};

}  // namespace gavel::storage
