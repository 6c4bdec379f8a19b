// Errors of servers, and what the library makes of each: every text that it knows, and some codes.
#pragma once

#include <grpcpp/grpcpp.h>

#include "client/status.h"

namespace gavel::client::testing {

struct Case {
  grpc::StatusCode code;
  const char* text;
  ErrorClass error_class;
  Reason reason;
};

// What a server says that nothing was done about, or refused, or may have done.
inline constexpr Case kCases[] = {
    {grpc::INVALID_ARGUMENT, "etcdserver: key is not provided", ErrorClass::kRejected,
     Reason::kEmptyKey},
    {grpc::INVALID_ARGUMENT, "etcdserver: key not found", ErrorClass::kRejected,
     Reason::kKeyNotFound},
    {grpc::INVALID_ARGUMENT, "etcdserver: duplicate key given in txn request",
     ErrorClass::kRejected, Reason::kDuplicateKey},
    {grpc::INVALID_ARGUMENT, "etcdserver: too many operations in txn request",
     ErrorClass::kRejected, Reason::kTooManyOperations},
    {grpc::INVALID_ARGUMENT, "etcdserver: request is too large", ErrorClass::kRejected,
     Reason::kRequestTooLarge},
    {grpc::OUT_OF_RANGE, "etcdserver: mvcc: required revision has been compacted",
     ErrorClass::kRejected, Reason::kCompacted},
    {grpc::OUT_OF_RANGE, "etcdserver: mvcc: required revision is a future revision",
     ErrorClass::kRejected, Reason::kFutureRevision},
    {grpc::NOT_FOUND, "etcdserver: requested lease not found", ErrorClass::kRejected,
     Reason::kLeaseNotFound},
    {grpc::RESOURCE_EXHAUSTED, "etcdserver: mvcc: database space exceeded", ErrorClass::kUnknown,
     Reason::kNoSpace},
    {grpc::RESOURCE_EXHAUSTED, "grpc: received message larger than max (3000000 vs. 2097152)",
     ErrorClass::kRejected, Reason::kRequestTooLarge},
    {grpc::PERMISSION_DENIED, "etcdserver: permission denied", ErrorClass::kRejected,
     Reason::kPermissionDenied},
    {grpc::UNAUTHENTICATED, "etcdserver: invalid auth token", ErrorClass::kRejected,
     Reason::kAuthentication},
    {grpc::UNIMPLEMENTED, "unknown method X for service etcdserverpb.KV", ErrorClass::kRejected,
     Reason::kNotServed},
    {grpc::DATA_LOSS, "etcdserver: corrupt cluster", ErrorClass::kRejected, Reason::kCorrupt},
    {grpc::FAILED_PRECONDITION, "etcdserver: something new", ErrorClass::kRejected, Reason::kOther},
    {grpc::UNAVAILABLE, "etcdserver: leader changed", ErrorClass::kUnknown, Reason::kLeaderChanged},
    {grpc::UNAVAILABLE, "etcdserver: request timed out", ErrorClass::kUnknown, Reason::kTimedOut},
    {grpc::UNAVAILABLE, "etcdserver: request timed out, possibly due to connection lost",
     ErrorClass::kUnknown, Reason::kTimedOut},
    {grpc::UNAVAILABLE, "etcdserver: server stopped", ErrorClass::kUnknown, Reason::kStopped},
    {grpc::UNAVAILABLE, "Socket closed", ErrorClass::kUnknown, Reason::kConnection},
    {grpc::INTERNAL, "RST_STREAM", ErrorClass::kUnknown, Reason::kConnection},
    // The client ran out of something, after the server was done.
    {grpc::RESOURCE_EXHAUSTED, "Received message larger than max (9 vs. 4)", ErrorClass::kUnknown,
     Reason::kOther},
    {grpc::ABORTED, "x", ErrorClass::kUnknown, Reason::kOther},
    {grpc::CANCELLED, "x", ErrorClass::kUnknown, Reason::kOther},
    {grpc::UNKNOWN, "x", ErrorClass::kUnknown, Reason::kOther},
    {grpc::DATA_LOSS, "x", ErrorClass::kUnknown, Reason::kOther},
    // Dropped for certain: sent again, writes too.
    {grpc::UNAVAILABLE, "etcdserver: no leader", ErrorClass::kDropped, Reason::kNoLeader},
    {grpc::UNKNOWN, "raft proposal dropped", ErrorClass::kDropped, Reason::kNoLeader},
    {grpc::RESOURCE_EXHAUSTED, "etcdserver: too many requests", ErrorClass::kDropped,
     Reason::kTooManyRequests},
    {grpc::RESOURCE_EXHAUSTED,
     "etcdserver: too many bytes of range results under way, ask again for less",
     ErrorClass::kDropped, Reason::kTooManyRequests},
    {grpc::FAILED_PRECONDITION, "etcdserver: rpc not supported for learner", ErrorClass::kDropped,
     Reason::kLearner},
    {grpc::INVALID_ARGUMENT, "mvcc: watcher range is empty", ErrorClass::kRejected,
     Reason::kEmptyRange},
    {grpc::INVALID_ARGUMENT, "etcdserver: value is provided", ErrorClass::kRejected,
     Reason::kValueProvided},
    {grpc::INVALID_ARGUMENT, "etcdserver: lease is provided", ErrorClass::kRejected,
     Reason::kLeaseProvided},
    {grpc::INVALID_ARGUMENT, "etcdserver: invalid sort option", ErrorClass::kRejected,
     Reason::kInvalidSort},
    {grpc::FAILED_PRECONDITION, "etcdserver: lease already exists", ErrorClass::kRejected,
     Reason::kLeaseExists},
    {grpc::OUT_OF_RANGE, "etcdserver: too large lease TTL", ErrorClass::kRejected,
     Reason::kLeaseTtlTooLarge},
    {grpc::INVALID_ARGUMENT, "etcdserver: user name is empty", ErrorClass::kRejected,
     Reason::kAuthentication},
    {grpc::INVALID_ARGUMENT, "etcdserver: authentication failed, invalid user ID or password",
     ErrorClass::kRejected, Reason::kAuthentication},
    {grpc::INVALID_ARGUMENT, "etcdserver: revision of auth store is old", ErrorClass::kRejected,
     Reason::kAuthentication},
    {grpc::UNAVAILABLE, "etcdserver: request timed out, possibly due to previous leader failure",
     ErrorClass::kUnknown, Reason::kTimedOut},
    {grpc::UNAVAILABLE,
     "etcdserver: request timed out, waiting for the applied index took too long",
     ErrorClass::kUnknown, Reason::kTimedOut},
    {grpc::FAILED_PRECONDITION, "etcdserver: member ID already exist", ErrorClass::kRejected,
     Reason::kMemberExists},
    {grpc::FAILED_PRECONDITION, "etcdserver: Peer URLs already exists", ErrorClass::kRejected,
     Reason::kPeerUrlExists},
    {grpc::INVALID_ARGUMENT, "etcdserver: given member URLs are invalid", ErrorClass::kRejected,
     Reason::kBadMemberUrls},
    {grpc::NOT_FOUND, "etcdserver: member not found", ErrorClass::kRejected,
     Reason::kMemberNotFound},
    {grpc::FAILED_PRECONDITION, "etcdserver: can only promote a learner member",
     ErrorClass::kRejected, Reason::kNotLearner},
    {grpc::FAILED_PRECONDITION,
     "etcdserver: can only promote a learner member which is in sync with leader",
     ErrorClass::kRejected, Reason::kLearnerNotReady},
    {grpc::FAILED_PRECONDITION, "etcdserver: too many learner members in cluster",
     ErrorClass::kRejected, Reason::kTooManyLearners},
    {grpc::FAILED_PRECONDITION,
     "etcdserver: re-configuration failed due to not enough started members", ErrorClass::kRejected,
     Reason::kNotEnoughStarted},
    {grpc::UNAVAILABLE, "etcdserver: unhealthy cluster", ErrorClass::kRejected,
     Reason::kUnhealthyCluster},
};

}  // namespace gavel::client::testing
