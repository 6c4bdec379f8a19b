// How a call ended, as the checker needs to know it.
#pragma once

#include <string_view>

#include "server/rpc/status.h"

namespace gavel::chaos {

enum class Outcome {
  kOk,
  kRefused,  // The member answered that nothing was done.
  kDropped,  // Nothing was done, and another member may do it.
  kUnknown,  // It may or may not have been carried out.
};

// What an error that a member answered says of a write.
Outcome OutcomeOf(server::StatusCode code, std::string_view text);

}  // namespace gavel::chaos
