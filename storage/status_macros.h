// Early return for absl::Status and absl::StatusOr, named so that Abseil's own (in later releases)
// can take their place.
#pragma once

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Returns from the function if `expression`, an absl::Status, is not OK.
#define GAVEL_RETURN_IF_ERROR(expression)                               \
  do {                                                                  \
    if (absl::Status gavel_status = (expression); !gavel_status.ok()) { \
      return gavel_status;                                              \
    }                                                                   \
  } while (false)

#define GAVEL_STATUS_CONCAT_INNER(a, b) a##b
#define GAVEL_STATUS_CONCAT(a, b) GAVEL_STATUS_CONCAT_INNER(a, b)

// Assigns the value of `expression`, an absl::StatusOr, to `target`, which may be a declaration;
// returns its status from the function if it holds none.
#define GAVEL_ASSIGN_OR_RETURN(target, expression) \
  GAVEL_ASSIGN_OR_RETURN_INNER(GAVEL_STATUS_CONCAT(gavel_status_or_, __LINE__), target, expression)
#define GAVEL_ASSIGN_OR_RETURN_INNER(holder, target, expression) \
  auto holder = (expression);                                    \
  if (!holder.ok()) return std::move(holder).status();           \
  target = *std::move(holder)
