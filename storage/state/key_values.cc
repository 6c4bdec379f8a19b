#include "storage/state/key_values.h"

#include <string>
#include <utility>
#include <vector>

#include "raft/check.h"
#include "raft/sim_point.h"

namespace gavel::storage {
namespace {

using etcdserverpb::RequestOp;

void Fill(std::string_view key, const NewestVersion& newest, std::string value,
          mvccpb::KeyValue* kv) {
  kv->mutable_key()->assign(key);
  kv->set_create_revision(newest.create);
  kv->set_mod_revision(newest.id.main);
  kv->set_version(newest.version);
  kv->set_lease(newest.lease);
  kv->set_value(std::move(value));
}

// Makes room for a key in the answer.
bool TakeRoom(std::string_view key, std::string_view value, AnswerRoom& room) {
  const auto bytes = static_cast<int64_t>(sizeof(mvccpb::KeyValue) + key.size() + value.size());
  if (!room.Fits(bytes)) return false;
  room.Keep(bytes);
  return true;
}

// Operations that the branches taken carry out.
size_t CountOperations(const etcdserverpb::TxnRequest& txn, TxnPath::const_iterator& path) {
  size_t count = 0;
  for (const RequestOp& op : *path++ ? txn.success() : txn.failure()) {
    count += op.has_request_txn() ? CountOperations(op.request_txn(), path) : 1;
  }
  return count;
}

}  // namespace

absl::StatusOr<RequestError> KeyValues::Put(const etcdserverpb::PutRequest& request,
                                            etcdserverpb::PutResponse* response, AnswerRoom& room) {
  for (auto check : {leases_.Check(request.lease()), CheckIgnored(request)}) {
    if (!check.ok() || *check != RequestError::kNone) return check;
  }
  writer_.Begin();
  if (absl::Status status = RunPut(request, response, room); !status.ok()) return status;
  writer_.End();
  return RequestError::kNone;
}

absl::StatusOr<RequestError> KeyValues::DeleteRange(const etcdserverpb::DeleteRangeRequest& request,
                                                    etcdserverpb::DeleteRangeResponse* response,
                                                    AnswerRoom& room) {
  writer_.Begin();
  if (absl::Status status = RunDeleteRange(request, response, room); !status.ok()) return status;
  writer_.End();
  return RequestError::kNone;
}

absl::StatusOr<RequestError> KeyValues::Txn(const etcdserverpb::TxnRequest& request,
                                            etcdserverpb::TxnResponse* response, AnswerRoom& room) {
  const absl::StatusOr<TxnPath> path =
      DecideTxn(overlay_, request, totals_.revision - (GAVEL_PLANTED_BUG(27) ? 1 : 0));
  if (!path.ok()) return path.status();
  PathCursor cursor = path->begin();
  const absl::StatusOr<RequestError> check = CheckTxn(request, cursor);
  if (!check.ok() || *check != RequestError::kNone) return check;
  GAVEL_CHECK(cursor == path->end());

  cursor = path->begin();
  const size_t operations = CountOperations(request, cursor);
  if (operations != 1) ++counts_.txns;
  cursor = path->begin();
  writer_.Begin();
  if (absl::Status status = RunTxn(request, cursor, response, room); !status.ok()) return status;
  writer_.End();
  // The headers of nested transactions stay empty, as in etcd.
  if (response != nullptr) response->mutable_header()->set_revision(totals_.revision);
  return RequestError::kNone;
}

absl::StatusOr<RequestError> KeyValues::Compact(const etcdserverpb::CompactionRequest& request,
                                                etcdserverpb::CompactionResponse* response) {
  const absl::StatusOr<RequestError> error = writer_.Compact(request.revision());
  if (response != nullptr) response->mutable_header()->set_revision(totals_.revision);
  return error;
}

absl::StatusOr<RequestError> KeyValues::CheckIgnored(const etcdserverpb::PutRequest& request) {
  if (!request.ignore_value() && !request.ignore_lease()) return RequestError::kNone;
  const absl::StatusOr<NewestVersion> newest = overlay_.Newest(request.key());
  if (!newest.ok()) return newest.status();
  return newest->live ? RequestError::kNone : RequestError::kKeyNotFound;
}

absl::StatusOr<RequestError> KeyValues::CheckTxn(const etcdserverpb::TxnRequest& txn,
                                                 PathCursor& path) {
  for (const RequestOp& op : *path++ ? txn.success() : txn.failure()) {
    absl::StatusOr<RequestError> error = RequestError::kNone;
    switch (op.request_case()) {
      case RequestOp::kRequestRange:
        error = CheckTxnRange(op.request_range(), totals_.revision, totals_.compacted);
        break;
      case RequestOp::kRequestPut:
        error = CheckIgnored(op.request_put());
        if (error.ok() && *error == RequestError::kNone) {
          error = leases_.Check(op.request_put().lease());
        }
        break;
      case RequestOp::kRequestTxn:
        error = CheckTxn(op.request_txn(), path);
        break;
      default:
        break;
    }
    if (!error.ok() || *error != RequestError::kNone) return error;
  }
  return RequestError::kNone;
}

absl::Status KeyValues::RunPut(const etcdserverpb::PutRequest& request,
                               etcdserverpb::PutResponse* response, AnswerRoom& room) {
  ++counts_.puts;
  const absl::StatusOr<NewestVersion> newest = overlay_.Newest(request.key());
  if (!newest.ok()) return newest.status();
  const bool return_previous = response != nullptr && request.prev_kv() && newest->live;
  const bool keep_value = request.ignore_value() && newest->live;
  std::string previous;
  if (return_previous || keep_value) {
    absl::StatusOr<std::string> value = overlay_.Value(request.key(), newest->id);
    if (!value.ok()) return value.status();
    previous = *std::move(value);
  }
  const int64_t lease = request.ignore_lease() ? newest->lease : request.lease();
  writer_.Put(request.key(), keep_value ? previous : request.value(), lease, *newest);
  if (response == nullptr) return absl::OkStatus();
  if (return_previous && TakeRoom(request.key(), previous, room)) {
    Fill(request.key(), *newest, std::move(previous), response->mutable_prev_kv());
  }
  response->mutable_header()->set_revision(writer_.visible());
  return absl::OkStatus();
}

absl::Status KeyValues::RunDeleteRange(const etcdserverpb::DeleteRangeRequest& request,
                                       etcdserverpb::DeleteRangeResponse* response,
                                       AnswerRoom& room) {
  ++counts_.deletes;
  const bool return_previous = response != nullptr && request.prev_kv();
  const KeyRange range = KeyRange::FromRequest(request.key(), request.range_end());
  std::vector<std::pair<std::string, NewestVersion>> found;
  if (range.single && !return_previous) {
    const absl::StatusOr<NewestVersion> newest = overlay_.Newest(range.begin);
    if (!newest.ok()) return newest.status();
    if (newest->live) found.emplace_back(range.begin, *newest);
  } else {
    const absl::Status status =
        overlay_.Scan(range, writer_.visible(), [&](std::string_view key, const Version& version) {
          found.emplace_back(key, NewestVersion::Of(version));
          if (return_previous && TakeRoom(key, version.value, room)) {
            Fill(key, found.back().second, std::string(version.value), response->add_prev_kvs());
          }
          return true;
        });
    if (!status.ok()) return status;
  }
  for (const auto& [key, newest] : found) writer_.Delete(key, newest);
  if (GAVEL_PLANTED_BUG(25) && found.size() > 1) writer_.Put(found[0].first, "", 0, {});
  if (response == nullptr) return absl::OkStatus();
  response->set_deleted(static_cast<int64_t>(found.size()));
  response->mutable_header()->set_revision(writer_.visible());
  return absl::OkStatus();
}

absl::Status KeyValues::RunTxn(const etcdserverpb::TxnRequest& txn, PathCursor& path,
                               etcdserverpb::TxnResponse* response, AnswerRoom& room) {
  const bool succeeded = *path++;
  if (response != nullptr) {
    response->mutable_header();
    response->set_succeeded(succeeded);
  }
  for (const RequestOp& op : succeeded ? txn.success() : txn.failure()) {
    const absl::Status status =
        RunOp(op, path, response != nullptr ? response->add_responses() : nullptr, room);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status KeyValues::RunOp(const RequestOp& op, PathCursor& path,
                              etcdserverpb::ResponseOp* response, AnswerRoom& room) {
  switch (op.request_case()) {
    case RequestOp::kRequestRange: {
      if (response == nullptr || room.refused()) return absl::OkStatus();
      auto range = ReadRange(overlay_, op.request_range(), writer_.visible(), room);
      if (!range.ok()) return range.status();
      *response->mutable_response_range() = *std::move(range);
      return absl::OkStatus();
    }
    case RequestOp::kRequestPut:
      return RunPut(op.request_put(),
                    response != nullptr ? response->mutable_response_put() : nullptr, room);
    case RequestOp::kRequestDeleteRange:
      return RunDeleteRange(
          op.request_delete_range(),
          response != nullptr ? response->mutable_response_delete_range() : nullptr, room);
    case RequestOp::kRequestTxn:
      return RunTxn(op.request_txn(), path,
                    response != nullptr ? response->mutable_response_txn() : nullptr, room);
    default:
      return absl::OkStatus();
  }
}

}  // namespace gavel::storage
