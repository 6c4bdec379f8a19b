// The proof that power cuts find what they are for: with disks that only say they have synced,
// acknowledged writes are lost, and the checker says so.
#include <sys/stat.h>

#include <chrono>
#include <cstdio>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "raft/random.h"
#include "tests/chaos/checked_cluster.h"
#include "tests/chaos/scenario.h"
#include "tests/chaos/workload.h"

namespace gavel::chaos {
namespace {

constexpr int kCutsMax = 3;

struct Lie {
  const char* what;
  const char* rules;
};

constexpr Lie kLies[] = {
    {"no sync does anything", "lie sync * *; lie dirsync * *"},
    {"the log is not synced", "lie sync member/wal/* *"},
};

// True if the cut of all members showed that an acknowledged write was lost: by the checker, or
// by a member that misses what it had confirmed and does not start.
bool LossIsFound(CheckedCluster& checked, Workload& workload) {
  if (!checked.AllServe()) {
    std::printf("  a member refuses to serve: %s\n", checked.problems().front().c_str());
    return true;
  }
  const std::optional<CheckResult> result = checked.CheckHistory(workload);
  if (!result || result->violations.empty()) return false;
  std::printf("  %s\n", result->violations.front().c_str());
  return true;
}

// Returns the number of the cut that showed a loss; 0 if none did.
int CutsUntilLoss(const ScenarioOptions& options, const Lie& lie, raft::Random& random,
                  std::vector<std::string>& problems) {
  for (int cut = 1; cut <= kCutsMax; ++cut) {
    ScenarioOptions fresh = options;
    fresh.cluster.directory = options.cluster.directory + "/" + std::to_string(random.Next());
    mkdir(fresh.cluster.directory.c_str(), 0700);
    CheckedCluster checked(fresh.cluster);
    ProcessCluster& cluster = checked.cluster();
    if (!checked.Start()) {
      problems = checked.problems();
      return 0;
    }
    std::vector<int> all;
    for (int member = 0; member < cluster.size(); ++member) {
      cluster.SetRules(member, lie.rules);
      all.push_back(member);
    }
    Workload workload({.targets = cluster.targets(), .seed = random.Next()});
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    cluster.Kill(all);
    workload.Stop();
    for (const int member : all) {
      cluster.CutPower(member, powercut::Cut::kLose, random.Next());
      cluster.SetRules(member, "");
      cluster.Start(member);
    }
    if (LossIsFound(checked, workload)) return cut;
  }
  return 0;
}

}  // namespace

std::vector<std::string> RunLyingSyncs(const ScenarioOptions& options) {
  raft::Random random(options.seed);
  std::vector<std::string> problems;
  for (const Lie& lie : kLies) {
    std::printf("%s\n", lie.what);
    const int cuts = CutsUntilLoss(options, lie, random, problems);
    if (!problems.empty()) return problems;
    if (cuts == 0) {
      problems.push_back(std::string("though ") + lie.what + ", " + std::to_string(kCutsMax) +
                         " power cuts have lost nothing: they prove nothing");
      return problems;
    }
    std::printf("  lost with cut %d\n", cuts);
  }
  return problems;
}

}  // namespace gavel::chaos
