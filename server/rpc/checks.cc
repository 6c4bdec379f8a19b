#include "server/rpc/checks.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>

namespace gavel::server {
namespace {

using etcdserverpb::RangeRequest;
using etcdserverpb::RequestOp;
using etcdserverpb::TxnRequest;
using Ops = google::protobuf::RepeatedPtrField<RequestOp>;

std::optional<Error> CheckOp(const RequestOp& op, int64_t ops_left) {
  switch (op.request_case()) {
    case RequestOp::kRequestRange:
      return CheckRange(op.request_range());
    case RequestOp::kRequestPut:
      return CheckPut(op.request_put());
    case RequestOp::kRequestDeleteRange:
      return CheckDeleteRange(op.request_delete_range());
    case RequestOp::kRequestTxn:
      return CheckTxnShape(op.request_txn(), ops_left);
    case RequestOp::REQUEST_NOT_SET:
      break;
  }
  return Error::kKeyNotFound;
}

// A set of keys given as single keys and as intervals [begin, end). Refers to the request.
class Intervals {
 public:
  void AddDelete(std::string_view key, std::string_view range_end) {
    if (range_end.empty()) {
      keys_.insert(key);
    } else if (key < range_end) {
      // "\0" as an end, all keys from here on, is below every key: etcd compares it as it
      // stands and so finds no duplicate there.
      AddInterval(key, range_end);
    }
  }

  void Add(const Intervals& other) {
    keys_.insert(other.keys_.begin(), other.keys_.end());
    for (const auto& [begin, end] : other.intervals_) AddInterval(begin, end);
  }

  bool Contains(std::string_view key) const {
    if (keys_.contains(key)) return true;
    const auto after = intervals_.upper_bound(key);
    return after != intervals_.begin() && key < std::prev(after)->second;
  }

 private:
  void AddInterval(std::string_view begin, std::string_view end) {
    auto next = intervals_.upper_bound(begin);
    if (next != intervals_.begin() && std::prev(next)->second >= begin) {
      next = std::prev(next);
      begin = next->first;
    }
    while (next != intervals_.end() && next->first <= end) {
      end = std::max(end, next->second);
      next = intervals_.erase(next);
    }
    intervals_[begin] = end;
  }

