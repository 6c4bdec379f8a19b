// Carries out commands on keys: puts, deletions, transactions.
//
// Each command is checked whole before it changes anything, so that a refusal changes nothing.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "proto/etcdserverpb/kv.pb.h"
#include "storage/mvcc/answer_room.h"
#include "storage/mvcc/overlay.h"
#include "storage/mvcc/txn.h"
#include "storage/mvcc/writer.h"
#include "storage/request_error.h"
#include "storage/state/leases.h"

namespace gavel::storage {

// Operations carried out, each within a transaction counted by itself.
struct OperationCounts {
  uint64_t puts = 0;
  uint64_t deletes = 0;  // Requests, whatever they found.
  uint64_t txns = 0;     // Of more or less than one operation, as etcd counts them.
};

// Works on one batch. Wherever a response may be null, null means that nobody waits for it: the
// same changes happen, and reads that only serve the response do not. Once there is no room for a
// response those reads stop as well, and it is not to be used.
//
// Statuses are failures of the engine or damaged data: terminal.
class KeyValues {
 public:
  // Borrows everything.
  KeyValues(Overlay& overlay, Leases& leases, Writer& writer, const Totals& totals)
      : overlay_(overlay), leases_(leases), writer_(writer), totals_(totals) {}

  absl::StatusOr<RequestError> Put(const etcdserverpb::PutRequest& request,
                                   etcdserverpb::PutResponse* response, AnswerRoom& room);
  absl::StatusOr<RequestError> DeleteRange(const etcdserverpb::DeleteRangeRequest& request,
                                           etcdserverpb::DeleteRangeResponse* response,
                                           AnswerRoom& room);
  absl::StatusOr<RequestError> Txn(const etcdserverpb::TxnRequest& request,
                                   etcdserverpb::TxnResponse* response, AnswerRoom& room);
  absl::StatusOr<RequestError> Compact(const etcdserverpb::CompactionRequest& request,
                                       etcdserverpb::CompactionResponse* response);

  const OperationCounts& counts() const { return counts_; }

 private:
  // Goes through the transactions that will run in the order of their decisions.
  using PathCursor = TxnPath::const_iterator;

  absl::StatusOr<RequestError> CheckIgnored(const etcdserverpb::PutRequest& request);
  absl::StatusOr<RequestError> CheckTxn(const etcdserverpb::TxnRequest& txn, PathCursor& path);

  absl::Status RunPut(const etcdserverpb::PutRequest& request, etcdserverpb::PutResponse* response,
                      AnswerRoom& room);
  absl::Status RunDeleteRange(const etcdserverpb::DeleteRangeRequest& request,
                              etcdserverpb::DeleteRangeResponse* response, AnswerRoom& room);
  absl::Status RunTxn(const etcdserverpb::TxnRequest& txn, PathCursor& path,
                      etcdserverpb::TxnResponse* response, AnswerRoom& room);
  absl::Status RunOp(const etcdserverpb::RequestOp& op, PathCursor& path,
                     etcdserverpb::ResponseOp* response, AnswerRoom& room);

  Overlay& overlay_;
  Leases& leases_;
  Writer& writer_;
  const Totals& totals_;
  OperationCounts counts_;
};

}  // namespace gavel::storage
