// The manual page gavelctl(1), from the tables of commands and flags.
#pragma once

#include <string>

namespace gavel::client::ctl {

// In roff, for man.
std::string ManualPage();

}  // namespace gavel::client::ctl
