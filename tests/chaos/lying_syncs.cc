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
// So many writes are acknowledged before a cut, however slow the machine is.
constexpr int64_t kWritesMin = 50;
constexpr std::chrono::seconds kWritesPatience{60};

struct Disk {
  const char* what;
  const char* rules;
  bool unsynced_server;
};

constexpr Disk kDisks[] = {
    {"no sync does anything", "lie sync * *; lie dirsync * *", false},
    {"the log is not synced", "lie sync member/wal/* *", false},
    {"the server is built to skip its syncs", "", true},
};

enum class Seen {
  kNothing,
  kRefusal,    // A member misses what it had confirmed, and does not start.
  kLostWrite,  // By the checker.
};

Seen LookForLoss(CheckedCluster& checked, Workload& workload) {
  if (!checked.AllServe()) {
    std::printf("  a member refuses to serve: %s\n", checked.problems().front().c_str());
    return Seen::kRefusal;
  }
  const std::optional<CheckResult> result = checked.CheckHistory(workload);
  if (!result || result->violations.empty()) return Seen::kNothing;
  std::printf("  %s\n", result->violations.front().c_str());
  return Seen::kLostWrite;
}

void AwaitEnoughWrites(const Workload& workload) {
  const auto end = std::chrono::steady_clock::now() + kWritesPatience;
  while (workload.acknowledged() < kWritesMin && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

// Cuts the power of all members of a fresh cluster with such disks.
Seen CutAll(const ScenarioOptions& options, const Disk& disk, raft::Random& random,
            std::vector<std::string>& problems) {
  ClusterOptions fresh = options.cluster;
  if (disk.unsynced_server) fresh.server = options.unsynced_server;
  fresh.directory += "/" + std::to_string(random.Next());
  mkdir(fresh.directory.c_str(), 0700);
  CheckedCluster checked(fresh);
  ProcessCluster& cluster = checked.cluster();
  if (!checked.Start()) {
    problems = checked.problems();
    return Seen::kNothing;
  }
  std::vector<int> all;
  for (int member = 0; member < cluster.size(); ++member) {
    cluster.SetRules(member, disk.rules);
    all.push_back(member);
  }
  Workload workload({.targets = cluster.targets(), .seed = random.Next()});
  AwaitEnoughWrites(workload);
  cluster.Kill(all);
  workload.Stop();
  for (const int member : all) {
    cluster.CutPower(member, powercut::Cut::kLose, random.Next());
    cluster.SetRules(member, "");
    cluster.Start(member);
  }
  return LookForLoss(checked, workload);
}

}  // namespace

std::vector<std::string> RunLyingSyncs(const ScenarioOptions& options) {
  raft::Random random(options.seed);
  std::vector<std::string> problems;
  if (options.unsynced_server.empty()) return {"--unsynced-server is needed"};
  for (const Disk& disk : kDisks) {
    std::printf("%s\n", disk.what);
    int cut = 0;
    Seen seen = Seen::kNothing;
    while (cut < kCutsMax && seen != Seen::kLostWrite && problems.empty()) {
      seen = CutAll(options, disk, random, problems);
      ++cut;
    }
    if (!problems.empty()) return problems;
    if (seen != Seen::kLostWrite) {
      problems.push_back(std::string("though ") + disk.what + ", " + std::to_string(kCutsMax) +
                         " power cuts have shown no lost write: they prove nothing");
      return problems;
    }
    std::printf("  lost with cut %d\n", cut);
  }
  return problems;
}

}  // namespace gavel::chaos
