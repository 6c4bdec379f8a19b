#include "storage/state/lease_cache.h"

#include <utility>

namespace gavel::storage {

const LeaseRow* LeaseCache::Find(int64_t id) {
  if (const auto it = young_.find(id); it != young_.end()) return &it->second;
  const auto it = old_.find(id);
  if (it == old_.end()) return nullptr;
  const LeaseRow row = it->second;
  Set(id, row);
  const auto moved = young_.find(id);
  return moved == young_.end() ? nullptr : &moved->second;
}

void LeaseCache::Set(int64_t id, const LeaseRow& row) {
  if (half_rows_max_ == 0) return;
  old_.erase(id);
  young_[id] = row;
  if (young_.size() <= half_rows_max_) return;
  old_ = std::exchange(young_, {});
}

void LeaseCache::Erase(int64_t id) {
  young_.erase(id);
  old_.erase(id);
}

}  // namespace gavel::storage
