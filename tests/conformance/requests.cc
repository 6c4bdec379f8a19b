#include "tests/conformance/requests.h"

#include <iterator>
#include <string>

#include "tests/conformance/lease_names.h"

namespace gavel::conformance {
namespace {

using etcdserverpb::Compare;
using etcdserverpb::DeleteRangeRequest;
using etcdserverpb::PutRequest;
using etcdserverpb::RangeRequest;
using etcdserverpb::RequestOp;
using etcdserverpb::TxnRequest;

// Mostly the field that the target names, sometimes another or none.
void SetOperand(Vocabulary& words, Compare* compare) {
  if (words.Chance(6)) return;
  const int field =
      words.Chance(92) ? compare->target() : static_cast<int>(words.random().Below(5));
  switch (field) {
    case Compare::VERSION:
      return compare->set_version(static_cast<int64_t>(words.random().Below(5)));
    case Compare::CREATE:
      return compare->set_create_revision(words.RevisionBound());
    case Compare::MOD:
      return compare->set_mod_revision(words.RevisionBound());
    case Compare::VALUE:
      return compare->set_value(words.Value());
    default:
      return compare->set_lease(words.Chance(60) ? 0 : words.Lease());
  }
}

void FillOps(Vocabulary& words, int depth, google::protobuf::RepeatedPtrField<RequestOp>* ops) {
  const uint64_t count = words.random().Below(4);
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t kind = words.random().Below(100);
    RequestOp* op = ops->Add();
    if (kind < 20 && depth > 0) {
      *op->mutable_request_txn() = NewTxn(words, depth - 1);
    } else if (kind < 45) {
      *op->mutable_request_range() = NewRange(words);
    } else if (kind < 60) {
      *op->mutable_request_delete_range() = NewDelete(words);
      // Wide intervals would make most transactions refused as duplicates.
      if (words.Chance(60)) op->mutable_request_delete_range()->clear_range_end();
    } else {
      *op->mutable_request_put() = NewPut(words);
    }
  }
}

// Calls `visit` for each operation, nested ones too.
template <class Visit>
void VisitOps(TxnRequest* txn, const Visit& visit) {
  for (auto* ops : {txn->mutable_success(), txn->mutable_failure()}) {
    for (RequestOp& op : *ops) {
      visit(&op);
      if (op.has_request_txn()) VisitOps(op.mutable_request_txn(), visit);
    }
  }
}

// Which of several equal rows a limit lets through is chance in etcd once there are more than 12.
// None of these has as many.
void KeepFewRows(Vocabulary& words, RangeRequest* range) {
  constexpr const char* kPrefixes[] = {"a", "k0", "k1", "k2", "\xff"};
  range->set_key(kPrefixes[words.random().Below(std::size(kPrefixes))]);
  range->set_range_end(PrefixEnd(range->key()));
}

}  // namespace

RangeRequest NewRange(Vocabulary& words) {
  RangeRequest range;
  range.set_key(words.Chance(20) ? std::string(1, '\0') : words.Key());
  range.set_range_end(words.Chance(15) ? std::string(1, '\0') : words.RangeEnd(range.key()));
  range.set_limit(words.Limit());
  if (words.Chance(30)) range.set_revision(words.Revision());
  if (words.Chance(50)) {
    range.set_sort_order(static_cast<RangeRequest::SortOrder>(words.random().Below(3)));
    range.set_sort_target(static_cast<RangeRequest::SortTarget>(words.random().Below(5)));
  }
  range.set_serializable(words.local() && words.Chance(20));
  range.set_keys_only(words.Chance(15));
  range.set_count_only(words.Chance(8));
  if (words.Chance(10)) range.set_min_mod_revision(words.RevisionBound());
  if (words.Chance(10)) range.set_max_mod_revision(words.RevisionBound());
  if (words.Chance(10)) range.set_min_create_revision(words.RevisionBound());
  if (words.Chance(10)) range.set_max_create_revision(words.RevisionBound());
  if (range.limit() > 0 && range.sort_target() != RangeRequest::KEY) KeepFewRows(words, &range);
  return range;
}

