// What an operator is advised to do, where more than one place says so.
#pragma once

#include "absl/status/status.h"

namespace gavel::storage {

// About an error of the system, as SystemError tells it. Null for any other: what was found wrong
// with data says itself what to do.
constexpr const char* AdviceOn(absl::StatusCode error) {
  switch (error) {
    case absl::StatusCode::kPermissionDenied:
      return "give the user that runs gaveld read and write access to it and all it holds";
    case absl::StatusCode::kResourceExhausted:
      return "free some space on its file system";
    case absl::StatusCode::kInternal:
      return "check the disk and the kernel's messages";
    default:
      return nullptr;
  }
}

// For a member whose data is lost or cannot be trusted any more. Stands behind a colon or "or".
inline constexpr char kReplaceMember[] =
    "remove the member from the cluster and add it again with an empty data directory";

}  // namespace gavel::storage
