#include "tests/conformance/tied_rows.h"

#include <algorithm>
#include <set>
#include <string>

#include "proto/etcdserverpb/kv.pb.h"

namespace gavel::conformance {
namespace {

using etcdserverpb::RangeRequest;
using etcdserverpb::RangeResponse;
using etcdserverpb::RequestOp;
using etcdserverpb::TxnRequest;
using etcdserverpb::TxnResponse;
using mvccpb::KeyValue;

// Go's sort is insertion sort, and so stable, up to here.
constexpr int kStableRowsMax = 12;

// What the range is sorted by, as something that can be compared for equality.
std::string SortValue(const RangeRequest& request, const KeyValue& row) {
  switch (request.sort_target()) {
    case RangeRequest::VERSION:
      return std::to_string(row.version());
    case RangeRequest::CREATE:
      return std::to_string(row.create_revision());
    case RangeRequest::MOD:
      return std::to_string(row.mod_revision());
    case RangeRequest::VALUE:
      return row.value();
    default:
      return row.key();
  }
}

// Whether rows [begin, end) of both are the same rows, Gavel's in key order.
bool SameRows(const RangeResponse& etcd, const RangeResponse& gavel, int begin, int end) {
  std::multiset<std::string> of_etcd;
  std::multiset<std::string> of_gavel;
  for (int i = begin; i < end; ++i) {
    of_etcd.insert(etcd.kvs(i).SerializeAsString());
    of_gavel.insert(gavel.kvs(i).SerializeAsString());
  }
  return of_etcd == of_gavel;
}

bool InKeyOrder(const RangeResponse& gavel, int begin, int end) {
  for (int i = begin + 1; i < end; ++i) {
    if (gavel.kvs(i - 1).key() >= gavel.kvs(i).key()) return false;
  }
  return true;
}

// How many rows etcd sorts: all of the range, or what a limit lets through if it is only looked
// at before the sort.
int64_t SortedRows(const RangeRequest& request, const RangeResponse& etcd) {
  const bool filters = request.min_mod_revision() != 0 || request.max_mod_revision() != 0 ||
                       request.min_create_revision() != 0 || request.max_create_revision() != 0;
  if (request.sort_order() != RangeRequest::NONE || filters || request.limit() <= 0) {
    return etcd.count();
  }
  return std::min(etcd.count() - 1, request.limit()) + 1;
}

bool SettleRange(const RangeRequest& request, const RangeResponse& etcd, RangeResponse* gavel) {
  if (request.sort_target() == RangeRequest::KEY) return false;
  // Which of several equal rows a limit lets through could not be judged; nobody asks that here.
  if (SortedRows(request, etcd) <= kStableRowsMax || etcd.more()) return false;
  const int rows = etcd.kvs_size();
  if (gavel->kvs_size() != rows) return false;
  // Sorted by what is not sent: one group of rows, of which only the set can be judged.
  const bool hidden = request.keys_only() && request.sort_target() == RangeRequest::VALUE;
  for (int begin = 0; begin < rows;) {
    const std::string value = SortValue(request, etcd.kvs(begin));
    int end = begin;
    while (end < rows && SortValue(request, etcd.kvs(end)) == value) ++end;
    for (int i = begin; i < end; ++i) {
      if (SortValue(request, gavel->kvs(i)) != value) return false;
    }
    if (!hidden && !InKeyOrder(*gavel, begin, end)) return false;
    if (!SameRows(etcd, *gavel, begin, end)) return false;
    begin = end;
  }
  bool changed = false;
  for (int i = 0; i < rows; ++i) {
    if (etcd.kvs(i).SerializeAsString() == gavel->kvs(i).SerializeAsString()) continue;
    *gavel->mutable_kvs(i) = etcd.kvs(i);
    changed = true;
  }
  return changed;
}

bool SettleTxn(const TxnRequest& request, const TxnResponse& etcd, TxnResponse* gavel) {
  if (etcd.succeeded() != gavel->succeeded()) return false;
  const auto& ops = etcd.succeeded() ? request.success() : request.failure();
  if (etcd.responses_size() != ops.size() || gavel->responses_size() != ops.size()) return false;
  bool changed = false;
  for (int i = 0; i < ops.size(); ++i) {
    const RequestOp& op = ops.Get(i);
    const auto& left = etcd.responses(i);
    auto* right = gavel->mutable_responses(i);
    if (op.has_request_range() && left.has_response_range() && right->has_response_range()) {
      changed |=
          SettleRange(op.request_range(), left.response_range(), right->mutable_response_range());
    } else if (op.has_request_txn() && left.has_response_txn() && right->has_response_txn()) {
      changed |= SettleTxn(op.request_txn(), left.response_txn(), right->mutable_response_txn());
    }
  }
  return changed;
}

}  // namespace

bool SettleTiedRows(Exchange& exchange) {
  if (exchange.etcd.body == nullptr || exchange.gavel.body == nullptr) return false;
  if (const auto* range = dynamic_cast<const RangeRequest*>(exchange.request.get())) {
    return SettleRange(*range, dynamic_cast<const RangeResponse&>(*exchange.etcd.body),
                       &dynamic_cast<RangeResponse&>(*exchange.gavel.body));
  }
  if (const auto* txn = dynamic_cast<const TxnRequest*>(exchange.request.get())) {
    return SettleTxn(*txn, dynamic_cast<const TxnResponse&>(*exchange.etcd.body),
                     &dynamic_cast<TxnResponse&>(*exchange.gavel.body));
  }
  return false;
}

}  // namespace gavel::conformance
