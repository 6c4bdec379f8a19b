// Shell completion, from the tables of commands and flags.
#pragma once

#include <string>

namespace gavel::client::ctl {

// Scripts that the shells load. Words complete to commands, flags, known values and files.
std::string BashCompletion();
std::string ZshCompletion();
std::string FishCompletion();

}  // namespace gavel::client::ctl
