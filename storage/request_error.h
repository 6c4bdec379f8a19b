// Why the state machine refuses a request. A refusal changes nothing, but that the one for want of
// space may raise an alarm.
//
// The numbers and texts that clients see are in server/rpc/error_map.cc.
#pragma once

#include <cstdint>

namespace gavel::storage {

enum class RequestError : uint8_t {
  kNone,
  kCompacted,       // The revision asked for is below the compacted revision.
  kFutureRevision,  // The revision asked for has not happened.
  kKeyNotFound,     // ignore_value or ignore_lease on a missing key.
  kLeaseNotFound,   // There is no such lease.
  kLeaseExists,     // A grant names a lease that exists.
  kInvalidSort,     // A sort target or order outside its enumeration.
  kNoSpace,         // The quota is used up, or a disk; see limits.h.
  kCorrupt,         // A member's copy is said to differ: no writes until the alarm ends.
  // Of members.
  kMemberNotFound,
  kMemberExists,
  kPeerUrlExists,       // Another member has it.
  kMemberNotLearner,    // Only a learner can be promoted.
  kLearnerNotReady,     // It has not caught up with the leader.
  kNotEnoughStarted,    // Too few voters would be left.
  kMembershipUnderWay,  // The member is being replaced.
};
inline constexpr RequestError kRequestErrorMax = RequestError::kMembershipUnderWay;

}  // namespace gavel::storage
