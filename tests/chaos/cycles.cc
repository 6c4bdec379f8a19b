// Members that are killed, or whose power is cut, under load, over and over.
#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iterator>
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

using raft::Random;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

void Sleep(uint64_t ms) { std::this_thread::sleep_for(milliseconds(ms)); }

enum Extent { kOne, kQuorum, kAll, kExtents };

class Cycles {
 public:
  Cycles(const ScenarioOptions& options, bool power)
      : options_(options), power_(power), random_(options.seed), checked_(options.cluster) {}

  std::vector<std::string> Run() {
    // A first start is cut short as well: a directory may be half made.
    if (power_) CutDuringStart(RandomVictims(kAll));
    if (!checked_.Start()) return checked_.problems();
    Workload workload({.targets = cluster().targets(), .seed = options_.seed});
    for (int cycle = 0; cycle < options_.count && checked_.problems().empty(); ++cycle) {
      // Each extent comes once, however few cycles there are.
      Cycle(static_cast<Extent>(cycle < kExtents ? cycle
                                                 : static_cast<int>(random_.Below(kExtents))));
    }
    workload.Stop();
    if (!checked_.problems().empty()) return checked_.problems();
    const bool each = *std::min_element(std::begin(counts_), std::end(counts_)) > 0;
    if (options_.count >= kExtents && !each) {
      checked_.problems().push_back("not each of one member, a quorum and all was ended");
    }
    std::printf("%s: %d of one member, %d of a quorum, %d of all %d; ", power_ ? "cuts" : "kills",
                counts_[kOne], counts_[kQuorum], counts_[kAll], cluster().size());
    if (power_) {
      std::printf("%d members lost power, %d at a chosen call, %d during a start; ", power_cuts_,
                  at_a_call_, at_a_start_);
    }
    std::printf("slowest recovery %.2f s\n", slowest_recovery_s_);
    checked_.CheckAll(workload, options_.count);
    checked_.StopAll();
    return checked_.problems();
  }

 private:
  ProcessCluster& cluster() { return checked_.cluster(); }

  std::vector<int> RandomVictims(Extent extent) {
    std::vector<int> members;
    for (int member = 0; member < cluster().size(); ++member) {
      members.insert(members.begin() + static_cast<long>(random_.Below(members.size() + 1)),
                     member);
    }
    if (extent == kOne) members.resize(1);
    if (extent == kQuorum) members.resize(members.size() / 2 + 1);
    return members;
  }

  // A rule that ends the process at a call that matters. Where a fault strikes finds more than
  // how often it does.
  std::string RandomCut(uint64_t nth_max) {
    static constexpr const char* kPlaces[] = {
        "sync member/wal/*",
        "write member/wal/*",
        "sync member/wal/high-water",
        "sync *",
        "write *",
        "dirsync *",
        "rename *",
        "remove *",
        "create *",
        "write member/identity",
        "any *",
    };
    return std::string(random_.OneIn(2) ? "cut " : "cut-after ") +
           kPlaces[random_.Below(std::size(kPlaces))] + " " +
           std::to_string(random_.Between(1, nth_max));
  }

  void Cycle(Extent extent) {
    Sleep(random_.Between(50, 600));
    if (!checked_.NobodyDied()) return;
    const std::vector<int> victims = RandomVictims(extent);
    ++counts_[extent];
    if (power_ && random_.OneIn(2)) EndAtACall(victims);
    cluster().Kill(victims);
    // Now and then only the processes die: what they left unsynced meets a later cut.
    if (power_ && !random_.OneIn(5)) CutPower(victims);
    if (power_) ClearRules(victims);
    Sleep(random_.OneIn(3) ? 0 : random_.Between(0, power_ ? 400 : 1500));
    if (power_ && random_.OneIn(3)) CutDuringStart(victims);
    const auto began = steady_clock::now();
    for (const int member : victims) cluster().Start(member);
    checked_.AllServe();
    const std::chrono::duration<double> took = steady_clock::now() - began;
    slowest_recovery_s_ = std::max(slowest_recovery_s_, took.count());
  }

  // Arms a rule at each of them, and gives it time to strike.
  void EndAtACall(const std::vector<int>& members) {
    for (const int member : members) cluster().SetRules(member, RandomCut(5));
    AwaitDeaths(members, 300, &at_a_call_);
  }

  void AwaitDeaths(const std::vector<int>& members, int ms, int* count) {
    for (int waited = 0; waited < ms; waited += 10) {
      bool runs = false;
      for (const int member : members) {
        if (!cluster().Runs(member)) continue;
        if (const std::optional<int> status = cluster().Died(member)) {
          ++*count;
          const bool cut = WIFSIGNALED(*status) && WTERMSIG(*status) == SIGKILL;
          if (!cut) checked_.Problem(member, "ended by itself");
        } else {
          runs = true;
        }
      }
      if (!runs) return;
      Sleep(10);
    }
  }

  void CutPower(const std::vector<int>& members) {
    for (const int member : members) {
      cluster().CutPower(member, powercut::Cut::kAny, random_.Next());
      ++power_cuts_;
    }
  }

  void ClearRules(const std::vector<int>& members) {
    for (const int member : members) cluster().SetRules(member, "");
  }

  // A member that is recovering from one cut meets the next.
  void CutDuringStart(const std::vector<int>& members) {
    for (const int member : members) {
      cluster().SetRules(member, RandomCut(40));
      cluster().Start(member);
    }
    AwaitDeaths(members, 400, &at_a_start_);
    cluster().Kill(members);
    CutPower(members);
    ClearRules(members);
  }

  const ScenarioOptions options_;
  const bool power_;
  Random random_;
  CheckedCluster checked_;
  int counts_[kExtents] = {};
  int power_cuts_ = 0;
  int at_a_call_ = 0;
  int at_a_start_ = 0;
  double slowest_recovery_s_ = 0;
};

}  // namespace

std::vector<std::string> RunKills(const ScenarioOptions& options) {
  return Cycles(options, /*power=*/false).Run();
}

std::vector<std::string> RunPowerCuts(const ScenarioOptions& options) {
  return Cycles(options, /*power=*/true).Run();
}

}  // namespace gavel::chaos
