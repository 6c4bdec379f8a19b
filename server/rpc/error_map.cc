#include "server/rpc/error_map.h"

#include <iterator>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

#include "raft/check.h"
#include "server/table_rows.h"

namespace gavel::server {
namespace {

constexpr ErrorRow kTable[] = {
    {Error::kEmptyKey, StatusCode::kInvalidArgument, "etcdserver: key is not provided"},
    {Error::kKeyNotFound, StatusCode::kInvalidArgument, "etcdserver: key not found"},
    {Error::kValueProvided, StatusCode::kInvalidArgument, "etcdserver: value is provided"},
    {Error::kLeaseProvided, StatusCode::kInvalidArgument, "etcdserver: lease is provided"},
    {Error::kTooManyOps, StatusCode::kInvalidArgument,
     "etcdserver: too many operations in txn request"},
    {Error::kDuplicateKey, StatusCode::kInvalidArgument,
     "etcdserver: duplicate key given in txn request"},
    {Error::kInvalidClientApiVersion, StatusCode::kInvalidArgument,
     "etcdserver: invalid client api version"},
    {Error::kInvalidSortOption, StatusCode::kInvalidArgument, "etcdserver: invalid sort option"},
    {Error::kCompacted, StatusCode::kOutOfRange,
     "etcdserver: mvcc: required revision has been compacted"},
    {Error::kFutureRevision, StatusCode::kOutOfRange,
     "etcdserver: mvcc: required revision is a future revision"},
    {Error::kNoSpace, StatusCode::kResourceExhausted, "etcdserver: mvcc: database space exceeded"},
    {Error::kRequestTooLarge, StatusCode::kInvalidArgument, "etcdserver: request is too large"},
    {Error::kTooManyRequests, StatusCode::kResourceExhausted, "etcdserver: too many requests"},
    {Error::kStreamSortUnsupported, StatusCode::kUnimplemented,
     "RangeStream does not support custom sort orders"},
    {Error::kStreamFilterUnsupported, StatusCode::kUnimplemented,
     "RangeStream does not support revision filters"},
    {Error::kLeaseNotFound, StatusCode::kNotFound, "etcdserver: requested lease not found"},
    {Error::kLeaseExists, StatusCode::kFailedPrecondition, "etcdserver: lease already exists"},
    {Error::kLeaseTtlTooLarge, StatusCode::kOutOfRange, "etcdserver: too large lease TTL"},
    {Error::kWatchCanceled, StatusCode::kCancelled, "etcdserver: watch canceled"},
    {Error::kLockSessionExpired, StatusCode::kUnknown, "mutex: session is expired"},
    {Error::kElectionNoLeader, StatusCode::kUnknown, "election: no leader"},
    {Error::kElectionNotLeader, StatusCode::kUnknown, "election: not leader"},
    {Error::kMissingLeaderKey, StatusCode::kUnknown, "\"leader\" field must be provided"},
    {Error::kMemberExists, StatusCode::kFailedPrecondition, "etcdserver: member ID already exist"},
    {Error::kPeerUrlExists, StatusCode::kFailedPrecondition,
     "etcdserver: Peer URLs already exists"},
    {Error::kNotEnoughStarted, StatusCode::kFailedPrecondition,
     "etcdserver: re-configuration failed due to not enough started members"},
    {Error::kBadMemberUrls, StatusCode::kInvalidArgument,
     "etcdserver: given member URLs are invalid"},
    {Error::kMemberNotFound, StatusCode::kNotFound, "etcdserver: member not found"},
    {Error::kNotLearner, StatusCode::kFailedPrecondition,
     "etcdserver: can only promote a learner member"},
    {Error::kLearnerNotReady, StatusCode::kFailedPrecondition,
     "etcdserver: can only promote a learner member which is in sync with leader"},
    {Error::kTooManyLearners, StatusCode::kFailedPrecondition,
     "etcdserver: too many learner members in cluster"},
    {Error::kClusterIdMismatch, StatusCode::kFailedPrecondition, "etcdserver: cluster ID mismatch"},
    {Error::kNotSupportedForLearner, StatusCode::kFailedPrecondition,
     "etcdserver: rpc not supported for learner"},
    {Error::kBadLeaderTransferee, StatusCode::kFailedPrecondition,
     "etcdserver: bad leader transferee"},
    {Error::kRootUserMissing, StatusCode::kFailedPrecondition,
     "etcdserver: root user does not exist"},
    {Error::kRootRoleMissing, StatusCode::kFailedPrecondition,
     "etcdserver: root user does not have root role"},
    {Error::kUserExists, StatusCode::kFailedPrecondition, "etcdserver: user name already exists"},
    {Error::kUserEmpty, StatusCode::kInvalidArgument, "etcdserver: user name is empty"},
    {Error::kUserNotFound, StatusCode::kFailedPrecondition, "etcdserver: user name not found"},
    {Error::kRoleExists, StatusCode::kFailedPrecondition, "etcdserver: role name already exists"},
    {Error::kRoleNotFound, StatusCode::kFailedPrecondition, "etcdserver: role name not found"},
    {Error::kRoleEmpty, StatusCode::kInvalidArgument, "etcdserver: role name is empty"},
    {Error::kAuthFailed, StatusCode::kInvalidArgument,
     "etcdserver: authentication failed, invalid user ID or password"},
    {Error::kPermissionNotGiven, StatusCode::kInvalidArgument, "etcdserver: permission not given"},
    {Error::kPermissionDenied, StatusCode::kPermissionDenied, "etcdserver: permission denied"},
    {Error::kRoleNotGranted, StatusCode::kFailedPrecondition,
     "etcdserver: role is not granted to the user"},
    {Error::kPermissionNotGranted, StatusCode::kFailedPrecondition,
     "etcdserver: permission is not granted to the role"},
    {Error::kAuthNotEnabled, StatusCode::kFailedPrecondition,
     "etcdserver: authentication is not enabled"},
    {Error::kInvalidAuthToken, StatusCode::kUnauthenticated, "etcdserver: invalid auth token"},
    {Error::kInvalidAuthManagement, StatusCode::kInvalidArgument,
     "etcdserver: invalid auth management"},
    {Error::kAuthOldRevision, StatusCode::kInvalidArgument,
     "etcdserver: revision of auth store is old"},
    {Error::kNoLeader, StatusCode::kUnavailable, "etcdserver: no leader"},
    {Error::kNotLeader, StatusCode::kFailedPrecondition, "etcdserver: not leader"},
    {Error::kLeaderChanged, StatusCode::kUnavailable, "etcdserver: leader changed"},
    {Error::kNotCapable, StatusCode::kFailedPrecondition, "etcdserver: not capable"},
    {Error::kStopped, StatusCode::kUnavailable, "etcdserver: server stopped"},
    {Error::kTimeout, StatusCode::kUnavailable, "etcdserver: request timed out"},
    {Error::kTimeoutLeaderFail, StatusCode::kUnavailable,
     "etcdserver: request timed out, possibly due to previous leader failure"},
    {Error::kTimeoutConnectionLost, StatusCode::kUnavailable,
     "etcdserver: request timed out, possibly due to connection lost"},
    {Error::kTimeoutAppliedIndex, StatusCode::kUnavailable,
     "etcdserver: request timed out, waiting for the applied index took too long"},
    {Error::kUnhealthy, StatusCode::kUnavailable, "etcdserver: unhealthy cluster"},
    {Error::kCorrupt, StatusCode::kDataLoss, "etcdserver: corrupt cluster"},
    {Error::kCanceled, StatusCode::kCancelled, "etcdserver: request canceled"},
    {Error::kDeadlineExceeded, StatusCode::kDeadlineExceeded,
     "etcdserver: context deadline exceeded"},
    {Error::kDowngradeVersionFormat, StatusCode::kInvalidArgument,
     "etcdserver: wrong downgrade target version format"},
    {Error::kDowngradeVersion, StatusCode::kInvalidArgument,
     "etcdserver: invalid downgrade target version"},
    {Error::kDowngradeNoClusterVersion, StatusCode::kFailedPrecondition,
     "etcdserver: cluster version not found during downgrade"},
    {Error::kDowngradeInProgress, StatusCode::kFailedPrecondition,
     "etcdserver: cluster has a downgrade job in progress"},
    {Error::kDowngradeNotInProgress, StatusCode::kFailedPrecondition,
     "etcdserver: no inflight downgrade job"},
};

static_assert(RowsFollow(kTable, &ErrorRow::error, Error::kDowngradeNotInProgress));

Error FromStorage(storage::RequestError error) {
  switch (error) {
    case storage::RequestError::kCompacted:
      return Error::kCompacted;
    case storage::RequestError::kFutureRevision:
      return Error::kFutureRevision;
    case storage::RequestError::kKeyNotFound:
      return Error::kKeyNotFound;
    case storage::RequestError::kLeaseNotFound:
      return Error::kLeaseNotFound;
    case storage::RequestError::kLeaseExists:
      return Error::kLeaseExists;
    case storage::RequestError::kInvalidSort:
      return Error::kInvalidSortOption;
    case storage::RequestError::kNoSpace:
      return Error::kNoSpace;
    case storage::RequestError::kMemberNotFound:
      return Error::kMemberNotFound;
    case storage::RequestError::kMemberExists:
      return Error::kMemberExists;
    case storage::RequestError::kPeerUrlExists:
      return Error::kPeerUrlExists;
    case storage::RequestError::kMemberNotLearner:
      return Error::kNotLearner;
    case storage::RequestError::kLearnerNotReady:
      return Error::kLearnerNotReady;
    case storage::RequestError::kNotEnoughStarted:
      return Error::kNotEnoughStarted;
    case storage::RequestError::kCorrupt:
      return Error::kCorrupt;
    case storage::RequestError::kMembershipUnderWay:
    case storage::RequestError::kNone:
      break;
  }
  CheckFailed(__FILE__, __LINE__, "no refusal to report");
}

// Clients send a write again that ended as kNoLeader or kTooManyRequests: nothing whose outcome is
// unknown may become one of these.
Error FromGate(GateResult result) {
  switch (result) {
    case GateResult::kNoLeader:
    case GateResult::kDropped:
      return Error::kNoLeader;
    case GateResult::kNotLeader:
      return Error::kNotLeader;
    case GateResult::kLeaderChanged:
      return Error::kLeaderChanged;
    case GateResult::kTimedOut:
      return Error::kTimeout;
    case GateResult::kTimedOutLeaderFailed:
      return Error::kTimeoutLeaderFail;
    case GateResult::kTimedOutDisconnected:
      return Error::kTimeoutConnectionLost;
    case GateResult::kTooManyRequests:
      return Error::kTooManyRequests;
    case GateResult::kStopped:
      return Error::kStopped;
    case GateResult::kNotTaken:
      return Error::kNotCapable;
    case GateResult::kOk:
    case GateResult::kRefused:
      break;
  }
  CheckFailed(__FILE__, __LINE__, "no failure to report");
}

}  // namespace

std::span<const ErrorRow> ErrorTable() { return kTable; }

RpcStatus ToStatus(Error error) {
  const ErrorRow& row = kTable[static_cast<size_t>(error)];
  return {row.code, std::string(row.text)};
}

RpcStatus ToStatus(storage::RequestError error) {
  if (error == storage::RequestError::kMembershipUnderWay) {
    // Only MemberReplace ends so, which etcd does not have.
    return {
        StatusCode::kFailedPrecondition,
        "etcdserver: the member is being replaced already, remove the newcomer to give that up"};
  }
  return ToStatus(FromStorage(error));
}

RpcStatus ToStatus(GateResult result) { return ToStatus(FromGate(result)); }

RpcStatus InternalError(std::string_view what) {
  return {StatusCode::kInternal, std::string(what)};
}

RpcStatus MalformedRequest() {
  return {StatusCode::kInternal, "grpc: error unmarshalling request: malformed protobuf message"};
}

RpcStatus MalformedMessage() {
  return {StatusCode::kInternal,
          "grpc: failed to unmarshal the received message: malformed protobuf message"};
}

RpcStatus MessageTooLarge(size_t bytes, size_t bytes_max) {
  return {StatusCode::kResourceExhausted,
          absl::StrCat("grpc: received message larger than max (", bytes, " vs. ", bytes_max, ")")};
}

RpcStatus UnknownAction() { return {StatusCode::kUnknown, "etcdserver: unknown method"}; }

RpcStatus NotServed(std::string_view method, std::string_view what) {
  return {StatusCode::kUnimplemented, absl::StrCat(std::string(what), " with ", std::string(method),
                                                   " is not served by this release")};
}

std::string WatchRefusalText(WatchRefusal why) {
  switch (why) {
    case WatchRefusal::kNegativeStart:
      return ToStatus(Error::kCompacted).message;
    case WatchRefusal::kEmptyRange:
      return "mvcc: watcher range is empty";
    case WatchRefusal::kIdInUse:
      return "mvcc: duplicate watch ID provided on the WatchStream";
    case WatchRefusal::kStreamLimit:
      return "gavel: too many watchers on this stream; open another one, or raise "
             "--stream-watchers-max on the server";
    case WatchRefusal::kTotalLimit:
      return "gavel: too many watchers on this member, or too long keys of theirs; use another "
             "one, "
             "or raise --watchers-max or --watcher-key-bytes-max on the server";
  }
  CheckFailed(__FILE__, __LINE__, "no refusal to report");
}

RpcStatus TooManyWatchers() {
  return {StatusCode::kResourceExhausted, WatchRefusalText(WatchRefusal::kTotalLimit)};
}

RpcStatus MalformedMethodName(std::string_view name) {
  return {StatusCode::kUnimplemented,
          absl::StrCat("malformed method name: \"", absl::CHexEscape(std::string(name)), "\"")};
}

RpcStatus UnknownService(std::string_view service) {
  return {StatusCode::kUnimplemented, absl::StrCat("unknown service ", std::string(service))};
}

RpcStatus UnknownMethod(std::string_view service, std::string_view method) {
  return {StatusCode::kUnimplemented, absl::StrCat("unknown method ", std::string(method),
                                                   " for service ", std::string(service))};
}

RpcStatus UnknownHealthService() { return {StatusCode::kNotFound, "unknown service"}; }

RpcStatus TooManyReadBytes() {
  return {StatusCode::kResourceExhausted,
          "etcdserver: too many bytes of range results under way, ask again for less"};
}

RpcStatus AnswerTooLarge(int64_t bytes, int64_t bytes_max) {
  return {
      StatusCode::kResourceExhausted,
      absl::StrCat("etcdserver: the answer is larger than can be sent (", bytes, " vs. ", bytes_max,
                   " bytes), ask for less (limit, a smaller range, keys_only) or "
                   "use RangeStream")};
}

// Unknown to clients by code and text, so that none takes it for a refusal and writes again.
RpcStatus WriteAnswerTooLarge() {
  return {StatusCode::kUnknown,
          "etcdserver: the request was carried out, but what it returns is too large, read it "
          "with Range or ask for less of it (prev_kv, ranges in transactions); the server's limits "
          "are --write-answer-bytes-max and --read-bytes-max"};
}

RpcStatus SnapshotTooOld() {
  return {StatusCode::kDeadlineExceeded,
          "etcdserver: the snapshot was read too slowly and is given up, ask again nearer to the "
          "member or raise its --snapshot-age-max"};
}

}  // namespace gavel::server
