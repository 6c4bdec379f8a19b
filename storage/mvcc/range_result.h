// Turns the live keys of a range, given in key order, into the answer that a request asks for.
#pragma once

#include <cstdint>
#include <string_view>

#include "proto/etcdserverpb/kv.pb.h"
#include "storage/mvcc/record.h"
#include "storage/mvcc/revision.h"
#include "storage/request_error.h"

namespace gavel::storage {

// kInvalidSort unless sort target and order are inside their enumerations.
RequestError CheckSort(const etcdserverpb::RangeRequest& request);

// Filters, sorts, limits and counts. With a limit it holds no more than about twice as many rows,
// however many there are.
//
// `count` is the number of keys in the range, whatever the filters and the limit.
class RangeResult {
 public:
  explicit RangeResult(const etcdserverpb::RangeRequest& request);

  // Requires: keys come in ascending order.
  void Add(std::string_view key, const Version& version);
  // Whether nothing but the count depends on the keys that are still to come.
  bool complete() const {
    return mode_ == Mode::kCountOnly || (rows_max_ > 0 && passed_ > rows_max_);
  }
  // In place of Add, for so many keys. Requires: complete().
  void AddCounted(int64_t keys) { count_ += keys; }

  // Hands out the rows that have become final, for an answer in chunks.
  // Requires: ordered_by_key().
  etcdserverpb::RangeResponse TakeRows();
  // Hands out what is left, with header, more and count.
  etcdserverpb::RangeResponse Finish(Revision header_revision);

  // Whether rows leave in the order in which they came.
  bool ordered_by_key() const { return mode_ != Mode::kSorted; }
  // Bytes of keys and values copied so far.
  int64_t copied_bytes() const { return copied_bytes_; }
  // Of the rows that are there, with what each costs by itself.
  int64_t held_bytes() const { return held_bytes_; }

 private:
  enum class Mode { kCountOnly, kKeyOrder, kSorted };
  using KeyValue = mvccpb::KeyValue;

  bool Filtered(const Version& version) const;
  // Whether a new row, later in key order, goes before an old one.
  bool GoesBefore(std::string_view key, const Version& version, const KeyValue& other) const;
  void Copy(std::string_view key, const Version& version);
  void SortAndCut();

  Mode mode_ = Mode::kKeyOrder;
  int64_t limit_ = 0;       // Rows of the answer; 0: all.
  int64_t rows_max_ = 0;    // kKeyOrder and kSorted: rows to copy in key order; 0: all.
  bool keep_best_ = false;  // kSorted: cut to `limit_` rows now and then.
  bool descending_ = false;
  bool copy_values_ = true;
  bool keys_only_ = false;
  etcdserverpb::RangeRequest::SortTarget target_ = etcdserverpb::RangeRequest::KEY;
  Revision min_mod_ = 0;
  Revision max_mod_ = 0;
  Revision min_create_ = 0;
  Revision max_create_ = 0;

  etcdserverpb::RangeResponse response_;
  int64_t count_ = 0;
  int64_t passed_ = 0;  // Rows that the filters let through.
  int64_t copied_bytes_ = 0;
  int64_t held_bytes_ = 0;
  bool cut_ = false;  // The rows are sorted and as many as the limit.
};

}  // namespace gavel::storage
