#include "storage/state/command.h"

#include <google/protobuf/arena.h>

#include "absl/strings/str_cat.h"

#include "proto/internal/command.pb.h"
#include "proto/parse.h"

namespace gavel::storage {

absl::StatusOr<const internal::Command*> DecodeCommand(std::string_view payload,
                                                       google::protobuf::Arena& arena) {
  auto* command = google::protobuf::Arena::CreateMessage<internal::Command>(&arena);
  if (!ParseMessage(payload, kCommandDepthMax, command)) {
    return absl::DataLossError("the payload is no command");
  }
  if (command->semantics() > kSemanticsVersion) {
    return absl::FailedPreconditionError(
        absl::StrCat("the command needs semantics version ", command->semantics(),
                     "; this build knows up to ", kSemanticsVersion, ": a newer build is needed"));
  }
  if (command->semantics() == 0) {
    return absl::DataLossError("the command names no semantics version");
  }
  if (command->body_case() == internal::Command::BODY_NOT_SET) {
    return absl::DataLossError("the command has no body that this build knows");
  }
  return command;
}

}  // namespace gavel::storage
