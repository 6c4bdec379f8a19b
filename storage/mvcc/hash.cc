#include "storage/mvcc/hash.h"

#include <optional>
#include <string>
#include <utility>

#include "storage/disk/crc32c.h"
#include "storage/engine/engine.h"
#include "storage/mvcc/key_codec.h"
#include "storage/mvcc/record.h"

namespace gavel::storage {

class HashCursor::Impl {
 public:
  // The order matters: what is missing in the snapshot was collected below a compacted revision
  // that had been published before, so the one loaded after it covers all that is missing.
  Impl(std::shared_ptr<const ReadView> view, Revision revision)
      : view_(std::move(view)),
        snapshot_(view_->engine->Snapshot()),
        compacted_(view_->published_compacted->load()),
        revision_(revision <= 0 ? view_->revision : revision) {
    if (revision_ > view_->revision) error_ = RequestError::kFutureRevision;
    if (revision_ < compacted_) error_ = RequestError::kCompacted;
  }

  bool Step(int64_t rows_max) {
    if (done_ || error_ != RequestError::kNone) return true;
    if (iterator_ == nullptr) {
      ReadOptions options;
      options.snapshot = snapshot_.get();
      options.fill_cache = false;
      iterator_ = view_->engine->NewIterator(Family::kVersions, options);
      iterator_->SeekToFirst();
    }
    for (int64_t rows = 0; rows < rows_max && iterator_->Valid(); ++rows) {
      if (!Look()) return Finish();
      iterator_->Next();
    }
    if (iterator_->Valid()) return false;
    status_ = iterator_->status();
    return Finish();
  }

  RequestError error() const { return error_; }
  absl::Status status() const { return status_; }
  uint32_t hash() const { return hash_; }
  Revision compact_revision() const { return compacted_; }
  Revision hash_revision() const { return revision_; }

 private:
  bool Finish() {
    iterator_.reset();
    snapshot_.reset();
    return done_ = true;
  }

  // Takes in one row if a reader may still see it; false if it is damaged.
  bool Look() {
    const std::optional<VersionKeyParts> parts = ParseVersionKey(iterator_->key());
    Version version;
    if (!parts || !ParseVersionRecord(iterator_->value(), &version)) {
      status_ = absl::DataLossError("versions: damaged row");
      return false;
    }
    if (parts->prefix != prefix_) {
      prefix_.assign(parts->prefix);
      settled_ = false;
    }
    const Revision main = parts->id.main;
    if (main > revision_) return true;
    if (main < compacted_) {
      // Rows come newest first: the first one here is what readers at the compacted revision
      // see, unless a change there or a deletion hides it. The others are history.
      if (settled_ || version.tombstone) {
        settled_ = true;
        return true;
      }
    }
    if (main <= compacted_) settled_ = true;
    hash_ = Crc32c(iterator_->key(), hash_);
    hash_ = Crc32c(iterator_->value(), hash_);
    return true;
  }

  const std::shared_ptr<const ReadView> view_;
  std::shared_ptr<const EngineSnapshot> snapshot_;
  const Revision compacted_;
  const Revision revision_;
  std::unique_ptr<Iterator> iterator_;
  std::string prefix_;    // Of the key under way.
  bool settled_ = false;  // What readers at the compacted revision see of it has passed.
  uint32_t hash_ = 0;
  RequestError error_ = RequestError::kNone;
  absl::Status status_;
  bool done_ = false;
};

HashCursor::HashCursor(std::shared_ptr<const ReadView> view, Revision revision)
    : impl_(std::make_unique<Impl>(std::move(view), revision)) {}
HashCursor::~HashCursor() = default;
bool HashCursor::Step(int64_t rows_max) { return impl_->Step(rows_max); }
RequestError HashCursor::error() const { return impl_->error(); }
absl::Status HashCursor::status() const { return impl_->status(); }
uint32_t HashCursor::hash() const { return impl_->hash(); }
Revision HashCursor::compact_revision() const { return impl_->compact_revision(); }
Revision HashCursor::hash_revision() const { return impl_->hash_revision(); }

}  // namespace gavel::storage
