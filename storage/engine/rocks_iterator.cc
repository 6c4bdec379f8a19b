#include "storage/engine/rocks_iterator.h"

#include <string_view>

#include "raft/check.h"
#include "rocksdb/db.h"
#include "rocksdb/iterator.h"
#include "rocksdb/options.h"
#include "storage/engine/rocks_options.h"
#include "storage/engine/rocks_status.h"

namespace gavel::storage {
namespace {

rocksdb::Slice ToSlice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }

std::string_view ToView(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }

class RocksIterator final : public Iterator {
 public:
  RocksIterator(const RocksDatabase& database, Family family, const ReadOptions& options,
                const rocksdb::Snapshot* snapshot, HealthLatch& health, std::atomic<int>& readers)
      : health_(health), readers_(readers) {
    rocksdb::ReadOptions read;
    read.snapshot = snapshot;
    read.verify_checksums = true;
    read.fill_cache = options.fill_cache;
    read.background_purge_on_iterator_cleanup = true;
    if (options.lower) {
      lower_ = ToSlice(*options.lower);
      read.iterate_lower_bound = &lower_;
    }
    if (options.upper) {
      upper_ = ToSlice(*options.upper);
      read.iterate_upper_bound = &upper_;
    }
    read.total_order_seek = !StaysInOnePrefix(family, options);
    iterator_.reset(database.db().NewIterator(read, database.family(family)));
    ++readers_;
  }
  ~RocksIterator() override {
    iterator_.reset();
    --readers_;
  }

  void Seek(std::string_view key) override { iterator_->Seek(ToSlice(key)); }
  void SeekForPrev(std::string_view key) override { iterator_->SeekForPrev(ToSlice(key)); }
  void SeekToFirst() override { iterator_->SeekToFirst(); }
  void SeekToLast() override { iterator_->SeekToLast(); }
  void Next() override {
    GAVEL_CHECK(iterator_->Valid());
    iterator_->Next();
  }
  void Prev() override {
    GAVEL_CHECK(iterator_->Valid());
    iterator_->Prev();
  }
  bool Valid() const override { return iterator_->Valid(); }
  std::string_view key() const override { return ToView(iterator_->key()); }
  std::string_view value() const override { return ToView(iterator_->value()); }
  absl::Status status() const override {
    const absl::Status status = FromRocks(iterator_->status(), "scan");
    if (IsTerminal(status)) health_.Fail(status);
    return status;
  }

 private:
  // Filters may skip whole files only if the bounds keep every entry, and every place to seek, to
  // one user key: RocksDB moves a seek from outside the bounds onto them.
  static bool StaysInOnePrefix(Family family, const ReadOptions& options) {
    if (family != Family::kVersions || !options.lower || !options.upper) return false;
    const std::string_view lower = UserKeyPrefix(*options.lower);
    return !lower.empty() && lower == UserKeyPrefix(*options.upper);
  }

  HealthLatch& health_;
  std::atomic<int>& readers_;
  rocksdb::Slice lower_;
  rocksdb::Slice upper_;
  std::unique_ptr<rocksdb::Iterator> iterator_;
};

}  // namespace

std::unique_ptr<Iterator> NewRocksIterator(const RocksDatabase& database, Family family,
                                           const ReadOptions& options,
                                           const rocksdb::Snapshot* snapshot, HealthLatch& health,
                                           std::atomic<int>& readers) {
  return std::make_unique<RocksIterator>(database, family, options, snapshot, health, readers);
}

}  // namespace gavel::storage