  std::set<std::string_view> keys_;
  std::map<std::string_view, std::string_view> intervals_;  // Disjoint.
};

// What a list of operations puts and deletes.
struct Changes {
  std::set<std::string_view> puts;
  Intervals deletes;
};

std::optional<Error> AddChanges(const Ops& ops, Changes& changes);

// Adds what a nested transaction may put and delete, in either branch.
std::optional<Error> AddNested(const TxnRequest& txn, Changes& changes) {
  Changes success;
  Changes failure;
  if (const auto error = AddChanges(txn.success(), success)) return error;
  if (const auto error = AddChanges(txn.failure(), failure)) return error;
  for (const std::string_view key : success.puts) {
    if (changes.puts.contains(key) || changes.deletes.Contains(key)) return Error::kDuplicateKey;
  }
  for (const std::string_view key : failure.puts) {
    if (changes.puts.contains(key) || changes.deletes.Contains(key)) return Error::kDuplicateKey;
  }
  changes.puts.merge(success.puts);
  changes.puts.merge(failure.puts);
  changes.deletes.Add(success.deletes);
  changes.deletes.Add(failure.deletes);
  return std::nullopt;
}

std::optional<Error> AddChanges(const Ops& ops, Changes& changes) {
  // Deletes of this level come first, so that they meet the puts nested below it.
  for (const RequestOp& op : ops) {
    if (op.has_request_delete_range()) {
      changes.deletes.AddDelete(op.request_delete_range().key(),
                                op.request_delete_range().range_end());
    }
  }
  for (const RequestOp& op : ops) {
    if (!op.has_request_txn()) continue;
    if (const auto error = AddNested(op.request_txn(), changes)) return error;
  }
  for (const RequestOp& op : ops) {
    if (!op.has_request_put()) continue;
    const std::string_view key = op.request_put().key();
    if (changes.deletes.Contains(key) || !changes.puts.insert(key).second) {
      return Error::kDuplicateKey;
    }
  }
  return std::nullopt;
}

// The bytes of the UTF-8 sequence at the start of `text`, or 0 if there is none.
size_t Utf8SequenceBytes(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  const size_t bytes = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < bytes) return 0;
  for (size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  // Overlong forms, surrogates, and what lies above U+10FFFF.
  const unsigned char second = byte(1);
  if (first == 0xE0 && second < 0xA0) return 0;
  if (first == 0xED && second > 0x9F) return 0;
  if (first == 0xF0 && second < 0x90) return 0;
  if (first == 0xF4 && second > 0x8F) return 0;
  return bytes;
}

}  // namespace

std::optional<Error> CheckKey(std::string_view key) {
  if (key.empty()) return Error::kEmptyKey;
  return std::nullopt;
}

std::optional<Error> CheckSortOption(const RangeRequest& request) {
  if (!RangeRequest::SortOrder_IsValid(request.sort_order()) ||
      !RangeRequest::SortTarget_IsValid(request.sort_target())) {
    return Error::kInvalidSortOption;
  }
  return std::nullopt;
}

std::optional<Error> CheckRange(const RangeRequest& request) {
  if (const auto error = CheckKey(request.key())) return error;
  return CheckSortOption(request);
}

std::optional<Error> CheckRangeStream(const RangeRequest& request) {
  if (request.sort_order() == RangeRequest::DESCEND || request.sort_target() != RangeRequest::KEY) {
    return Error::kStreamSortUnsupported;
  }
  if (request.min_mod_revision() != 0 || request.max_mod_revision() != 0 ||
      request.min_create_revision() != 0 || request.max_create_revision() != 0) {
    return Error::kStreamFilterUnsupported;
  }
  return std::nullopt;
}

std::optional<Error> CheckPut(const etcdserverpb::PutRequest& request) {
  if (const auto error = CheckKey(request.key())) return error;
  if (request.ignore_value() && !request.value().empty()) return Error::kValueProvided;
  if (request.ignore_lease() && request.lease() != 0) return Error::kLeaseProvided;
  return std::nullopt;
}

std::optional<Error> CheckDeleteRange(const etcdserverpb::DeleteRangeRequest& request) {
  return CheckKey(request.key());
}

std::optional<Error> CheckTxnShape(const TxnRequest& request, int64_t ops_max) {
  const int64_t ops =
      std::max({request.compare_size(), request.success_size(), request.failure_size()});
  if (ops > ops_max) return Error::kTooManyOps;
  for (const etcdserverpb::Compare& compare : request.compare()) {
    if (const auto error = CheckKey(compare.key())) return error;
  }
  for (const RequestOp& op : request.success()) {
    if (const auto error = CheckOp(op, ops_max - ops)) return error;
  }
  for (const RequestOp& op : request.failure()) {
    if (const auto error = CheckOp(op, ops_max - ops)) return error;
  }
  return std::nullopt;
}

std::optional<Error> CheckDuplicateKeys(const TxnRequest& request) {
  for (const Ops* ops : {&request.success(), &request.failure()}) {
    Changes changes;
    if (const auto error = AddChanges(*ops, changes)) return error;
  }
  return std::nullopt;
}

std::optional<Error> CheckTxn(const TxnRequest& request, int64_t ops_max) {
  if (const auto error = CheckTxnShape(request, ops_max)) return error;
  return CheckDuplicateKeys(request);
}

std::optional<Error> CheckRequestBytes(uint64_t bytes, uint64_t bytes_max) {
  if (bytes > bytes_max) return Error::kRequestTooLarge;
  return std::nullopt;
}

std::optional<Error> CheckClientApiVersion(std::string_view version) {
  while (!version.empty()) {
    const size_t bytes = Utf8SequenceBytes(version);
    if (bytes == 0) return Error::kInvalidClientApiVersion;
    version.remove_prefix(bytes);
  }
  return std::nullopt;
}

}  // namespace gavel::server
