#include "storage/mvcc/range_result.h"

#include <algorithm>
#include <string>
#include <utility>

namespace gavel::storage {
namespace {

using etcdserverpb::RangeRequest;
using mvccpb::KeyValue;

// Three-way comparison by a sort target.
int CompareBy(RangeRequest::SortTarget target, const KeyValue& a, const KeyValue& b) {
  const auto numbers = [](int64_t x, int64_t y) { return x < y ? -1 : x > y ? 1 : 0; };
  switch (target) {
    case RangeRequest::VERSION:
      return numbers(a.version(), b.version());
    case RangeRequest::CREATE:
      return numbers(a.create_revision(), b.create_revision());
    case RangeRequest::MOD:
      return numbers(a.mod_revision(), b.mod_revision());
    case RangeRequest::VALUE:
      return a.value().compare(b.value());
    default:
      return a.key().compare(b.key());
  }
}

// What a row costs beside its key and its value.
constexpr int64_t kRowBytes = sizeof(KeyValue);

int64_t HeldBytes(const KeyValue& kv) {
  return kRowBytes + static_cast<int64_t>(kv.key().size() + kv.value().size());
}

// Limits above this are not worth cutting to while rows come in.
constexpr int64_t kKeepBestLimitMax = 1 << 20;
constexpr int64_t kKeepBestSlack = 64;

}  // namespace

RequestError CheckSort(const RangeRequest& request) {
  const bool valid = etcdserverpb::RangeRequest_SortOrder_IsValid(request.sort_order()) &&
                     etcdserverpb::RangeRequest_SortTarget_IsValid(request.sort_target());
  return valid ? RequestError::kNone : RequestError::kInvalidSort;
}

RangeResult::RangeResult(const RangeRequest& request)
    : limit_(std::max<int64_t>(request.limit(), 0)),
      descending_(request.sort_order() == RangeRequest::DESCEND),
      keys_only_(request.keys_only()),
      target_(request.sort_target()),
      min_mod_(request.min_mod_revision()),
      max_mod_(request.max_mod_revision()),
      min_create_(request.min_create_revision()),
      max_create_(request.max_create_revision()) {
  copy_values_ = !keys_only_ || target_ == RangeRequest::VALUE;
  if (request.count_only()) {
    mode_ = Mode::kCountOnly;
    return;
  }
  rows_max_ = limit_;
  const bool by_key = target_ == RangeRequest::KEY && !descending_;
  if (by_key) return;
  mode_ = Mode::kSorted;
  const bool filters = min_mod_ != 0 || max_mod_ != 0 || min_create_ != 0 || max_create_ != 0;
  if (request.sort_order() == RangeRequest::NONE && limit_ > 0 && !filters) {
    // etcd without an explicit order limits first, in key order and one row too far, then sorts
    // and cuts: the row that is cut need not be the last in key order.
    rows_max_ = limit_ == INT64_MAX ? 0 : limit_ + 1;
    return;
  }
  rows_max_ = 0;
  keep_best_ = limit_ > 0 && limit_ <= kKeepBestLimitMax;
}

bool RangeResult::Filtered(const Version& version) const {
  return (min_mod_ != 0 && version.id.main < min_mod_) ||
         (max_mod_ != 0 && version.id.main > max_mod_) ||
         (min_create_ != 0 && version.create < min_create_) ||
         (max_create_ != 0 && version.create > max_create_);
}

void RangeResult::Add(std::string_view key, const Version& version) {
  ++count_;
  if (mode_ == Mode::kCountOnly || Filtered(version)) return;
  ++passed_;
  if (rows_max_ > 0 && passed_ > rows_max_) return;
  if (keep_best_) {
    if (cut_ && !GoesBefore(key, version, *response_.kvs().rbegin())) return;
    if (response_.kvs_size() >= 2 * limit_ + kKeepBestSlack) SortAndCut();
    if (cut_ && !GoesBefore(key, version, *response_.kvs().rbegin())) return;
    cut_ = false;
  }
  Copy(key, version);
}

bool RangeResult::GoesBefore(std::string_view key, const Version& version,
                             const KeyValue& other) const {
  int order = 0;
  switch (target_) {
    case RangeRequest::VERSION:
      order = version.version < other.version() ? -1 : version.version > other.version();
      break;
    case RangeRequest::CREATE:
      order =
          version.create < other.create_revision() ? -1 : version.create > other.create_revision();
      break;
    case RangeRequest::MOD:
      order = version.id.main < other.mod_revision() ? -1 : version.id.main > other.mod_revision();
      break;
    case RangeRequest::VALUE:
      order = version.value.compare(other.value());
      break;
    default:
      order = key.compare(other.key());
      break;
  }
  // Among equals the one first in key order wins, and that is never the new row.
  return descending_ ? order > 0 : order < 0;
}

void RangeResult::Copy(std::string_view key, const Version& version) {
  KeyValue* kv = response_.add_kvs();
  kv->mutable_key()->assign(key);
  kv->set_create_revision(version.create);
  kv->set_mod_revision(version.id.main);
  kv->set_version(version.version);
  if (version.lease != 0) kv->set_lease(version.lease);
  copied_bytes_ += static_cast<int64_t>(key.size());
  if (copy_values_ && !version.value.empty()) {
    kv->mutable_value()->assign(version.value);
    copied_bytes_ += static_cast<int64_t>(version.value.size());
  }
  held_bytes_ += HeldBytes(*kv);
}

void RangeResult::SortAndCut() {
  auto& rows = *response_.mutable_kvs();
  std::stable_sort(rows.pointer_begin(), rows.pointer_end(),
                   [this](const KeyValue* a, const KeyValue* b) {
                     const int order = CompareBy(target_, *a, *b);
                     return descending_ ? order > 0 : order < 0;
                   });
  if (limit_ > 0 && rows.size() > limit_) {
    for (int i = static_cast<int>(limit_); i < rows.size(); ++i) held_bytes_ -= HeldBytes(rows[i]);
    rows.DeleteSubrange(static_cast<int>(limit_), rows.size() - static_cast<int>(limit_));
  }
  cut_ = limit_ > 0 && rows.size() == limit_;
}

etcdserverpb::RangeResponse RangeResult::TakeRows() {
  held_bytes_ = 0;
  return std::exchange(response_, etcdserverpb::RangeResponse());
}

etcdserverpb::RangeResponse RangeResult::Finish(Revision header_revision) {
  if (mode_ == Mode::kSorted) SortAndCut();
  if (keys_only_ && copy_values_) {
    for (KeyValue& kv : *response_.mutable_kvs()) kv.clear_value();
  }
  response_.mutable_header()->set_revision(header_revision);
  response_.set_more(mode_ != Mode::kCountOnly && limit_ > 0 && passed_ > limit_);
  response_.set_count(count_);
  return TakeRows();
}

}  // namespace gavel::storage
