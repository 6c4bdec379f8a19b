#include "storage/mvcc/lease_keys.h"

#include <set>

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

absl::StatusOr<std::vector<std::string>> LeaseKeys::Of(int64_t lease) const {
  std::set<std::string> keys;
  const std::string prefix = LeaseKey(lease);
  const std::unique_ptr<Iterator> rows = engine_.NewIterator(Family::kLeaseKeys);
  for (rows->Seek(prefix); rows->Valid() && rows->key().starts_with(prefix); rows->Next()) {
    keys.emplace_hint(keys.end(), rows->key().substr(prefix.size()));
  }
  if (absl::Status status = rows->status(); !status.ok()) return status;
  for (auto it = changed_.lower_bound({lease, {}});
       it != changed_.end() && it->first.first == lease; ++it) {
    if (it->second) {
      keys.insert(it->first.second);
    } else {
      keys.erase(it->first.second);
    }
  }
  return std::vector<std::string>(keys.begin(), keys.end());
}

}  // namespace gavel::storage
