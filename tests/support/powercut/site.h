// Names the place a call comes from.
#pragma once

#include <string>

namespace gavel::powercut {

// Returns a short name of the current stack outside this library: equal for equal call chains
// of one build of a program, in any process. With `description`, also what the frames are.
std::string CallSite(std::string* description);

}  // namespace gavel::powercut
