// Every error that a client can be told, with etcd's code and text, in one table.
//
// Clients compare the texts letter by letter, so no other file spells one.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "server/node/gate.h"
#include "server/rpc/status.h"
#include "server/watch/watch_types.h"
#include "storage/request_error.h"

namespace gavel::server {

enum class Error : uint8_t {
  // Requests.
  kEmptyKey,
  kKeyNotFound,
  kValueProvided,
  kLeaseProvided,
  kTooManyOps,
  kDuplicateKey,
  kInvalidClientApiVersion,
  kInvalidSortOption,
  kCompacted,
  kFutureRevision,
  kNoSpace,
  kRequestTooLarge,
  kTooManyRequests,
  kStreamSortUnsupported,
  kStreamFilterUnsupported,
  // Leases and watches.
  kLeaseNotFound,
  kLeaseExists,
  kLeaseTtlTooLarge,
  kWatchCanceled,
  // Locks and elections.
  kLockSessionExpired,
  kElectionNoLeader,
  kElectionNotLeader,
  kMissingLeaderKey,
  // Members.
  kMemberExists,
  kPeerUrlExists,
  kNotEnoughStarted,
  kBadMemberUrls,
  kMemberNotFound,
  kNotLearner,
  kLearnerNotReady,
  kTooManyLearners,
  kClusterIdMismatch,
  kNotSupportedForLearner,
  kBadLeaderTransferee,
  // Users and roles.
  kRootUserMissing,
  kRootRoleMissing,
  kUserExists,
  kUserEmpty,
  kUserNotFound,
  kRoleExists,
  kRoleNotFound,
  kRoleEmpty,
  kAuthFailed,
  kPermissionNotGiven,
  kPermissionDenied,
  kRoleNotGranted,
  kPermissionNotGranted,
  kAuthNotEnabled,
  kInvalidAuthToken,
  kInvalidAuthManagement,
  kAuthOldRevision,
  // The cluster.
  kNoLeader,
  kNotLeader,
  kLeaderChanged,
  kNotCapable,
  kStopped,
  kTimeout,
  kTimeoutLeaderFail,
  kTimeoutConnectionLost,
  kTimeoutAppliedIndex,
  kUnhealthy,
  kCorrupt,
  kCanceled,
  kDeadlineExceeded,
  // Downgrades.
  kDowngradeVersionFormat,
  kDowngradeVersion,
  kDowngradeNoClusterVersion,
  kDowngradeInProgress,
  kDowngradeNotInProgress,
};

struct ErrorRow {
  Error error;
  StatusCode code;
  std::string_view text;
};

// All rows, in the order of the enumeration.
std::span<const ErrorRow> ErrorTable();

RpcStatus ToStatus(Error error);

// Requires: error is not kNone.
RpcStatus ToStatus(storage::RequestError error);

// Why a write or a read got no outcome. Requires: result is neither kOk nor kRefused.
RpcStatus ToStatus(GateResult result);

// The engine failed under a read; `what` says how.
RpcStatus InternalError(std::string_view what);
// What a call needs to watch was refused by WatchLimits::watchers_max.
RpcStatus TooManyWatchers();
// The bytes received are no message of the method's type.
RpcStatus MalformedRequest();
// The same on a stream that the client sends many messages on.
RpcStatus MalformedMessage();
// A message beyond what the transport takes.
RpcStatus MessageTooLarge(size_t bytes, size_t bytes_max);
// An action that a maintenance method does not know.
RpcStatus UnknownAction();
// What Go's gRPC answers to the name of a method that is none, or that nobody serves.
RpcStatus MalformedMethodName(std::string_view name);
RpcStatus UnknownService(std::string_view service);
RpcStatus UnknownMethod(std::string_view service, std::string_view method);
// A service that the health service does not know.
RpcStatus UnknownHealthService();
// A part of `method` that this release does not serve.
RpcStatus NotServed(std::string_view method, std::string_view what);
// Why a watcher was not created, as cancel_reason says it.
std::string WatchRefusalText(WatchRefusal why);
// More bytes of answers are under way than the member may hold.
RpcStatus TooManyReadBytes();
// One answer is larger than can be sent.
RpcStatus AnswerTooLarge(int64_t bytes, int64_t bytes_max);
// There is no room for what a write returns; the write has been carried out.
RpcStatus WriteAnswerTooLarge();
// The client took longer over a snapshot than the member may hold its state for it.
RpcStatus SnapshotTooOld();

}  // namespace gavel::server
