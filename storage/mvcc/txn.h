// The reading half of transactions: compares, the choice of branches, ranges in between.
//
// Used by apply on the batch's overlay and by read-only transactions on a view.
#pragma once

#include <memory>
#include <vector>

#include "absl/status/statusor.h"

#include "proto/etcdserverpb/kv.pb.h"
#include "storage/mvcc/answer_room.h"
#include "storage/mvcc/overlay.h"
#include "storage/mvcc/read_view.h"
#include "storage/mvcc/revision.h"
#include "storage/request_error.h"

namespace gavel::storage {

// Whether each transaction that will run takes its success branch: the outermost first, then
// those nested in the branches taken, in order.
using TxnPath = std::vector<bool>;

// Evaluates all compares, nested ones included, on the state at `revision`.
absl::StatusOr<TxnPath> DecideTxn(Overlay& overlay, const etcdserverpb::TxnRequest& txn,
                                  Revision revision);

// Whether a range of a transaction may run on a store at `revision`. Unlike a plain Range, any
// revision but 0 is looked at, also a negative one, as etcd does.
RequestError CheckTxnRange(const etcdserverpb::RangeRequest& request, Revision revision,
                           Revision compacted);

// Carries out a range on the state at `visible`, or at the request's revision if it has one. Stops
// when `room` refuses the rows; what they hold is kept in it.
absl::StatusOr<etcdserverpb::RangeResponse> ReadRange(const Overlay& overlay,
                                                      const etcdserverpb::RangeRequest& request,
                                                      Revision visible, AnswerRoom& room);

// How a read-only transaction ended.
struct ReadTxnResult {
  RequestError error = RequestError::kNone;
  bool overtaken = false;              // A compaction overtook it: start over on a newer view.
  bool too_large = false;              // There was no room for the answer.
  etcdserverpb::TxnResponse response;  // The header holds the revision alone.
};

// Whether a transaction can be carried out on a view: it has ranges only, and nothing nested.
bool IsReadOnly(const etcdserverpb::TxnRequest& txn);

// Carries out a read-only transaction on a view, in one step. Requires: IsReadOnly(txn).
absl::StatusOr<ReadTxnResult> ReadTxn(const ReadView& view, const etcdserverpb::TxnRequest& txn,
                                      AnswerRoom room = {});

}  // namespace gavel::storage
