// The errors that clients compare letter by letter.

#include <map>
#include <string>

#include "gtest/gtest.h"

#include "server/rpc/error_map.h"

namespace gavel::testing {
namespace {

using server::Error;
using server::GateResult;
using server::RpcStatus;
using server::StatusCode;
using storage::RequestError;

// The contract's table (text to gRPC's number), written down apart from the code's.
const std::map<std::string, int>& Contract() {
  static const std::map<std::string, int> table = {
      {"etcdserver: key is not provided", 3},
      {"etcdserver: key not found", 3},
      {"etcdserver: value is provided", 3},
      {"etcdserver: lease is provided", 3},
      {"etcdserver: too many operations in txn request", 3},
      {"etcdserver: duplicate key given in txn request", 3},
      {"etcdserver: invalid client api version", 3},
      {"etcdserver: invalid sort option", 3},
      {"etcdserver: mvcc: required revision has been compacted", 11},
      {"etcdserver: mvcc: required revision is a future revision", 11},
      {"etcdserver: mvcc: database space exceeded", 8},
      {"etcdserver: requested lease not found", 5},
      {"etcdserver: lease already exists", 9},
      {"etcdserver: too large lease TTL", 11},
      {"etcdserver: watch canceled", 1},
      {"mutex: session is expired", 2},
      {"election: no leader", 2},
      {"election: not leader", 2},
      {"\"leader\" field must be provided", 2},
      {"etcdserver: member ID already exist", 9},
      {"etcdserver: Peer URLs already exists", 9},
      {"etcdserver: re-configuration failed due to not enough started members", 9},
      {"etcdserver: given member URLs are invalid", 3},
      {"etcdserver: member not found", 5},
      {"etcdserver: can only promote a learner member", 9},
      {"etcdserver: can only promote a learner member which is in sync with leader", 9},
      {"etcdserver: too many learner members in cluster", 9},
      {"etcdserver: cluster ID mismatch", 9},
      {"etcdserver: request is too large", 3},
      {"etcdserver: too many requests", 8},
      {"etcdserver: root user does not exist", 9},
      {"etcdserver: root user does not have root role", 9},
      {"etcdserver: user name already exists", 9},
      {"etcdserver: user name is empty", 3},
      {"etcdserver: user name not found", 9},
      {"etcdserver: role name already exists", 9},
      {"etcdserver: role name not found", 9},
      {"etcdserver: role name is empty", 3},
      {"etcdserver: authentication failed, invalid user ID or password", 3},
      {"etcdserver: permission not given", 3},
      {"etcdserver: permission denied", 7},
      {"etcdserver: role is not granted to the user", 9},
      {"etcdserver: permission is not granted to the role", 9},
      {"etcdserver: authentication is not enabled", 9},
      {"etcdserver: invalid auth token", 16},
      {"etcdserver: invalid auth management", 3},
      {"etcdserver: revision of auth store is old", 3},
      {"etcdserver: no leader", 14},
      {"etcdserver: not leader", 9},
      {"etcdserver: leader changed", 14},
      {"etcdserver: not capable", 9},
      {"etcdserver: server stopped", 14},
      {"etcdserver: request timed out", 14},
      {"etcdserver: request timed out, possibly due to previous leader failure", 14},
      {"etcdserver: request timed out, possibly due to connection lost", 14},
      {"etcdserver: request timed out, waiting for the applied index took too long", 14},
      {"etcdserver: unhealthy cluster", 14},
      {"etcdserver: corrupt cluster", 15},
      {"etcdserver: rpc not supported for learner", 9},
      {"etcdserver: bad leader transferee", 9},
      {"etcdserver: wrong downgrade target version format", 3},
      {"etcdserver: invalid downgrade target version", 3},
      {"etcdserver: cluster version not found during downgrade", 9},
      {"etcdserver: cluster has a downgrade job in progress", 9},
      {"etcdserver: no inflight downgrade job", 9},
      {"etcdserver: request canceled", 1},
      {"etcdserver: context deadline exceeded", 4},
      {"RangeStream does not support custom sort orders", 12},
      {"RangeStream does not support revision filters", 12}};
  return table;
}

TEST(RpcErrorMapTest, TheTableIsTheContracts) {
  std::map<std::string, int> actual;
  for (const server::ErrorRow& row : server::ErrorTable()) {
    EXPECT_TRUE(actual.emplace(row.text, static_cast<int>(row.code)).second) << row.text;
  }
  EXPECT_EQ(actual, Contract());
}

TEST(RpcErrorMapTest, AnErrorHasTheCodeAndTextOfItsRow) {
  for (const server::ErrorRow& row : server::ErrorTable()) {
    EXPECT_EQ(server::ToStatus(row.error), (RpcStatus{row.code, std::string(row.text)}));
  }
}

TEST(RpcErrorMapTest, RefusalsOfTheStateMachine) {
  const std::pair<RequestError, Error> rows[] = {
      {RequestError::kCompacted, Error::kCompacted},
      {RequestError::kFutureRevision, Error::kFutureRevision},
      {RequestError::kKeyNotFound, Error::kKeyNotFound},
      {RequestError::kLeaseNotFound, Error::kLeaseNotFound},
      {RequestError::kInvalidSort, Error::kInvalidSortOption},
      {RequestError::kNoSpace, Error::kNoSpace},
      {RequestError::kMemberNotFound, Error::kMemberNotFound},
      {RequestError::kMemberExists, Error::kMemberExists},
      {RequestError::kPeerUrlExists, Error::kPeerUrlExists},
      {RequestError::kMemberNotLearner, Error::kNotLearner},
      {RequestError::kLearnerNotReady, Error::kLearnerNotReady},
      {RequestError::kNotEnoughStarted, Error::kNotEnoughStarted},
      {RequestError::kCorrupt, Error::kCorrupt}};
  for (const auto& [refusal, error] : rows) {
    EXPECT_EQ(server::ToStatus(refusal), server::ToStatus(error));
  }
}

TEST(RpcErrorMapTest, RequestsWithoutAnOutcome) {
  const std::pair<GateResult, Error> rows[] = {
      {GateResult::kNoLeader, Error::kNoLeader},
      {GateResult::kDropped, Error::kNoLeader},
      {GateResult::kLeaderChanged, Error::kLeaderChanged},
      {GateResult::kTimedOut, Error::kTimeout},
      {GateResult::kTimedOutLeaderFailed, Error::kTimeoutLeaderFail},
      {GateResult::kTimedOutDisconnected, Error::kTimeoutConnectionLost},
      {GateResult::kTooManyRequests, Error::kTooManyRequests},
      {GateResult::kNotTaken, Error::kNotCapable},
      {GateResult::kStopped, Error::kStopped}};
  for (const auto& [result, error] : rows) {
    EXPECT_EQ(server::ToStatus(result), server::ToStatus(error));
  }
}

// A client may send a write again after what is certain, and only then: the two kinds of results
// share no text.
TEST(RpcErrorMapTest, ACertainDropNeverReadsLikeAnUnknownOutcome) {
  constexpr GateResult kResults[] = {GateResult::kNoLeader,
                                     GateResult::kDropped,
                                     GateResult::kTimedOut,
                                     GateResult::kTimedOutLeaderFailed,
                                     GateResult::kTimedOutDisconnected,
                                     GateResult::kLeaderChanged,
                                     GateResult::kTooManyRequests,
                                     GateResult::kNotTaken,
                                     GateResult::kStopped};
  for (const GateResult certain : kResults) {
    for (const GateResult other : kResults) {
      if (!server::CertainlyNotCarriedOut(certain) || server::CertainlyNotCarriedOut(other)) {
        continue;
      }
      EXPECT_NE(server::ToStatus(certain).message, server::ToStatus(other).message);
    }
  }
  EXPECT_TRUE(server::CertainlyNotCarriedOut(GateResult::kDropped));
  EXPECT_FALSE(server::CertainlyNotCarriedOut(GateResult::kTimedOut));
}

TEST(RpcErrorMapTest, TheTransportLimitHasGosText) {
  EXPECT_EQ(server::MessageTooLarge(3000000, 2097152),
            (RpcStatus{StatusCode::kResourceExhausted,
                       "grpc: received message larger than max (3000000 vs. 2097152)"}));
}

}  // namespace
}  // namespace gavel::testing
