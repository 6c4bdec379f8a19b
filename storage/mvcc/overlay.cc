#include "storage/mvcc/overlay.h"

#include <limits>

#include "raft/check.h"
#include "storage/mvcc/scan.h"

namespace gavel::storage {
namespace {

constexpr Revision kAnyRevision = std::numeric_limits<Revision>::max();
constexpr ScanBudget kUnbounded{std::numeric_limits<int64_t>::max(),
                                std::numeric_limits<int64_t>::max()};

}  // namespace

void Overlay::Add(std::string_view key, const Version& version) {
  auto it = pending_.lower_bound(key);
  if (it == pending_.end() || it->first != key) {
    it = pending_.emplace_hint(it, std::string(key), Versions());
  }
  GAVEL_CHECK(it->second.empty() || it->second.back().id() < version.id);
  it->second.emplace_back(version);
}

absl::StatusOr<NewestVersion> Overlay::Newest(std::string_view key) {
  if (const auto it = pending_.find(key); it != pending_.end()) {
    return NewestVersion::Of(it->second.back().version());
  }
  if (cache_ != nullptr) {
    if (const NewestVersion* known = cache_->Find(key)) return *known;
  }
  VersionScan scan(engine_, KeyRange::FromRequest(key, {}), kAnyRevision,
                   /*keep_tombstones=*/true);
  NewestVersion newest;
  ScanBudget budget = kUnbounded;
  switch (scan.Next(budget)) {
    case VersionScan::Result::kRow:
      newest = NewestVersion::Of(scan.version());
      break;
    case VersionScan::Result::kEnd:
      break;
    default:
      return scan.status();
  }
  if (cache_ != nullptr) cache_->Set(key, newest);
  return newest;
}

absl::StatusOr<std::string> Overlay::Value(std::string_view key, ChangeId id) const {
  if (const auto it = pending_.find(key); it != pending_.end()) {
    for (const Pending& pending : it->second) {
      if (pending.id() == id) return pending.value;
    }
  }
  std::string row;
  if (absl::Status status = engine_.Get(Family::kVersions, VersionKey(key, id), &row);
      !status.ok()) {
    // A version that is known to exist is missing.
    return absl::IsNotFound(status) ? absl::DataLossError("versions: a row is missing") : status;
  }
  Version version;
  if (!ParseVersionRecord(row, &version)) return absl::DataLossError("versions: damaged value");
  row.erase(0, row.size() - version.value.size());
  return row;
}

const Overlay::Pending* Overlay::NewestAt(const Versions& versions, Revision revision) {
  for (auto it = versions.rbegin(); it != versions.rend(); ++it) {
    if (it->id().main <= revision) return &*it;
  }
  return nullptr;
}

absl::Status Overlay::Scan(const KeyRange& range, Revision revision, Visit visit) const {
  VersionScan scan(engine_, range, revision);
  ScanBudget budget = kUnbounded;
  VersionScan::Result stored = scan.Next(budget);
  for (auto it = pending_.lower_bound(range.begin);
       it != pending_.end() && range.Contains(it->first); ++it) {
    const Pending* pending = NewestAt(it->second, revision);
    if (pending == nullptr) continue;
    while (stored == VersionScan::Result::kRow && scan.user_key() < it->first) {
      if (!visit(scan.user_key(), scan.version())) return absl::OkStatus();
      stored = scan.Next(budget);
    }
    if (stored == VersionScan::Result::kRow && scan.user_key() == it->first) {
      stored = scan.Next(budget);
    }
    if (pending->without_value.tombstone) continue;
    if (!visit(it->first, pending->version())) return absl::OkStatus();
  }
  while (stored == VersionScan::Result::kRow) {
    if (!visit(scan.user_key(), scan.version())) return absl::OkStatus();
    stored = scan.Next(budget);
  }
  return scan.status();
}

void Overlay::Written() {
  if (cache_ != nullptr) {
    for (const auto& [key, versions] : pending_) {
      cache_->Set(key, NewestVersion::Of(versions.back().version()));
    }
  }
  pending_.clear();
}

}  // namespace gavel::storage
