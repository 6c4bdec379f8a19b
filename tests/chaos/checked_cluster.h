// A cluster of real members with the checks that every kind of chaos needs.
//
// Gathers what went wrong in words; nothing is wrong as long as problems() is empty. Used by one
// thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tests/chaos/cluster.h"
#include "tests/chaos/history.h"
#include "tests/chaos/workload.h"

namespace gavel::chaos {

class CheckedCluster {
 public:
  explicit CheckedCluster(ClusterOptions options) : cluster_(std::move(options)) {}

  ProcessCluster& cluster() { return cluster_; }
  const std::vector<std::string>& problems() const { return problems_; }
  std::vector<std::string>& problems() { return problems_; }

  // Starts all members and waits until each serves.
  bool Start();
  // Waits until every member answers a linearizable read; false, with a problem, if one does not
  // within a minute.
  bool AllServe();
  // A problem if a member ended without being asked to.
  bool NobodyDied();
  void Problem(int member, const std::string& what);

  // Checks what clients saw against what the store says. nullopt, with a problem, if the store
  // does not say. Requires: `workload` has stopped.
  std::optional<CheckResult> CheckHistory(Workload& workload);
  // The same and the hashes of all members; violations become problems, and so does a history
  // with less than `operations_min` reads or acknowledged writes. Prints the counts.
  void CheckAll(Workload& workload, int64_t operations_min);
  // Stops all members; each has to leave cleanly.
  void StopAll();

 private:
  std::optional<int64_t> LastRevision();
  void CheckHashes(int64_t revision);

  ProcessCluster cluster_;
  std::vector<std::string> problems_;
};

// True if `target` answers a linearizable read within a second.
bool ServesNow(const std::string& target);
// True if `target` answers a linearizable read within a minute.
bool WaitUntilServes(const std::string& target);

}  // namespace gavel::chaos
