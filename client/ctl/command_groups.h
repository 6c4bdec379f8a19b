// Branches of the tree of commands that fill a file of their own.
#pragma once

#include <vector>

#include "client/ctl/command.h"

namespace gavel::client::ctl {

Command MemberCommand();

Command CheckCommand();

Command MirrorCommand();
const std::vector<FlagSpec>& MirrorFlags();

}  // namespace gavel::client::ctl
