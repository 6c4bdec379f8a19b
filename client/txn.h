// Transactions: compares, and what is done if all hold or if one does not.
//
//   Txn txn;
//   txn.If(Compare::ModRevision("config").Equal(7))
//       .Then(PutRequest{.key = "config", .value = "new"})
//       .Else(RangeRequest{.range = "config"});
//
// A transaction has one revision. All compares, also those of nested transactions, look at the
// state before it; operations run in order and see what earlier ones did.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "client/types.h"

namespace gavel::client {

enum class CompareResult : int { kEqual = 0, kGreater = 1, kLess = 2, kNotEqual = 3 };
enum class CompareTarget : int { kVersion = 0, kCreate = 1, kMod = 2, kValue = 3, kLease = 4 };

// A condition on one key, or on every key of a range.
//
// A key that is not there has version, revisions and lease 0; a compare of its value is false,
// also NotEqual. A range without keys counts as one such key.
struct Compare {
  class NumberSubject;
  class ValueSubject;

  static NumberSubject Version(KeyRange range);
  static NumberSubject CreateRevision(KeyRange range);
  static NumberSubject ModRevision(KeyRange range);
  static NumberSubject Lease(KeyRange range);
  static ValueSubject Value(KeyRange range);
  // Of one key.
  static Compare Exists(std::string_view key);
  static Compare Missing(std::string_view key);

  CompareTarget target = CompareTarget::kVersion;
  CompareResult result = CompareResult::kEqual;
  KeyRange range = {};
  int64_t number = 0;      // For every target but kValue.
  std::string value = {};  // For kValue.
};

class Compare::NumberSubject {
 public:
  NumberSubject(CompareTarget of, KeyRange keys) : target_(of), range_(std::move(keys)) {}
  Compare Equal(int64_t to) const { return Make(CompareResult::kEqual, to); }
  Compare NotEqual(int64_t to) const { return Make(CompareResult::kNotEqual, to); }
  Compare Greater(int64_t to) const { return Make(CompareResult::kGreater, to); }
  Compare Less(int64_t to) const { return Make(CompareResult::kLess, to); }

 private:
  Compare Make(CompareResult how, int64_t to) const;

  CompareTarget target_;
  KeyRange range_;
};

class Compare::ValueSubject {
 public:
  explicit ValueSubject(KeyRange keys) : range_(std::move(keys)) {}
  Compare Equal(std::string_view to) const { return Make(CompareResult::kEqual, to); }
  Compare NotEqual(std::string_view to) const { return Make(CompareResult::kNotEqual, to); }
  Compare Greater(std::string_view to) const { return Make(CompareResult::kGreater, to); }
  Compare Less(std::string_view to) const { return Make(CompareResult::kLess, to); }

 private:
  Compare Make(CompareResult how, std::string_view to) const;

  KeyRange range_;
};

struct Op;

// What a transaction asks for. If, Then and Else add to it and may be called in any order and
// number.
struct Txn {
  Txn& If(Compare compare);
  Txn& Then(Op op);
  Txn& Else(Op op);

  // True if no branch, nested ones included, writes.
  bool read_only() const;

  std::vector<Compare> compares = {};  // All must hold; none: always true.
  std::vector<Op> success;
  std::vector<Op> failure;
};

// One operation of a branch.
struct Op {
  Op(RangeRequest range) : request(std::move(range)) {}  // NOLINT: given in place.
  Op(PutRequest put) : request(std::move(put)) {}        // NOLINT
  Op(DeleteRequest del) : request(std::move(del)) {}     // NOLINT
  Op(Txn txn) : request(std::move(txn)) {}               // NOLINT

  std::variant<RangeRequest, PutRequest, DeleteRequest, Txn> request;
};

struct OpResponse;

struct TxnResponse {
  ResponseHeader header = {};
  bool succeeded = false;             // Whether all compares held.
  std::vector<OpResponse> responses;  // Of the branch that ran, in its order.
};

// The response to one operation. Each accessor returns null if the operation was another one.
struct OpResponse {
  const RangeResponse* range() const { return std::get_if<RangeResponse>(&response); }
  const PutResponse* put() const { return std::get_if<PutResponse>(&response); }
  const DeleteResponse* del() const { return std::get_if<DeleteResponse>(&response); }
  const TxnResponse* txn() const { return std::get_if<TxnResponse>(&response); }

  std::variant<RangeResponse, PutResponse, DeleteResponse, TxnResponse> response;
};

}  // namespace gavel::client
