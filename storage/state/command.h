// Decodes what a command entry of the log holds, and says whether this build can apply it.
//
// The one rule for both ends of the log: a leader's member asks it before a command from elsewhere
// is proposed, and apply before it is carried out.
#pragma once

#include <string_view>

#include "absl/status/statusor.h"

namespace google::protobuf {
class Arena;
}
namespace gavel::internal {
class Command;
}

namespace gavel::storage {

// DataLoss: no command, or none with a body that this build knows. FailedPrecondition: it needs
// rules that only a newer build has. The command lives in `arena`.
absl::StatusOr<const internal::Command*> DecodeCommand(std::string_view payload,
                                                       google::protobuf::Arena& arena);

}  // namespace gavel::storage
