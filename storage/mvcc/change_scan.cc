#include "storage/mvcc/change_scan.h"

#include <limits>
#include <optional>

#include "absl/strings/str_cat.h"

#include "storage/mvcc/key_codec.h"
#include "storage/mvcc/record.h"

namespace gavel::storage {
namespace {

// Rows that a search for one version may look at: the newest of a key, and those above it.
constexpr int64_t kLookupRowsMax = std::numeric_limits<int64_t>::max();

void CopyVersion(const Version& version, KeyChange* change) {
  change->tombstone = version.tombstone;
  change->create = version.create;
  change->version = version.version;
  change->lease = version.lease;
  change->value.assign(version.value);
}

}  // namespace

ChangeScan::ChangeScan(const Engine& engine, ChangeId from, Revision through)
    : engine_(engine),
      end_(ChangeKey({through, std::numeric_limits<int32_t>::max()})),
      position_(from) {}

ChangeScan::~ChangeScan() = default;

ChangeScan::Result ChangeScan::Next(ScanBudget& budget) {
  if (!status_.ok()) return Result::kFailed;
  if (budget.spent()) {
    iterator_.reset();
    at_row_ = false;
    return Result::kBudget;
  }
  if (iterator_ == nullptr) {
    ReadOptions options;
    options.fill_cache = false;
    iterator_ = engine_.NewIterator(Family::kChanges, options);
    iterator_->Seek(ChangeKey(position_));
  } else if (at_row_) {
    iterator_->Next();
  }
  at_row_ = false;
  if (!iterator_->Valid() || iterator_->key() > end_) {
    status_ = iterator_->status();
    iterator_.reset();
    return status_.ok() ? Result::kEnd : Result::kFailed;
  }
  const std::optional<ChangeId> id = ParseChangeKey(iterator_->key());
  ChangeRecord record;
  if (!id || !ParseChangeRecord(iterator_->value(), &record)) {
    status_ = absl::DataLossError("changes: damaged row");
    return Result::kFailed;
  }
  --budget.rows;
  at_row_ = true;
  id_ = *id;
  tombstone_ = record.tombstone;
  superseded_total_ = record.superseded_total;
  user_key_ = record.user_key;
  position_ = {id_.main, id_.sub + 1};
  return Result::kRow;
}

absl::Status ReadChangedValue(const Engine& engine, KeyChange* change) {
  std::string row;
  const absl::Status status =
      engine.Get(Family::kVersions, VersionKey(change->key, change->id), &row);
  if (!status.ok()) return status;
  Version version;
  if (!ParseVersionRecord(row, &version) || version.tombstone) {
    return absl::DataLossError(
        absl::StrCat("versions: a damaged value of revision ", change->id.main));
  }
  CopyVersion(version, change);
  return absl::OkStatus();
}

absl::StatusOr<bool> ReadPreviousValue(const ReadView& view, std::string_view user_key,
                                       Revision main, KeyChange* previous) {
  const Revision revision = main - 1;
  KeyRange range;
  range.begin = user_key;
  range.single = true;
  VersionScan scan(*view.engine, range, revision);
  ScanBudget budget{kLookupRowsMax, kLookupRowsMax};
  const VersionScan::Result result = scan.Next(budget);
  if (result == VersionScan::Result::kFailed) return scan.status();
  // What was compacted meanwhile may be missing, or be there still: it is gone either way.
  if (result != VersionScan::Result::kRow || view.published_compacted->load() > revision) {
    return false;
  }
  previous->id = scan.version().id;
  previous->key.assign(user_key);
  CopyVersion(scan.version(), previous);
  return true;
}

}  // namespace gavel::storage
