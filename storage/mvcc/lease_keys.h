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

namespace gavel::storage {

class LeaseKeys {
 public:
  // Borrows both.
  LeaseKeys(const Engine& engine, WriteBatch& batch) : engine_(engine), batch_(batch) {}

  // Lease 0 is none: both do nothing.
  void Attach(int64_t lease, std::string_view key);
  void Detach(int64_t lease, std::string_view key);

  // All keys of a lease, sorted.
  absl::StatusOr<std::vector<std::string>> Of(int64_t lease) const;

 private:
  const Engine& engine_;
  WriteBatch& batch_;
  // What the batch has changed: lease and key, and whether it hangs on it.
  std::map<std::pair<int64_t, std::string>, bool> changed_;
};

}  // namespace gavel::storage
