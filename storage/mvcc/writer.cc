#include "storage/mvcc/writer.h"

#include <algorithm>
#include <limits>
#include <string>

#include "raft/check.h"
#include "raft/sim_point.h"
#include "storage/disk/crc32c.h"

namespace gavel::storage {

void Writer::Put(std::string_view key, std::string_view value, int64_t lease,
                 const NewestVersion& newest) {
  Version version;
  version.id = NextId();
  version.create = newest.live ? newest.create : version.id.main;
  version.version = newest.live ? newest.version + 1 : 1;
  version.lease = lease;
  version.value = value;
  Supersede(key, newest);
  lease_keys_.Attach(lease, key);
  ++totals_.keys;
  totals_.live_bytes += VersionBytes(key.size(), value.size());
  AddChange(key, version);
}

void Writer::Delete(std::string_view key, const NewestVersion& newest) {
  GAVEL_CHECK(newest.live);
  Version tombstone;
  tombstone.id = NextId();
  tombstone.tombstone = true;
  Supersede(key, newest);
  // Nothing will supersede a tombstone, and no reader needs it once it is compacted.
  totals_.superseded_total += VersionBytes(key.size(), 0);
  AddChange(key, tombstone);
}

void Writer::Supersede(std::string_view key, const NewestVersion& newest) {
  if (!newest.live) return;
  if (!GAVEL_PLANTED_BUG(82)) lease_keys_.Detach(newest.lease, key);
  const int64_t bytes = VersionBytes(key.size(), static_cast<size_t>(newest.value_bytes));
  --totals_.keys;
  totals_.live_bytes -= bytes;
  totals_.superseded_total += bytes;
}

void Writer::AddChange(std::string_view key, const Version& version) {
  key_.clear();
  AppendKeyPrefix(key, &key_);
  AppendVersionSuffix(version.id, &key_);
  value_.clear();
  AppendVersionRecord(version, &value_);
  batch_.Put(Family::kVersions, key_, value_);
  totals_.digest = Crc32c(value_, Crc32c(key_, totals_.digest));

  value_.clear();
  AppendChangeRecord({version.tombstone, totals_.superseded_total, key}, &value_);
  batch_.Put(Family::kChanges, ChangeKey(version.id), value_);
  batch_changes_.emplace_back(version.id.main, totals_.superseded_total);
  if (told_ != nullptr) {
    told_->push_back({version.id, version.tombstone, version.create, version.version, version.lease,
                      std::string(key), std::string(version.value)});
  }
  overlay_.Add(key, version);
}

absl::StatusOr<RequestError> Writer::Compact(Revision revision) {
  if (revision <= totals_.compacted) return RequestError::kCompacted;
  if (revision > totals_.revision) return RequestError::kFutureRevision;
  absl::StatusOr<int64_t> superseded = SupersededUpTo(revision);
  if (!superseded.ok()) return superseded.status();
  totals_.compacted = revision;
  totals_.superseded_compacted = *superseded;
  return RequestError::kNone;
}

absl::StatusOr<int64_t> Writer::SupersededUpTo(Revision revision) const {
  const auto after =
      std::upper_bound(batch_changes_.begin(), batch_changes_.end(), revision,
                       [](Revision r, const auto& change) { return r < change.first; });
  if (after != batch_changes_.begin()) return std::prev(after)->second;
  std::unique_ptr<Iterator> iterator = engine_.NewIterator(Family::kChanges);
  iterator->SeekForPrev(ChangeKey({revision, std::numeric_limits<int32_t>::max()}));
  if (!iterator->Valid()) {
    if (!iterator->status().ok()) return iterator->status();
    return 0;  // No change has happened up to there.
  }
  ChangeRecord change;
  if (!ParseChangeRecord(iterator->value(), &change)) {
    return absl::DataLossError("changes: damaged value");
  }
  return change.superseded_total;
}

}  // namespace gavel::storage
