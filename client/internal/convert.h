// Between the library's plain values and etcd's messages.
#pragma once

#include "client/cluster.h"
#include "client/lease.h"
#include "client/maintenance.h"
#include "client/txn.h"
#include "client/types.h"
#include "client/watch.h"
#include "proto/etcdserverpb/cluster.pb.h"
#include "proto/etcdserverpb/kv.pb.h"
#include "proto/etcdserverpb/lease.pb.h"
#include "proto/etcdserverpb/maintenance.pb.h"
#include "proto/gavel/v1/cluster.pb.h"
#include "proto/mvccpb/kv.pb.h"

namespace gavel::client::internal {

etcdserverpb::RangeRequest ToProto(const RangeRequest& request);
etcdserverpb::PutRequest ToProto(const PutRequest& request);
etcdserverpb::DeleteRangeRequest ToProto(const DeleteRequest& request);
etcdserverpb::TxnRequest ToProto(const Txn& txn);
etcdserverpb::CompactionRequest ToProto(const CompactRequest& request);

// These take what they can out of the message.
ResponseHeader FromProto(const etcdserverpb::ResponseHeader& header);
RangeResponse FromProto(etcdserverpb::RangeResponse* response);
PutResponse FromProto(etcdserverpb::PutResponse* response);
DeleteResponse FromProto(etcdserverpb::DeleteRangeResponse* response);
TxnResponse FromProto(etcdserverpb::TxnResponse* response);
CompactResponse FromProto(etcdserverpb::CompactionResponse* response);
MemberListResponse FromProto(etcdserverpb::MemberListResponse* response);
MemberAddResponse FromProto(etcdserverpb::MemberAddResponse* response);
MemberRemoveResponse FromProto(etcdserverpb::MemberRemoveResponse* response);
MemberUpdateResponse FromProto(etcdserverpb::MemberUpdateResponse* response);
MemberPromoteResponse FromProto(etcdserverpb::MemberPromoteResponse* response);
MemberReplaceResponse FromProto(v1::MemberReplaceResponse* response);
StatusResponse FromProto(etcdserverpb::StatusResponse* response);
HashResponse FromProto(etcdserverpb::HashResponse* response);
HashKvResponse FromProto(etcdserverpb::HashKVResponse* response);
DefragmentResponse FromProto(etcdserverpb::DefragmentResponse* response);
MoveLeaderResponse FromProto(etcdserverpb::MoveLeaderResponse* response);
LeaseGrantResponse FromProto(etcdserverpb::LeaseGrantResponse* response);
LeaseRevokeResponse FromProto(etcdserverpb::LeaseRevokeResponse* response);
LeaseTimeToLiveResponse FromProto(etcdserverpb::LeaseTimeToLiveResponse* response);
LeaseListResponse FromProto(etcdserverpb::LeaseLeasesResponse* response);
LeaseKeepAliveResponse FromProto(const etcdserverpb::LeaseKeepAliveResponse& response);
WatchEvent FromProto(mvccpb::Event* event);
AlarmResponse FromProto(etcdserverpb::AlarmResponse* response);

}  // namespace gavel::client::internal
