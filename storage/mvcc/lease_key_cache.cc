#include "storage/mvcc/lease_key_cache.h"

#include <algorithm>
#include <utility>

namespace gavel::storage {

size_t LeaseKeyCache::EntryBytes(const Keys& keys) {
  // A slot, its share of empty slots, and the memory of the keys.
  size_t bytes = (sizeof(int64_t) + sizeof(Keys)) * 3 / 2;
  for (const std::string& key : keys) {
    bytes += sizeof(std::string) + (key.size() > 15 ? key.size() + 17 : 0);
  }
  return bytes;
}

const LeaseKeyCache::Keys* LeaseKeyCache::Find(int64_t lease) const {
  for (const Half* half : {&young_, &old_}) {
    if (const auto it = half->leases.find(lease); it != half->leases.end()) return &it->second;
  }
  return nullptr;
}

void LeaseKeyCache::Set(int64_t lease, Keys keys) {
  Erase(lease);
  const size_t bytes = EntryBytes(keys);
  if (bytes > std::min(kLeaseBytesMax, half_bytes_max_)) return;
  if (young_.bytes + bytes > half_bytes_max_) old_ = std::exchange(young_, {});
  young_.leases.emplace(lease, std::move(keys));
  young_.bytes += bytes;
}

std::optional<LeaseKeyCache::Keys> LeaseKeyCache::Take(int64_t lease) {
  for (Half* half : {&young_, &old_}) {
    const auto it = half->leases.find(lease);
    if (it == half->leases.end()) continue;
    half->bytes -= EntryBytes(it->second);
    Keys keys = std::move(it->second);
    half->leases.erase(it);
    return keys;
  }
  return std::nullopt;
}

void LeaseKeyCache::Attach(int64_t lease, std::string_view key) {
  std::optional<Keys> keys = Take(lease);
  if (!keys) return;
  const auto at = std::lower_bound(keys->begin(), keys->end(), key);
  if (at == keys->end() || *at != key) keys->insert(at, std::string(key));
  Set(lease, *std::move(keys));
}

void LeaseKeyCache::Detach(int64_t lease, std::string_view key) {
  std::optional<Keys> keys = Take(lease);
  if (!keys) return;
  const auto at = std::lower_bound(keys->begin(), keys->end(), key);
  if (at != keys->end() && *at == key) keys->erase(at);
  Set(lease, *std::move(keys));
}

}  // namespace gavel::storage
