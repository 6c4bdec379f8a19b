#include "storage/mvcc/lease_keys.h"

#include <memory>
#include <set>

#include "raft/sim_point.h"
#include "storage/mvcc/key_codec.h"

namespace gavel::storage {

void LeaseKeys::Attach(int64_t lease, std::string_view key) {
  if (lease == 0) return;
  batch_.Put(Family::kLeaseKeys, LeaseKeyKey(lease, key), {});
  changed_[{lease, std::string(key)}] = true;
}

void LeaseKeys::Detach(int64_t lease, std::string_view key) {
  if (lease == 0) return;
  batch_.Delete(Family::kLeaseKeys, LeaseKeyKey(lease, key));
  changed_[{lease, std::string(key)}] = false;
}

absl::StatusOr<std::vector<std::string>> LeaseKeys::Stored(int64_t lease) const {
  if (const LeaseKeyCache::Keys* known = cache_.Find(lease)) return *known;
  std::vector<std::string> keys;
  const std::string prefix = LeaseKey(lease);
  const std::string next = LeaseKey(static_cast<int64_t>(static_cast<uint64_t>(lease) + 1));
  ReadOptions options;
  options.lower = prefix;
  // So that it does not look through what other leases have left behind. -1 is the last of all.
  if (lease != -1) options.upper = next;
  const std::unique_ptr<Iterator> rows = engine_.NewIterator(Family::kLeaseKeys, options);
  for (rows->Seek(prefix); rows->Valid() && rows->key().starts_with(prefix); rows->Next()) {
    keys.emplace_back(rows->key().substr(prefix.size()));
  }
  if (absl::Status status = rows->status(); !status.ok()) return status;
  return keys;
}

absl::StatusOr<std::vector<std::string>> LeaseKeys::Of(int64_t lease) const {
  auto it = changed_.lower_bound({lease, {}});
  // One that has begun in this batch began without keys.
  absl::StatusOr<std::vector<std::string>> stored =
      exists_.contains(lease) ? std::vector<std::string>() : Stored(lease);
  if (!stored.ok() || it == changed_.end() || it->first.first != lease) return stored;
  std::set<std::string> keys(stored->begin(), stored->end());
  for (; it != changed_.end() && it->first.first == lease; ++it) {
    if (it->second) {
      keys.insert(it->first.second);
    } else {
      keys.erase(it->first.second);
    }
  }
  return std::vector<std::string>(keys.begin(), keys.end());
}

void LeaseKeys::Written() {
  for (const auto& [lease, exists] : exists_) {
    if (exists) {
      cache_.Set(lease, {});
    } else {
      cache_.Erase(lease);
    }
  }
  for (const auto& [place, attached] : changed_) {
    const auto& [lease, key] = place;
    if (attached) {
      if (GAVEL_PLANTED_BUG(84)) continue;
      cache_.Attach(lease, key);
    } else {
      cache_.Detach(lease, key);
    }
  }
}

}  // namespace gavel::storage
