// Semantics versions: the rules by which commands are applied.
//
// What a build can apply and what the members have agreed on are two things. A command that needs
// newer rules enters the log only once every member can apply it: until then the cluster works by
// the version that its state holds, and each member can go back to the build that it came from.
#pragma once

#include <cstdint>

namespace gavel::storage {

// The version that a new cluster begins with.
inline constexpr uint32_t kFoundingSemantics = 3;

// The highest version that this build can apply. 1: keys and members; 2: leases; 3: changes of
// membership, quota and alarms, digests; 4: priorities for leadership, and agreeing on versions.
//
// A function of a file of its own, so that a test can link a build that knows another.
uint32_t SemanticsVersion();

}  // namespace gavel::storage
