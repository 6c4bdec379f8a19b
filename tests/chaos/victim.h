// The member whose disk fails, and what it can be made to do meanwhile.
#pragma once

#include <optional>
#include <string>

#include "tests/chaos/checked_cluster.h"

namespace gavel::chaos {

constexpr int kVictim = 0;

// Those from kCut on need a cluster WithLittleLog.
enum Phase { kFirstStart, kLoad, kRestart, kStop, kCut, kSnapshot, kJoin, kPhases };

constexpr const char* kPhaseNames[kPhases] = {"first start", "load",     "restart", "stop",
                                              "log cut",     "snapshot", "join"};

// Not thread-safe. The others must run.
class Victim {
 public:
  // `megabytes` is how much it is given in a phase that is to make its log roll.
  Victim(CheckedCluster& checked, int megabytes) : checked_(checked), megabytes_(megabytes) {}

  // What becomes of its calls from the next phase on, as ProcessCluster::SetRules has it.
  void Arm(const std::string& rules) { rules_ = rules; }

  // Makes it do `phase`, until all serve again; false, with a problem, if it or another fails. With
  // `expect_end` it may end at any moment, and need not serve.
  //
  // log cut: it writes so much that its log rolls, and is cut.
  // snapshot: it is away for so long that it needs a snapshot, and installs one.
  // join: it is removed, loses its disk, is added again and joins.
  bool Do(Phase phase, bool expect_end);

  // Its wait status, once it has ended by itself.
  std::optional<int> TakeEnd();

  // All that it has logged but for the first `from` bytes.
  std::string LogFrom(size_t from);

 private:
  ProcessCluster& cluster() { return checked_.cluster(); }
  void Kill();
  void Start();
  void Stop(bool expect_end);
  void InstallSnapshot();
  void Join();
  bool Readmit();
  int CountInstalls();

  CheckedCluster& checked_;
  const int megabytes_;
  std::string rules_;
  std::optional<int> end_;
};

}  // namespace gavel::chaos
