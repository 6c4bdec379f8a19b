#include "storage/engine/rocks_iterator.h"

#include <string>
#include <string_view>

#include "raft/check.h"
#include "rocksdb/db.h"
#include "rocksdb/iterator.h"
#include "rocksdb/options.h"
#include "storage/engine/rocks_keys.h"
#include "storage/engine/rocks_status.h"

namespace gavel::storage {
namespace {

rocksdb::Slice ToSlice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }

std::string_view ToView(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }

class RocksIterator final : public Iterator {
 public:
  RocksIterator(const RocksDatabase& database, Family family, const ReadOptions& options,
                const rocksdb::Snapshot* snapshot, HealthLatch& health, std::atomic<int>& readers)
      : health_(health),
        readers_(readers),
        lower_(TaggedKey(family, options.lower.value_or(""))),
        upper_(options.upper ? TaggedKey(family, *options.upper) : FamilyEnd(family)),
        target_(1, FamilyTag(family)) {
    rocksdb::ReadOptions read;
    read.snapshot = snapshot;
    read.verify_checksums = true;
    read.fill_cache = options.fill_cache;
    read.background_purge_on_iterator_cleanup = true;
    lower_bound_ = ToSlice(lower_);
    upper_bound_ = ToSlice(upper_);
    read.iterate_lower_bound = &lower_bound_;
    read.iterate_upper_bound = &upper_bound_;
    total_order_ = !StaysInOnePrefix(lower_, upper_);
    read.total_order_seek = total_order_;
    iterator_.reset(database.db().NewIterator(read));
    ++readers_;
  }
  ~RocksIterator() override {
    iterator_.reset();
    --readers_;
  }

  void Seek(std::string_view key) override { iterator_->Seek(Target(key)); }
  void SeekForPrev(std::string_view key) override { iterator_->SeekForPrev(Target(key)); }
  void SeekToFirst() override { iterator_->SeekToFirst(); }
  void SeekToLast() override {
    // RocksDB seeks to the bound itself, and would filter by the bound's own prefix.
    GAVEL_CHECK(total_order_ || FilterPrefix(upper_).empty() ||
                FilterPrefix(upper_) == FilterPrefix(lower_))
        << "the keys of one lease are read forwards";
    iterator_->SeekToLast();
  }
  void Next() override {
    GAVEL_CHECK(iterator_->Valid());
    iterator_->Next();
  }
  void Prev() override {
    GAVEL_CHECK(iterator_->Valid());
    iterator_->Prev();
  }
  bool Valid() const override { return iterator_->Valid(); }
  std::string_view key() const override { return ToView(iterator_->key()).substr(1); }
  std::string_view value() const override { return ToView(iterator_->value()); }
  absl::Status status() const override {
    const absl::Status status = FromRocks(iterator_->status(), "scan");
    if (IsTerminal(status)) health_.Fail(status);
    return status;
  }

 private:
  rocksdb::Slice Target(std::string_view key) {
    target_.resize(1);
    target_.append(key);
    return ToSlice(target_);
  }

  HealthLatch& health_;
  std::atomic<int>& readers_;
  const std::string lower_;
  const std::string upper_;
  bool total_order_ = true;
  std::string target_;  // Of a seek; begins with the family's tag.
  rocksdb::Slice lower_bound_;
  rocksdb::Slice upper_bound_;
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
