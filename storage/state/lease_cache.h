// What is known of leases that are used often, so that a renewal need not look for its row.
//
// Derived from the engine and never authoritative: dropping any entry at any time changes
// nothing but speed. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/container/flat_hash_map.h"

#include "storage/state/lease_row.h"

namespace gavel::storage {

// Two halves, as in NewestCache: what is used moves to the young one, and when that is full, the
// old one is dropped. Never iterated, so its order is nobody's business.
class LeaseCache {
 public:
  explicit LeaseCache(size_t rows_max) : half_rows_max_(rows_max / 2) {}

  // Null if nothing is known. Valid until the next call.
  const LeaseRow* Find(int64_t id);
  void Set(int64_t id, const LeaseRow& row);
  void Erase(int64_t id);

  size_t rows() const { return young_.size() + old_.size(); }

 private:
  using Map = absl::flat_hash_map<int64_t, LeaseRow>;

  const size_t half_rows_max_;
  Map young_;
  Map old_;
};

}  // namespace gavel::storage
