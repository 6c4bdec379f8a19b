// What is done to one member of a checked cluster at a time while something else is watched.
#pragma once

#include <chrono>

#include "raft/random.h"
#include "tests/chaos/checked_cluster.h"

namespace gavel::chaos {

// Used by one thread.
class Harm {
 public:
  Harm(CheckedCluster& checked, uint64_t seed) : checked_(checked), random_(seed) {}

  // Kills one member and starts it again after a while, or stops it (SIGSTOP) for a while. Half of
  // the times it is the leader. Waits until all serve; false, with a problem, if they do not.
  bool Once();

  int kills() const { return kills_; }
  int pauses() const { return pauses_; }
  // Of those two together.
  int of_leaders() const { return of_leaders_; }

 private:
  CheckedCluster& checked_;
  raft::Random random_;
  int kills_ = 0;
  int pauses_ = 0;
  int of_leaders_ = 0;
};

// The member that a majority follows, as the members tell; -1 if none says so within a minute.
int FindLeader(const ProcessCluster& cluster);

// Waits until a member other than `except` has put a key. Returns how long that took; a minute if
// it did not come.
std::chrono::milliseconds AwaitWrites(const ProcessCluster& cluster, int except);

}  // namespace gavel::chaos
