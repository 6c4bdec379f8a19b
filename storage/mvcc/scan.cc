#include "storage/mvcc/scan.h"

#include <limits>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace gavel::storage {
namespace {

// After this many rows of one key a seek is cheaper than going on row by row.
constexpr int kStepsBeforeSeek = 10;
constexpr int32_t kLastSub = std::numeric_limits<int32_t>::max();

}  // namespace

VersionScan::VersionScan(const Engine& engine, const KeyRange& range, Revision revision,
                         bool keep_tombstones)
    : engine_(engine),
      revision_(revision),
      keep_tombstones_(keep_tombstones),
      single_(range.single),
      range_(EncodeRange(range)),
      position_(range_.begin) {
  // Versions of the first key that are too new need not be walked over.
  AppendVersionSuffix({revision_, kLastSub}, &position_);
}

void VersionScan::Open() {
  ReadOptions options;
  options.lower = range_.begin;
  if (range_.end) options.upper = *range_.end;
  iterator_ = engine_.NewIterator(Family::kVersions, options);
  iterator_->Seek(position_);
}

void VersionScan::Suspend() {
  if (iterator_ == nullptr) return;
  if (leave_) {
    // Older versions of the returned key are of no interest.
    position_.assign(prefix_);
    MovePastPrefix(&position_);
    leave_ = false;
  } else if (iterator_->Valid()) {
    position_.assign(iterator_->key());
  } else {
    done_ = iterator_->status().ok();
  }
  iterator_.reset();
}

bool VersionScan::AtEnd() const {
  return !iterator_->Valid() || (range_.end && iterator_->key() >= *range_.end);
}

VersionScan::Result VersionScan::Next(ScanBudget& budget) {
  if (!status_.ok()) return Result::kFailed;
  if (done_) return Result::kEnd;
  if (iterator_ == nullptr) Open();
  if (leave_) {
    leave_ = false;
    if (single_) return Done();
    MovePastVersions();
  }
  while (!AtEnd()) {
    if (budget.spent()) {
      Suspend();
      return Result::kBudget;
    }
    --budget.rows;
    switch (Look()) {
      case Step::kRow:
        leave_ = true;
        return Result::kRow;
      case Step::kFailed:
        return Result::kFailed;
      case Step::kMoved:
        break;
    }
  }
  return Done();
}

VersionScan::Result VersionScan::Done() {
  status_ = iterator_->status();
  iterator_.reset();
  done_ = true;
  return status_.ok() ? Result::kEnd : Result::kFailed;
}

VersionScan::Step VersionScan::Look() {
  const std::string_view key = iterator_->key();
  const std::optional<VersionKeyParts> parts = ParseVersionKey(key);
  if (!parts) return Fail("key");
  if (parts->prefix != prefix_) {
    prefix_.assign(parts->prefix);
    finished_ = false;
    skipped_ = 0;
  }
  if (finished_) {
    MovePastVersions();
    return Step::kMoved;
  }
  if (parts->id.main > revision_) {
    MoveToRevision(*parts);
    return Step::kMoved;
  }
  finished_ = true;
  skipped_ = 0;
  version_.id = parts->id;
  if (!ParseVersionRecord(iterator_->value(), &version_)) return Fail("value");
  if (version_.tombstone && !keep_tombstones_) {
    MovePastVersions();
    return Step::kMoved;
  }
  return Step::kRow;
}

void VersionScan::MovePastVersions() {
  if (++skipped_ <= kStepsBeforeSeek) {
    iterator_->Next();
    return;
  }
  target_.assign(prefix_);
  MovePastPrefix(&target_);
  iterator_->Seek(target_);
}

void VersionScan::MoveToRevision(const VersionKeyParts& parts) {
  if (++skipped_ <= kStepsBeforeSeek) {
    iterator_->Next();
    return;
  }
  target_.assign(parts.prefix);
  AppendVersionSuffix({revision_, kLastSub}, &target_);
  iterator_->Seek(target_);
}

std::string_view VersionScan::user_key() { return UserKey(prefix_, &scratch_); }

VersionScan::Step VersionScan::Fail(std::string_view what) {
  status_ = absl::DataLossError(absl::StrCat(
      "versions: damaged ", absl::string_view(what.data(), what.size()), " at ",
      absl::CHexEscape(absl::string_view(iterator_->key().data(), iterator_->key().size()))));
  return Step::kFailed;
}

}  // namespace gavel::storage
