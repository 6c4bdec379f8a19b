#include "storage/state/command.h"

#include <google/protobuf/arena.h>

#include "absl/strings/str_cat.h"

#include "proto/internal/command.pb.h"
#include "proto/parse.h"
#include "storage/state/semantics.h"
#include "storage/status_macros.h"

namespace gavel::storage {
namespace {

absl::Status CheckKnown(uint32_t semantics) {
  if (semantics <= SemanticsVersion()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("the command needs semantics version ", semantics, "; this build knows up to ",
                   SemanticsVersion(), ": a newer build is needed"));
}

}  // namespace

absl::StatusOr<const internal::Command*> DecodeCommand(std::string_view payload,
                                                       google::protobuf::Arena& arena) {
  auto* command = google::protobuf::Arena::CreateMessage<internal::Command>(&arena);
  if (!ParseMessage(payload, kCommandDepthMax, command)) {
    return absl::DataLossError("the payload is no command");
  }
  GAVEL_RETURN_IF_ERROR(CheckKnown(command->semantics()));
  if (command->semantics() == 0) {
    return absl::DataLossError("the command names no semantics version");
  }
  if (command->body_case() == internal::Command::BODY_NOT_SET) {
    return absl::DataLossError("the command has no body that this build knows");
  }
  GAVEL_RETURN_IF_ERROR(CheckKnown(command->agree_semantics().version()));
  return command;
}

}  // namespace gavel::storage
