// Why the state machine refuses a request. A refusal changes nothing.
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
  kNoSpace,         // The quota is used up.
};

}  // namespace gavel::storage
