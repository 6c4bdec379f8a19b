// Refuses messages that no member of this version would send, before they touch any state.
#pragma once

#include "raft/message.h"

namespace gavel::raft {

// Returns false for a message that contradicts itself: entries that are not consecutive or
// whose terms fall, a configuration that cannot be read or has no voter, a leader of term 0; nor
// for one that names a term above kTermMax or an index above kIndexMax.
// Whether it fits this member's state is decided later.
bool IsWellFormed(const Message& message);

}  // namespace gavel::raft
