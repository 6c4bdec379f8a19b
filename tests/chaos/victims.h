// One process with many clients that is there to be killed.
#pragma once

#include <string>
#include <vector>

namespace gavel::chaos {

// What all clients watch.
inline constexpr char kWatchedByVictims[] = "victims/watched";
// What the process prints when all of its clients have all that they want.
inline constexpr char kVictimsReady[] = "ready";
// Of the leases that the clients keep alive.
inline constexpr int kVictimTtlSeconds = 5;

struct VictimOptions {
  std::vector<std::string> targets;
  int clients = 1;
};

// Each client has a connection of its own to one member, with a lease that it keeps alive and a
// watcher, of which every other one stops reading. For every ten there are two more, which are
// never heard of again: one after half of a request, and one after asking for a watcher. Returns
// only if it could not begin.
void RunVictims(const VictimOptions& options);

}  // namespace gavel::chaos
