// Which keys hang on leases that are used often, so that their end need not look for them.
//
// Derived from the engine and never authoritative: dropping any entry at any time changes
// nothing but speed. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"

namespace gavel::storage {

// Two halves, as in NewestCache. Knows all keys of a lease or nothing of it.
class LeaseKeyCache {
 public:
  using Keys = std::vector<std::string>;  // Sorted, without duplicates.

  // What a lease may take; one with more is not kept.
  static constexpr size_t kLeaseBytesMax = 1024;

  explicit LeaseKeyCache(size_t bytes_max) : half_bytes_max_(bytes_max / 2) {}

  // Null if nothing is known. Valid until the next call.
  const Keys* Find(int64_t lease) const;
  void Set(int64_t lease, Keys keys);
  void Erase(int64_t lease) { Take(lease); }
  // Do nothing to a lease of which nothing is known.
  void Attach(int64_t lease, std::string_view key);
  void Detach(int64_t lease, std::string_view key);

  size_t bytes() const { return young_.bytes + old_.bytes; }

 private:
  struct Half {
    absl::flat_hash_map<int64_t, Keys> leases;  // Never iterated.
    size_t bytes = 0;
  };
  static size_t EntryBytes(const Keys& keys);
  // Takes out what is known of the lease.
  std::optional<Keys> Take(int64_t lease);

  const size_t half_bytes_max_;
  Half young_;
  Half old_;
};

}  // namespace gavel::storage
