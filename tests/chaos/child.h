// Other processes of this same program, which can be ended or stopped without harm to this one.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace gavel::chaos {

// Starts this program with `arguments`; what it prints is added to the file `output`. The child
// ends when the thread that called does.
pid_t StartSelf(const std::vector<std::string>& arguments, const std::string& output);

// SIGKILL, and waits until it is gone. Requires: a child that nobody has waited for.
void KillChild(pid_t pid);

}  // namespace gavel::chaos
