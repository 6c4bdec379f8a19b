// etcd's wire contract as a table: every service, message and enumeration with its members.
//
// Written down apart from the .proto files, so that a slip there shows. A line that is indented
// goes on from the one above.
#pragma once

#include <string_view>

namespace gavel::testing {

inline constexpr std::string_view kProtoTable =
    R"(message authpb.Permission: Type permType=1; bytes key=2; bytes range_end=3
enum authpb.Permission.Type: READ=0; WRITE=1; READWRITE=2
message authpb.Role: bytes name=1; repeated Permission keyPermission=2
message authpb.User: bytes name=1; bytes password=2; repeated string roles=3;
    UserAddOptions options=4
message authpb.UserAddOptions: bool no_password=1
message etcdserverpb.AlarmMember: uint64 memberID=1; AlarmType alarm=2
message etcdserverpb.AlarmRequest: AlarmAction action=1; uint64 memberID=2; AlarmType alarm=3
enum etcdserverpb.AlarmRequest.AlarmAction: GET=0; ACTIVATE=1; DEACTIVATE=2
message etcdserverpb.AlarmResponse: ResponseHeader header=1; repeated AlarmMember alarms=2
enum etcdserverpb.AlarmType: NONE=0; NOSPACE=1; CORRUPT=2
service etcdserverpb.Auth: AuthDisable (AuthDisableRequest) (AuthDisableResponse);
    AuthEnable (AuthEnableRequest) (AuthEnableResponse);
    AuthStatus (AuthStatusRequest) (AuthStatusResponse);
    Authenticate (AuthenticateRequest) (AuthenticateResponse);
    RoleAdd (AuthRoleAddRequest) (AuthRoleAddResponse);
    RoleDelete (AuthRoleDeleteRequest) (AuthRoleDeleteResponse);
    RoleGet (AuthRoleGetRequest) (AuthRoleGetResponse);
    RoleGrantPermission (AuthRoleGrantPermissionRequest) (AuthRoleGrantPermissionResponse);
    RoleList (AuthRoleListRequest) (AuthRoleListResponse);
    RoleRevokePermission (AuthRoleRevokePermissionRequest) (AuthRoleRevokePermissionResponse);
    UserAdd (AuthUserAddRequest) (AuthUserAddResponse);
    UserChangePassword (AuthUserChangePasswordRequest) (AuthUserChangePasswordResponse);
    UserDelete (AuthUserDeleteRequest) (AuthUserDeleteResponse);
    UserGet (AuthUserGetRequest) (AuthUserGetResponse);
    UserGrantRole (AuthUserGrantRoleRequest) (AuthUserGrantRoleResponse);
    UserList (AuthUserListRequest) (AuthUserListResponse);
    UserRevokeRole (AuthUserRevokeRoleRequest) (AuthUserRevokeRoleResponse)
message etcdserverpb.AuthDisableRequest:
message etcdserverpb.AuthDisableResponse: ResponseHeader header=1
message etcdserverpb.AuthEnableRequest:
message etcdserverpb.AuthEnableResponse: ResponseHeader header=1
message etcdserverpb.AuthRoleAddRequest: string name=1
message etcdserverpb.AuthRoleAddResponse: ResponseHeader header=1
message etcdserverpb.AuthRoleDeleteRequest: string role=1
message etcdserverpb.AuthRoleDeleteResponse: ResponseHeader header=1
message etcdserverpb.AuthRoleGetRequest: string role=1
message etcdserverpb.AuthRoleGetResponse: ResponseHeader header=1;
    repeated authpb.Permission perm=2
message etcdserverpb.AuthRoleGrantPermissionRequest: string name=1; authpb.Permission perm=2
message etcdserverpb.AuthRoleGrantPermissionResponse: ResponseHeader header=1
message etcdserverpb.AuthRoleListRequest:
message etcdserverpb.AuthRoleListResponse: ResponseHeader header=1; repeated string roles=2
message etcdserverpb.AuthRoleRevokePermissionRequest: string role=1; bytes key=2;
    bytes range_end=3
message etcdserverpb.AuthRoleRevokePermissionResponse: ResponseHeader header=1
message etcdserverpb.AuthStatusRequest:
message etcdserverpb.AuthStatusResponse: ResponseHeader header=1; bool enabled=2;
    uint64 authRevision=3
message etcdserverpb.AuthUserAddRequest: string name=1; string password=2;
    authpb.UserAddOptions options=3; string hashedPassword=4
message etcdserverpb.AuthUserAddResponse: ResponseHeader header=1
message etcdserverpb.AuthUserChangePasswordRequest: string name=1; string password=2;
    string hashedPassword=3
message etcdserverpb.AuthUserChangePasswordResponse: ResponseHeader header=1
message etcdserverpb.AuthUserDeleteRequest: string name=1
message etcdserverpb.AuthUserDeleteResponse: ResponseHeader header=1
message etcdserverpb.AuthUserGetRequest: string name=1
message etcdserverpb.AuthUserGetResponse: ResponseHeader header=1; repeated string roles=2
message etcdserverpb.AuthUserGrantRoleRequest: string user=1; string role=2
message etcdserverpb.AuthUserGrantRoleResponse: ResponseHeader header=1
message etcdserverpb.AuthUserListRequest:
message etcdserverpb.AuthUserListResponse: ResponseHeader header=1; repeated string users=2
message etcdserverpb.AuthUserRevokeRoleRequest: string name=1; string role=2
message etcdserverpb.AuthUserRevokeRoleResponse: ResponseHeader header=1
message etcdserverpb.AuthenticateRequest: string name=1; string password=2
message etcdserverpb.AuthenticateResponse: ResponseHeader header=1; string token=2
service etcdserverpb.Cluster: MemberAdd (MemberAddRequest) (MemberAddResponse);
    MemberList (MemberListRequest) (MemberListResponse);
    MemberPromote (MemberPromoteRequest) (MemberPromoteResponse);
    MemberRemove (MemberRemoveRequest) (MemberRemoveResponse);
    MemberUpdate (MemberUpdateRequest) (MemberUpdateResponse)
message etcdserverpb.CompactionRequest: int64 revision=1; bool physical=2
message etcdserverpb.CompactionResponse: ResponseHeader header=1
message etcdserverpb.Compare: CompareResult result=1; CompareTarget target=2; bytes key=3;
    int64 version=4 in target_union; int64 create_revision=5 in target_union;
    int64 mod_revision=6 in target_union; bytes value=7 in target_union;
    int64 lease=8 in target_union; bytes range_end=64
enum etcdserverpb.Compare.CompareResult: EQUAL=0; GREATER=1; LESS=2; NOT_EQUAL=3
enum etcdserverpb.Compare.CompareTarget: VERSION=0; CREATE=1; MOD=2; VALUE=3; LEASE=4
message etcdserverpb.DefragmentRequest:
message etcdserverpb.DefragmentResponse: ResponseHeader header=1
message etcdserverpb.DeleteRangeRequest: bytes key=1; bytes range_end=2; bool prev_kv=3
message etcdserverpb.DeleteRangeResponse: ResponseHeader header=1; int64 deleted=2;
    repeated mvccpb.KeyValue prev_kvs=3
message etcdserverpb.DowngradeInfo: bool enabled=1; string targetVersion=2
message etcdserverpb.DowngradeRequest: DowngradeAction action=1; string version=2
enum etcdserverpb.DowngradeRequest.DowngradeAction: VALIDATE=0; ENABLE=1; CANCEL=2
message etcdserverpb.DowngradeResponse: ResponseHeader header=1; string version=2
message etcdserverpb.HashKVRequest: int64 revision=1
message etcdserverpb.HashKVResponse: ResponseHeader header=1; uint32 hash=2;
    int64 compact_revision=3; int64 hash_revision=4
message etcdserverpb.HashRequest:
message etcdserverpb.HashResponse: ResponseHeader header=1; uint32 hash=2
service etcdserverpb.KV: Compact (CompactionRequest) (CompactionResponse);
    DeleteRange (DeleteRangeRequest) (DeleteRangeResponse); Put (PutRequest) (PutResponse);
    Range (RangeRequest) (RangeResponse);
    RangeStream (RangeRequest) (stream RangeStreamResponse); Txn (TxnRequest) (TxnResponse)
service etcdserverpb.Lease: LeaseGrant (LeaseGrantRequest) (LeaseGrantResponse);
    LeaseKeepAlive (stream LeaseKeepAliveRequest) (stream LeaseKeepAliveResponse);
    LeaseLeases (LeaseLeasesRequest) (LeaseLeasesResponse);
    LeaseRevoke (LeaseRevokeRequest) (LeaseRevokeResponse);
    LeaseTimeToLive (LeaseTimeToLiveRequest) (LeaseTimeToLiveResponse)
message etcdserverpb.LeaseCheckpoint: int64 ID=1; int64 remaining_TTL=2
message etcdserverpb.LeaseCheckpointRequest: repeated LeaseCheckpoint checkpoints=1
message etcdserverpb.LeaseCheckpointResponse: ResponseHeader header=1
message etcdserverpb.LeaseGrantRequest: int64 TTL=1; int64 ID=2
message etcdserverpb.LeaseGrantResponse: ResponseHeader header=1; int64 ID=2; int64 TTL=3;
    string error=4
message etcdserverpb.LeaseKeepAliveRequest: int64 ID=1
message etcdserverpb.LeaseKeepAliveResponse: ResponseHeader header=1; int64 ID=2; int64 TTL=3
message etcdserverpb.LeaseLeasesRequest:
message etcdserverpb.LeaseLeasesResponse: ResponseHeader header=1; repeated LeaseStatus leases=2
message etcdserverpb.LeaseRevokeRequest: int64 ID=1
message etcdserverpb.LeaseRevokeResponse: ResponseHeader header=1
message etcdserverpb.LeaseStatus: int64 ID=1
message etcdserverpb.LeaseTimeToLiveRequest: int64 ID=1; bool keys=2
message etcdserverpb.LeaseTimeToLiveResponse: ResponseHeader header=1; int64 ID=2; int64 TTL=3;
    int64 grantedTTL=4; repeated bytes keys=5
service etcdserverpb.Maintenance: Alarm (AlarmRequest) (AlarmResponse);
    Defragment (DefragmentRequest) (DefragmentResponse);
    Downgrade (DowngradeRequest) (DowngradeResponse); Hash (HashRequest) (HashResponse);
    HashKV (HashKVRequest) (HashKVResponse);
    MoveLeader (MoveLeaderRequest) (MoveLeaderResponse);
    Snapshot (SnapshotRequest) (stream SnapshotResponse);
    Status (StatusRequest) (StatusResponse)
message etcdserverpb.Member: uint64 ID=1; string name=2; repeated string peerURLs=3;
    repeated string clientURLs=4; bool isLearner=5
message etcdserverpb.MemberAddRequest: repeated string peerURLs=1; bool isLearner=2
message etcdserverpb.MemberAddResponse: ResponseHeader header=1; Member member=2;
    repeated Member members=3
message etcdserverpb.MemberListRequest: bool linearizable=1
message etcdserverpb.MemberListResponse: ResponseHeader header=1; repeated Member members=2
message etcdserverpb.MemberPromoteRequest: uint64 ID=1
message etcdserverpb.MemberPromoteResponse: ResponseHeader header=1; repeated Member members=2
message etcdserverpb.MemberRemoveRequest: uint64 ID=1
message etcdserverpb.MemberRemoveResponse: ResponseHeader header=1; repeated Member members=2
message etcdserverpb.MemberUpdateRequest: uint64 ID=1; repeated string peerURLs=2
message etcdserverpb.MemberUpdateResponse: ResponseHeader header=1; repeated Member members=2
message etcdserverpb.MoveLeaderRequest: uint64 targetID=1
message etcdserverpb.MoveLeaderResponse: ResponseHeader header=1
message etcdserverpb.PutRequest: bytes key=1; bytes value=2; int64 lease=3; bool prev_kv=4;
    bool ignore_value=5; bool ignore_lease=6
message etcdserverpb.PutResponse: ResponseHeader header=1; mvccpb.KeyValue prev_kv=2
message etcdserverpb.RangeRequest: bytes key=1; bytes range_end=2; int64 limit=3;
    int64 revision=4; SortOrder sort_order=5; SortTarget sort_target=6; bool serializable=7;
    bool keys_only=8; bool count_only=9; int64 min_mod_revision=10; int64 max_mod_revision=11;
    int64 min_create_revision=12; int64 max_create_revision=13
enum etcdserverpb.RangeRequest.SortOrder: NONE=0; ASCEND=1; DESCEND=2
enum etcdserverpb.RangeRequest.SortTarget: KEY=0; VERSION=1; CREATE=2; MOD=3; VALUE=4
message etcdserverpb.RangeResponse: ResponseHeader header=1; repeated mvccpb.KeyValue kvs=2;
    bool more=3; int64 count=4
message etcdserverpb.RangeStreamResponse: RangeResponse range_response=1
message etcdserverpb.RequestOp: RangeRequest request_range=1 in request;
    PutRequest request_put=2 in request; DeleteRangeRequest request_delete_range=3 in request;
    TxnRequest request_txn=4 in request
message etcdserverpb.ResponseHeader: uint64 cluster_id=1; uint64 member_id=2; int64 revision=3;
    uint64 raft_term=4
message etcdserverpb.ResponseOp: RangeResponse response_range=1 in response;
    PutResponse response_put=2 in response;
    DeleteRangeResponse response_delete_range=3 in response;
    TxnResponse response_txn=4 in response
message etcdserverpb.SnapshotRequest:
message etcdserverpb.SnapshotResponse: ResponseHeader header=1; uint64 remaining_bytes=2;
    bytes blob=3; string version=4
message etcdserverpb.StatusRequest:
message etcdserverpb.StatusResponse: ResponseHeader header=1; string version=2; int64 dbSize=3;
    uint64 leader=4; uint64 raftIndex=5; uint64 raftTerm=6; uint64 raftAppliedIndex=7;
    repeated string errors=8; int64 dbSizeInUse=9; bool isLearner=10; string storageVersion=11;
    int64 dbSizeQuota=12; DowngradeInfo downgradeInfo=13
message etcdserverpb.TxnRequest: repeated Compare compare=1; repeated RequestOp success=2;
    repeated RequestOp failure=3
message etcdserverpb.TxnResponse: ResponseHeader header=1; bool succeeded=2;
    repeated ResponseOp responses=3
service etcdserverpb.Watch: Watch (stream WatchRequest) (stream WatchResponse)
message etcdserverpb.WatchCancelRequest: int64 watch_id=1
message etcdserverpb.WatchCreateRequest: bytes key=1; bytes range_end=2; int64 start_revision=3;
    bool progress_notify=4; repeated FilterType filters=5; bool prev_kv=6; int64 watch_id=7;
    bool fragment=8
enum etcdserverpb.WatchCreateRequest.FilterType: NOPUT=0; NODELETE=1
message etcdserverpb.WatchProgressRequest:
message etcdserverpb.WatchRequest: WatchCreateRequest create_request=1 in request_union;
    WatchCancelRequest cancel_request=2 in request_union;
    WatchProgressRequest progress_request=3 in request_union
message etcdserverpb.WatchResponse: ResponseHeader header=1; int64 watch_id=2; bool created=3;
    bool canceled=4; int64 compact_revision=5; string cancel_reason=6; bool fragment=7;
    repeated mvccpb.Event events=11
service grpc.health.v1.Health: Check (HealthCheckRequest) (HealthCheckResponse);
    Watch (HealthCheckRequest) (stream HealthCheckResponse)
message grpc.health.v1.HealthCheckRequest: string service=1
message grpc.health.v1.HealthCheckResponse: ServingStatus status=1
enum grpc.health.v1.HealthCheckResponse.ServingStatus: UNKNOWN=0; SERVING=1; NOT_SERVING=2;
    SERVICE_UNKNOWN=3
message mvccpb.Event: EventType type=1; KeyValue kv=2; KeyValue prev_kv=3
enum mvccpb.Event.EventType: PUT=0; DELETE=1
message mvccpb.KeyValue: bytes key=1; int64 create_revision=2; int64 mod_revision=3;
    int64 version=4; bytes value=5; int64 lease=6
message v3electionpb.CampaignRequest: bytes name=1; int64 lease=2; bytes value=3
message v3electionpb.CampaignResponse: etcdserverpb.ResponseHeader header=1; LeaderKey leader=2
service v3electionpb.Election: Campaign (CampaignRequest) (CampaignResponse);
    Leader (LeaderRequest) (LeaderResponse); Observe (LeaderRequest) (stream LeaderResponse);
    Proclaim (ProclaimRequest) (ProclaimResponse); Resign (ResignRequest) (ResignResponse)
message v3electionpb.LeaderKey: bytes name=1; bytes key=2; int64 rev=3; int64 lease=4
message v3electionpb.LeaderRequest: bytes name=1
message v3electionpb.LeaderResponse: etcdserverpb.ResponseHeader header=1; mvccpb.KeyValue kv=2
message v3electionpb.ProclaimRequest: LeaderKey leader=1; bytes value=2
message v3electionpb.ProclaimResponse: etcdserverpb.ResponseHeader header=1
message v3electionpb.ResignRequest: LeaderKey leader=1
message v3electionpb.ResignResponse: etcdserverpb.ResponseHeader header=1
service v3lockpb.Lock: Lock (LockRequest) (LockResponse);
    Unlock (UnlockRequest) (UnlockResponse)
message v3lockpb.LockRequest: bytes name=1; int64 lease=2
message v3lockpb.LockResponse: etcdserverpb.ResponseHeader header=1; bytes key=2
message v3lockpb.UnlockRequest: bytes key=1
message v3lockpb.UnlockResponse: etcdserverpb.ResponseHeader header=1
)";

}  // namespace gavel::testing