PutRequest NewPut(Vocabulary& words) {
  PutRequest put;
  put.set_key(words.Key());
  put.set_prev_kv(words.Chance(30));
  if (words.Chance(8)) {
    put.set_ignore_value(true);
  } else {
    put.set_value(words.Value());
  }
  put.set_ignore_lease(words.Chance(8));
  if (!words.leases().empty() && !put.ignore_lease() && words.Chance(30)) {
    put.set_lease(words.Lease());
  }
  return put;
}

DeleteRangeRequest NewDelete(Vocabulary& words) {
  DeleteRangeRequest deletion;
  deletion.set_key(words.Key());
  deletion.set_range_end(words.Chance(60) ? "" : words.RangeEnd(deletion.key()));
  // What deletes everything is rare, or there would be little to read.
  if (deletion.range_end() == std::string(1, '\0') && words.Chance(90)) {
    deletion.set_range_end(PrefixEnd(deletion.key()));
  }
  deletion.set_prev_kv(words.Chance(40));
  return deletion;
}

Compare NewCompare(Vocabulary& words) {
  Compare compare;
  compare.set_target(static_cast<Compare::CompareTarget>(words.random().Below(5)));
  compare.set_result(static_cast<Compare::CompareResult>(words.random().Below(4)));
  compare.set_key(words.Key());
  if (words.Chance(25)) compare.set_range_end(words.RangeEnd(compare.key()));
  SetOperand(words, &compare);
  // Which of two leases whose ids servers picked has the lower one is chance.
  if (IsLeaseName(compare.lease()) &&
      (compare.result() == Compare::LESS || compare.result() == Compare::GREATER)) {
    compare.set_result(Compare::EQUAL);
  }
  return compare;
}

TxnRequest NewTxn(Vocabulary& words, int depth) {
  TxnRequest txn;
  const uint64_t compares = words.random().Below(3);
  for (uint64_t i = 0; i < compares; ++i) *txn.add_compare() = NewCompare(words);
  FillOps(words, depth, txn.mutable_success());
  FillOps(words, depth, txn.mutable_failure());
  if (!words.local()) {
    // Members of etcd 3.4 may disagree on a transaction that reads the past and writes, and
    // answer one without operations from their own copy.
    VisitOps(&txn, [](RequestOp* op) {
      if (op->has_request_range()) op->mutable_request_range()->clear_revision();
    });
    txn.add_failure()->mutable_request_range()->set_key(words.Key());
  }
  return txn;
}

TxnRequest NewSiblings(Vocabulary& words) {
  TxnRequest txn;
  const std::string key = words.Key();
  const uint64_t count = words.random().Between(2, 4);
  for (uint64_t i = 0; i < count; ++i) {
    TxnRequest* sibling = txn.add_success()->mutable_request_txn();
    if (words.Chance(20)) *sibling->add_compare() = NewCompare(words);
    RequestOp* op = sibling->add_success();
    const uint64_t kind = words.random().Below(4);
    if (kind == 0) {
      PutRequest* put = op->mutable_request_put();
      *put = NewPut(words);
      put->set_key(key);
    } else if (kind < 3) {
      op->mutable_request_delete_range()->set_key(key);
      op->mutable_request_delete_range()->set_prev_kv(words.Chance(50));
      if (kind == 2) op->mutable_request_delete_range()->set_range_end(words.RangeEnd(key));
    } else {
      op->mutable_request_range()->set_key(key);
    }
  }
  txn.add_success()->mutable_request_range()->set_key(key);
  return txn;
}

bool KeepEtcdAlive(TxnRequest* txn) {
  bool endless = false;
  VisitOps(txn, [&](RequestOp* op) {
    endless |= op->has_request_delete_range() &&
               op->request_delete_range().range_end() == std::string(1, '\0');
  });
  if (!endless) return false;
  bool changed = false;
  VisitOps(txn, [&](RequestOp* op) {
    if (!op->has_request_put()) return;
    PutRequest* put = op->mutable_request_put();
    if (!put->ignore_value() && !put->ignore_lease()) return;
    put->clear_ignore_value();
    put->clear_ignore_lease();
    changed = true;
  });
  return changed;
}

}  // namespace gavel::conformance
