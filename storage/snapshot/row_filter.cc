#include "storage/snapshot/row_filter.h"

#include <optional>

#include "storage/mvcc/collector.h"
#include "storage/mvcc/key_codec.h"
#include "storage/mvcc/record.h"

namespace gavel::storage {

absl::StatusOr<bool> RowFilter::Keeps(Family family, std::string_view key, std::string_view value) {
  if (family == Family::kVersions) return KeepsVersion(key, value);
  // How far the collector has come is each member's own.
  if (family == Family::kMeta) return key != kMetaCollected;
  if (family != Family::kChanges) return true;
  const std::optional<ChangeId> id = ParseChangeKey(key);
  if (!id) return absl::DataLossError("changes: damaged row");
  return id->main >= compacted_;
}

// The rule of HashKV (storage/mvcc/hash.cc), for the newest revision.
absl::StatusOr<bool> RowFilter::KeepsVersion(std::string_view key, std::string_view value) {
  const std::optional<VersionKeyParts> parts = ParseVersionKey(key);
  Version version;
  if (!parts || !ParseVersionRecord(value, &version)) {
    return absl::DataLossError("versions: damaged row");
  }
  if (parts->prefix != prefix_) {
    prefix_.assign(parts->prefix);
    settled_ = false;
  }
  // Rows come newest first.
  if (parts->id.main < compacted_ && (settled_ || version.tombstone)) {
    settled_ = true;
    return false;
  }
  if (parts->id.main <= compacted_) settled_ = true;
  return true;
}

}  // namespace gavel::storage
