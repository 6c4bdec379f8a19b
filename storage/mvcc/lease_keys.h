// Which keys hang on which lease: the family `lease_keys`, read through the batch under way.
//
// Not thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

#include "storage/engine/engine.h"
#include "storage/mvcc/lease_key_cache.h"

namespace gavel::storage {

class LeaseKeys {
 public:
  // Borrows all.
  LeaseKeys(const Engine& engine, LeaseKeyCache& cache, WriteBatch& batch)
      : engine_(engine), cache_(cache), batch_(batch) {}

  // Lease 0 is none: both do nothing.
  void Attach(int64_t lease, std::string_view key);
  void Detach(int64_t lease, std::string_view key);

  // The lease exists from here on, or does no more. Requires: no key hangs on it.
  void Begin(int64_t lease) { exists_[lease] = true; }
  void End(int64_t lease) { exists_[lease] = false; }

  // All keys of a lease, sorted.
  absl::StatusOr<std::vector<std::string>> Of(int64_t lease) const;

  // Moves what is known to the cache: the batch has been written.
  void Written();

 private:
  // As before the batch.
  absl::StatusOr<std::vector<std::string>> Stored(int64_t lease) const;

  const Engine& engine_;
  LeaseKeyCache& cache_;
  WriteBatch& batch_;
  // What the batch has changed: lease and key, and whether it hangs on it.
  std::map<std::pair<int64_t, std::string>, bool> changed_;
  std::map<int64_t, bool> exists_;  // Leases that have begun or ended.
};

}  // namespace gavel::storage
