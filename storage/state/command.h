// Decodes what a command entry of the log holds, and says whether this build can apply it.
//
// The one rule for both ends of the log: a leader's member asks it before a command from elsewhere
// is proposed, and apply before it is carried out.
#pragma once

#include <cstdint>
#include <string_view>

#include "absl/status/statusor.h"

namespace google::protobuf {
class Arena;
}
namespace gavel::internal {
class Command;
}

namespace gavel::storage {

// The highest Command.semantics this build can apply. 1: keys and members; 2: leases; 3: changes
// of membership, quota and alarms, digests; 4: priorities for leadership.
inline constexpr uint32_t kSemanticsVersion = 4;

// DataLoss: no command, or none with a body that this build knows. FailedPrecondition: it needs
// rules that only a newer build has. The command lives in `arena`.
absl::StatusOr<const internal::Command*> DecodeCommand(std::string_view payload,
                                                       google::protobuf::Arena& arena);

}  // namespace gavel::storage
