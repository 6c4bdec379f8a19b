#include "storage/mvcc/txn.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "raft/check.h"
#include "storage/mvcc/range_result.h"

namespace gavel::storage {
namespace {

using etcdserverpb::Compare;
using etcdserverpb::RangeRequest;
using etcdserverpb::RequestOp;
using etcdserverpb::TxnRequest;

int Order(int64_t a, int64_t b) { return a < b ? -1 : a > b ? 1 : 0; }

// Compares one version (a missing key is all zeros) with what the compare names. A union field
// that is unset, or is another target's, counts as zero: the accessors see to that.
bool Holds(const Compare& compare, const Version& version) {
  int order = 0;
  switch (compare.target()) {
    case Compare::VALUE:
      order = version.value.compare(compare.value());
      break;
    case Compare::CREATE:
      order = Order(version.create, compare.create_revision());
      break;
    case Compare::MOD:
      order = Order(version.id.main, compare.mod_revision());
      break;
    case Compare::VERSION:
      order = Order(version.version, compare.version());
      break;
    case Compare::LEASE:
      order = Order(version.lease, compare.lease());
      break;
    default:
      break;  // An unknown target is equal, as in etcd.
  }
  switch (compare.result()) {
    case Compare::EQUAL:
      return order == 0;
    case Compare::NOT_EQUAL:
      return order != 0;
    case Compare::GREATER:
      return order > 0;
    case Compare::LESS:
      return order < 0;
    default:
      return true;  // An unknown result holds, as in etcd.
  }
}

absl::StatusOr<bool> HoldsForRange(const Overlay& overlay, const Compare& compare,
                                   Revision revision) {
  bool found = false;
  bool holds = true;
  const absl::Status status =
      overlay.Scan(KeyRange::FromRequest(compare.key(), compare.range_end()), revision,
                   [&](std::string_view, const Version& version) {
                     found = true;
                     holds = Holds(compare, version);
                     return holds;
                   });
  if (!status.ok()) return status;
  if (found) return holds;
  // No value equals, or differs from, that of a missing key.
  return compare.target() != Compare::VALUE && Holds(compare, Version());
}

absl::StatusOr<bool> Holds(Overlay& overlay, const Compare& compare, Revision revision) {
  if (compare.range_end().empty() && compare.target() != Compare::VALUE) {
    // What is newest is mostly known without a look at the engine, all but its value.
    const absl::StatusOr<NewestVersion> newest = overlay.Newest(compare.key());
    if (!newest.ok()) return newest.status();
    if (newest->id.main <= revision) {
      return Holds(compare, newest->live ? newest->WithoutValue() : Version());
    }
  }
  return HoldsForRange(overlay, compare, revision);
}

absl::Status Decide(Overlay& overlay, const TxnRequest& txn, Revision revision, TxnPath& path) {
  bool succeeded = true;
  for (const Compare& compare : txn.compare()) {
    const absl::StatusOr<bool> holds = Holds(overlay, compare, revision);
    if (!holds.ok()) return holds.status();
    succeeded = *holds;
    if (!succeeded) break;
  }
  path.push_back(succeeded);
  for (const RequestOp& op : succeeded ? txn.success() : txn.failure()) {
    if (!op.has_request_txn()) continue;
    if (absl::Status status = Decide(overlay, op.request_txn(), revision, path); !status.ok()) {
      return status;
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<TxnPath> DecideTxn(Overlay& overlay, const TxnRequest& txn, Revision revision) {
  TxnPath path;
  if (absl::Status status = Decide(overlay, txn, revision, path); !status.ok()) return status;
  return path;
}

RequestError CheckTxnRange(const RangeRequest& request, Revision revision, Revision compacted) {
  if (const RequestError error = CheckSort(request); error != RequestError::kNone) return error;
  if (request.revision() == 0) return RequestError::kNone;
  if (request.revision() > revision) return RequestError::kFutureRevision;
  if (request.revision() < compacted) return RequestError::kCompacted;
  return RequestError::kNone;
}

absl::StatusOr<etcdserverpb::RangeResponse> ReadRange(const Overlay& overlay,
                                                      const RangeRequest& request, Revision visible,
                                                      AnswerRoom& room) {
  RangeResult result(request);
  const Revision at = request.revision() > 0 ? request.revision() : visible;
  const absl::Status status =
      overlay.Scan(KeyRange::FromRequest(request.key(), request.range_end()), at,
                   [&](std::string_view key, const Version& version) {
                     result.Add(key, version);
                     return room.Fits(result.held_bytes());
                   });
  if (!status.ok()) return status;
  room.Keep(result.held_bytes());
  return result.Finish(visible);
}

bool IsReadOnly(const TxnRequest& txn) {
  for (const auto* branch : {&txn.success(), &txn.failure()}) {
    for (const RequestOp& op : *branch) {
      if (!op.has_request_range()) return false;
    }
  }
  return true;
}

absl::StatusOr<ReadTxnResult> ReadTxn(const ReadView& view, const TxnRequest& txn,
                                      AnswerRoom room) {
  GAVEL_CHECK(IsReadOnly(txn));
  Overlay overlay(*view.engine, nullptr);
  ReadTxnResult result;
  absl::StatusOr<TxnPath> path = DecideTxn(overlay, txn, view.revision);
  if (!path.ok()) return path.status();
  const bool succeeded = path->front();
  result.response.set_succeeded(succeeded);
  const auto& ops = succeeded ? txn.success() : txn.failure();
  Revision lowest = view.revision;  // That was read.
  for (const RequestOp& op : ops) {
    const RangeRequest& range = op.request_range();
    result.error = CheckTxnRange(range, view.revision, view.compacted);
    if (result.error != RequestError::kNone) return result;
    if (range.revision() > 0) lowest = std::min(lowest, range.revision());
  }
  for (const RequestOp& op : ops) {
    auto response = ReadRange(overlay, op.request_range(), view.revision, room);
    if (!response.ok()) return response.status();
    result.too_large = room.refused();
    if (result.too_large) return result;
    *result.response.add_responses()->mutable_response_range() = *std::move(response);
  }
  result.response.mutable_header()->set_revision(view.revision);
  const Revision compacted = view.published_compacted->load();
  result.overtaken = compacted > view.revision;
  if (!result.overtaken && compacted > lowest) result.error = RequestError::kCompacted;
  return result;
}

}  // namespace gavel::storage
