// Branches of the tree of commands that fill a file of their own.
#pragma once

#include "client/ctl/command.h"

namespace gavel::client::ctl {

Command MemberCommand();

}  // namespace gavel::client::ctl
