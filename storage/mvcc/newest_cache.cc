#include "storage/mvcc/newest_cache.h"

#include <utility>

namespace gavel::storage {
namespace {

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

}  // namespace

NewestVersion NewestVersion::Of(const Version& version) {
  return {.id = version.id,
          .live = !version.tombstone,
          .create = version.create,
          .version = version.version,
          .lease = version.lease,
          .value_bytes = static_cast<int64_t>(version.value.size())};
}

Version NewestVersion::WithoutValue() const {
  return {.id = id,
          .tombstone = !live,
          .create = create,
          .version = version,
          .lease = lease,
          .value = {}};
}

size_t NewestCache::EntryBytes(std::string_view key) {
  // A slot, its share of empty slots, and the key's own memory if it has any.
  const size_t slot = (sizeof(std::string) + sizeof(NewestVersion)) * 3 / 2;
  return slot + (key.size() > 15 ? key.size() + 17 : 0);
}

const NewestVersion* NewestCache::Find(std::string_view key) {
  if (const auto it = young_.find(View(key)); it != young_.end()) return &it->second;
  const auto it = old_.find(View(key));
  if (it == old_.end()) return nullptr;
  const NewestVersion newest = it->second;
  Set(key, newest);
  const auto moved = young_.find(View(key));
  return moved == young_.end() ? nullptr : &moved->second;
}

void NewestCache::Set(std::string_view key, const NewestVersion& newest) {
  if (EntryBytes(key) > half_bytes_max_) return;
  if (const auto it = young_.find(View(key)); it != young_.end()) {
    it->second = newest;
    return;
  }
  if (young_bytes_ + EntryBytes(key) > half_bytes_max_) {
    old_ = std::exchange(young_, Map());
    old_bytes_ = std::exchange(young_bytes_, 0);
  }
  young_.emplace(std::string(key), newest);
  young_bytes_ += EntryBytes(key);
}

}  // namespace gavel::storage
