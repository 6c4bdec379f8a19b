// Who watches a key: exact keys by hash, ranges by a tree. The cost of a search grows with what it
// finds, not with how many there are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"

#include "server/watch/range_tree.h"
#include "storage/mvcc/key_codec.h"

namespace gavel::server {

// What can be in an index, one at a time. Whoever derives from it removes it before it dies.
class WatchIndexEntry {
 private:
  friend class WatchIndex;

  struct Key {
    std::string key;
    std::vector<WatchIndexEntry*> entries;
  };
  // Where it is: one of the two, or neither.
  Key* key_ = nullptr;
  RangeTree::Node* range_ = nullptr;
  size_t place_ = 0;
};

// Not thread-safe.
class WatchIndex {
 public:
  // Requires: the entry is in no index.
  void Add(const storage::KeyRange& range, WatchIndexEntry& entry);
  // Does nothing if the entry is not there.
  void Remove(WatchIndexEntry& entry);

  // Calls `visit(entry)` for everyone who watches `key`. `visit` must not change the index.
  template <class Visit>
  void ForEachMatch(std::string_view key, Visit visit) const {
    if (const auto found = keys_.find(Lookup(key)); found != keys_.end()) {
      for (WatchIndexEntry* entry : found->second->entries) visit(*entry);
    }
    if (ranges_.empty()) return;
    ranges_.ForEachHolding(key, [&visit](RangeTree::Node& node) {
      for (WatchIndexEntry* entry : node.entries) visit(*entry);
    });
  }

  size_t size() const { return size_; }

 private:
  // How the map wants a key that is looked for.
  static absl::string_view Lookup(std::string_view key) { return {key.data(), key.size()}; }
  static void Place(std::vector<WatchIndexEntry*>& entries, WatchIndexEntry& entry);
  static void Displace(std::vector<WatchIndexEntry*>& entries, const WatchIndexEntry& entry);

  absl::flat_hash_map<std::string, std::unique_ptr<WatchIndexEntry::Key>> keys_;
  RangeTree ranges_;
  size_t size_ = 0;
};

}  // namespace gavel::server
