#include "client/internal/convert.h"

#include <string>
#include <utility>

namespace gavel::client::internal {
namespace {

KeyValue TakeKeyValue(mvccpb::KeyValue* kv) {
  return {.key = std::move(*kv->mutable_key()),
          .value = std::move(*kv->mutable_value()),
          .create_revision = kv->create_revision(),
          .mod_revision = kv->mod_revision(),
          .version = kv->version(),
          .lease = kv->lease()};
}

void SetRange(const KeyRange& range, auto* message) {
  message->set_key(range.key);
  message->set_range_end(range.end);
}

etcdserverpb::Compare MakeCompare(const Compare& compare) {
  etcdserverpb::Compare message;
  message.set_target(static_cast<etcdserverpb::Compare::CompareTarget>(compare.target));
  message.set_result(static_cast<etcdserverpb::Compare::CompareResult>(compare.result));
  SetRange(compare.range, &message);
  switch (compare.target) {
    case CompareTarget::kVersion:
      message.set_version(compare.number);
      break;
    case CompareTarget::kCreate:
      message.set_create_revision(compare.number);
      break;
    case CompareTarget::kMod:
      message.set_mod_revision(compare.number);
      break;
    case CompareTarget::kLease:
      message.set_lease(compare.number);
      break;
    case CompareTarget::kValue:
      message.set_value(compare.value);
      break;
  }
  return message;
}

void SetOp(const Op& op, etcdserverpb::RequestOp* message) {
  if (const auto* range = std::get_if<RangeRequest>(&op.request)) {
    *message->mutable_request_range() = ToProto(*range);
  } else if (const auto* put = std::get_if<PutRequest>(&op.request)) {
    *message->mutable_request_put() = ToProto(*put);
  } else if (const auto* del = std::get_if<DeleteRequest>(&op.request)) {
    *message->mutable_request_delete_range() = ToProto(*del);
  } else if (const auto* txn = std::get_if<Txn>(&op.request)) {
    *message->mutable_request_txn() = ToProto(*txn);
  }
}

OpResponse TakeOp(etcdserverpb::ResponseOp* response) {
  switch (response->response_case()) {
    case etcdserverpb::ResponseOp::kResponsePut:
      return {FromProto(response->mutable_response_put())};
    case etcdserverpb::ResponseOp::kResponseDeleteRange:
      return {FromProto(response->mutable_response_delete_range())};
    case etcdserverpb::ResponseOp::kResponseTxn:
      return {FromProto(response->mutable_response_txn())};
    case etcdserverpb::ResponseOp::kResponseRange:
    case etcdserverpb::ResponseOp::RESPONSE_NOT_SET:
      break;
  }
  return {FromProto(response->mutable_response_range())};
}

Member ToMember(const etcdserverpb::Member& member) {
  return {.id = member.id(),
          .name = member.name(),
          .peer_urls = {member.peerurls().begin(), member.peerurls().end()},
          .client_urls = {member.clienturls().begin(), member.clienturls().end()},
          .learner = member.islearner()};
}

std::vector<Member> Members(
    const google::protobuf::RepeatedPtrField<etcdserverpb::Member>& members) {
  std::vector<Member> value;
  value.reserve(static_cast<size_t>(members.size()));
  for (const etcdserverpb::Member& member : members) value.push_back(ToMember(member));
  return value;
}

}  // namespace

etcdserverpb::RangeRequest ToProto(const RangeRequest& request) {
  etcdserverpb::RangeRequest message;
  SetRange(request.range, &message);
  message.set_limit(request.limit);
  message.set_revision(request.revision);
  message.set_sort_order(static_cast<etcdserverpb::RangeRequest::SortOrder>(request.sort_order));
  message.set_sort_target(static_cast<etcdserverpb::RangeRequest::SortTarget>(request.sort_target));
  message.set_serializable(request.serializable);
  message.set_keys_only(request.keys_only);
  message.set_count_only(request.count_only);
  message.set_min_mod_revision(request.min_mod_revision);
  message.set_max_mod_revision(request.max_mod_revision);
  message.set_min_create_revision(request.min_create_revision);
  message.set_max_create_revision(request.max_create_revision);
  return message;
}

etcdserverpb::PutRequest ToProto(const PutRequest& request) {
  etcdserverpb::PutRequest message;
  message.set_key(request.key);
  message.set_value(request.value);
  message.set_lease(request.lease);
  message.set_prev_kv(request.prev_kv);
  message.set_ignore_value(request.ignore_value);
  message.set_ignore_lease(request.ignore_lease);
  return message;
}

etcdserverpb::DeleteRangeRequest ToProto(const DeleteRequest& request) {
  etcdserverpb::DeleteRangeRequest message;
  SetRange(request.range, &message);
  message.set_prev_kv(request.prev_kv);
  return message;
}

etcdserverpb::TxnRequest ToProto(const Txn& txn) {
  etcdserverpb::TxnRequest message;
  for (const Compare& compare : txn.compares) *message.add_compare() = MakeCompare(compare);
  for (const Op& op : txn.success) SetOp(op, message.add_success());
  for (const Op& op : txn.failure) SetOp(op, message.add_failure());
  return message;
}

etcdserverpb::CompactionRequest ToProto(const CompactRequest& request) {
  etcdserverpb::CompactionRequest message;
  message.set_revision(request.revision);
  message.set_physical(request.physical);
  return message;
}

ResponseHeader FromProto(const etcdserverpb::ResponseHeader& header) {
  return {.cluster_id = header.cluster_id(),
          .member_id = header.member_id(),
          .revision = header.revision(),
          .raft_term = header.raft_term()};
}

RangeResponse FromProto(etcdserverpb::RangeResponse* response) {
  RangeResponse value;
  value.header = FromProto(response->header());
  value.kvs.reserve(response->kvs_size());
  for (mvccpb::KeyValue& kv : *response->mutable_kvs()) value.kvs.push_back(TakeKeyValue(&kv));
  value.more = response->more();
  value.count = response->count();
  return value;
}

PutResponse FromProto(etcdserverpb::PutResponse* response) {
  PutResponse value;
  value.header = FromProto(response->header());
  if (response->has_prev_kv()) value.prev_kv = TakeKeyValue(response->mutable_prev_kv());
  return value;
}

DeleteResponse FromProto(etcdserverpb::DeleteRangeResponse* response) {
  DeleteResponse value;
  value.header = FromProto(response->header());
  value.deleted = response->deleted();
  for (mvccpb::KeyValue& kv : *response->mutable_prev_kvs()) {
    value.prev_kvs.push_back(TakeKeyValue(&kv));
  }
  return value;
}

TxnResponse FromProto(etcdserverpb::TxnResponse* response) {
  TxnResponse value;
  value.header = FromProto(response->header());
  value.succeeded = response->succeeded();
  value.responses.reserve(response->responses_size());
  for (etcdserverpb::ResponseOp& op : *response->mutable_responses()) {
    value.responses.push_back(TakeOp(&op));
  }
  return value;
}

CompactResponse FromProto(etcdserverpb::CompactionResponse* response) {
  return {.header = FromProto(response->header())};
}

MemberListResponse FromProto(etcdserverpb::MemberListResponse* response) {
  return {.header = FromProto(response->header()), .members = Members(response->members())};
}

MemberAddResponse FromProto(etcdserverpb::MemberAddResponse* response) {
  return {.header = FromProto(response->header()),
          .member = ToMember(response->member()),
          .members = Members(response->members())};
}

MemberRemoveResponse FromProto(etcdserverpb::MemberRemoveResponse* response) {
  return {.header = FromProto(response->header()), .members = Members(response->members())};
}

MemberUpdateResponse FromProto(etcdserverpb::MemberUpdateResponse* response) {
  return {.header = FromProto(response->header()), .members = Members(response->members())};
}

MemberPromoteResponse FromProto(etcdserverpb::MemberPromoteResponse* response) {
  return {.header = FromProto(response->header()), .members = Members(response->members())};
}

MemberReplaceResponse FromProto(v1::MemberReplaceResponse* response) {
  return {.header = FromProto(response->header()),
          .member = ToMember(response->member()),
          .members = Members(response->members())};
}

StatusResponse FromProto(etcdserverpb::StatusResponse* response) {
  return {.header = FromProto(response->header()),
          .version = response->version(),
          .db_size = response->dbsize(),
          .leader = response->leader(),
          .raft_index = response->raftindex(),
          .raft_term = response->raftterm(),
          .raft_applied_index = response->raftappliedindex(),
          .errors = {response->errors().begin(), response->errors().end()},
          .db_size_in_use = response->dbsizeinuse(),
          .is_learner = response->islearner(),
          .storage_version = response->storageversion(),
          .db_size_quota = response->dbsizequota(),
          .downgrade_enabled = response->downgradeinfo().enabled(),
          .downgrade_target_version = response->downgradeinfo().targetversion()};
}

HashResponse FromProto(etcdserverpb::HashResponse* response) {
  return {.header = FromProto(response->header()), .hash = response->hash()};
}

HashKvResponse FromProto(etcdserverpb::HashKVResponse* response) {
  return {.header = FromProto(response->header()),
          .hash = response->hash(),
          .compact_revision = response->compact_revision(),
          .hash_revision = response->hash_revision()};
}

DefragmentResponse FromProto(etcdserverpb::DefragmentResponse* response) {
  return {.header = FromProto(response->header())};
}

MoveLeaderResponse FromProto(etcdserverpb::MoveLeaderResponse* response) {
  return {.header = FromProto(response->header())};
}

LeaseGrantResponse FromProto(etcdserverpb::LeaseGrantResponse* response) {
  return {.header = FromProto(response->header()),
          .id = response->id(),
          .ttl = std::chrono::seconds(response->ttl())};
}

LeaseRevokeResponse FromProto(etcdserverpb::LeaseRevokeResponse* response) {
  return {.header = FromProto(response->header())};
}

LeaseTimeToLiveResponse FromProto(etcdserverpb::LeaseTimeToLiveResponse* response) {
  return {.header = FromProto(response->header()),
          .id = response->id(),
          .remaining = std::chrono::seconds(response->ttl()),
          .granted = std::chrono::seconds(response->grantedttl()),
          .keys = {response->keys().begin(), response->keys().end()}};
}

LeaseListResponse FromProto(etcdserverpb::LeaseLeasesResponse* response) {
  LeaseListResponse value;
  value.header = FromProto(response->header());
  for (const etcdserverpb::LeaseStatus& lease : response->leases()) value.ids.push_back(lease.id());
  return value;
}

LeaseKeepAliveResponse FromProto(const etcdserverpb::LeaseKeepAliveResponse& response) {
  return {.header = FromProto(response.header()),
          .id = response.id(),
          .ttl = std::chrono::seconds(response.ttl())};
}

WatchEvent FromProto(mvccpb::Event* event) {
  WatchEvent value;
  value.type = event->type() == mvccpb::Event::DELETE ? EventType::kDelete : EventType::kPut;
  value.kv = TakeKeyValue(event->mutable_kv());
  if (event->has_prev_kv()) value.prev_kv = TakeKeyValue(event->mutable_prev_kv());
  return value;
}

AlarmResponse FromProto(etcdserverpb::AlarmResponse* response) {
  AlarmResponse value;
  value.header = FromProto(response->header());
  for (const etcdserverpb::AlarmMember& alarm : response->alarms()) {
    value.alarms.push_back(
        {.member_id = alarm.memberid(), .type = static_cast<AlarmType>(alarm.alarm())});
  }
  return value;
}

}  // namespace gavel::client::internal
