// gavelctl from its command line to its exit code.
#pragma once

#include <string>
#include <vector>

#include "client/ctl/output.h"
#include "client/ctl/settings.h"

namespace gavel::client::ctl {

// `variables` is the process's environment, in the form of `environ`.
int Run(std::vector<std::string> arguments, const char* const* variables, Output* output);

}  // namespace gavel::client::ctl
