#include "server/watch/watch_index.h"

#include <optional>

#include "raft/check.h"

namespace gavel::server {

void WatchIndex::Add(const storage::KeyRange& range, WatchIndexEntry& entry) {
  GAVEL_CHECK(entry.key_ == nullptr && entry.range_ == nullptr);
  ++size_;
  if (!range.single) {
    std::optional<std::string_view> end;
    if (range.end) end = std::string_view(*range.end);
    entry.range_ = &ranges_.Find(range.begin, end);
    Place(entry.range_->entries, entry);
    return;
  }
  auto found = keys_.find(Lookup(range.begin));
  if (found == keys_.end()) {
    auto key = std::make_unique<WatchIndexEntry::Key>();
    key->key = range.begin;
    found = keys_.emplace(key->key, std::move(key)).first;
  }
  entry.key_ = found->second.get();
  Place(entry.key_->entries, entry);
}

void WatchIndex::Remove(WatchIndexEntry& entry) {
  if (entry.range_ != nullptr) {
    Displace(entry.range_->entries, entry);
    if (entry.range_->entries.empty()) ranges_.Erase(*entry.range_);
    entry.range_ = nullptr;
  } else if (entry.key_ != nullptr) {
    Displace(entry.key_->entries, entry);
    if (entry.key_->entries.empty()) keys_.erase(keys_.find(Lookup(entry.key_->key)));
    entry.key_ = nullptr;
  } else {
    return;
  }
  --size_;
}

void WatchIndex::Place(std::vector<WatchIndexEntry*>& entries, WatchIndexEntry& entry) {
  entry.place_ = entries.size();
  entries.push_back(&entry);
}

void WatchIndex::Displace(std::vector<WatchIndexEntry*>& entries, const WatchIndexEntry& entry) {
  entries[entry.place_] = entries.back();
  entries[entry.place_]->place_ = entry.place_;
  entries.pop_back();
  // Many watchers of one key that go leave no room behind.
  if (entries.size() * 4 < entries.capacity() && entries.capacity() > 64) entries.shrink_to_fit();
}

}  // namespace gavel::server
