// What a member holds for its clients, from outside.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "tests/chaos/leftovers.h"

namespace gavel::chaos {

// Of the process `pid`, which answers metrics at `target` (host:port); nullopt if it does not
// answer within 10 s.
std::optional<MemberLoad> ReadLoad(const std::string& target, pid_t pid);

}  // namespace gavel::chaos
