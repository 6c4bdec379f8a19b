// A sync that fails, at every place in the program that syncs.
#include <sys/stat.h>
#include <sys/wait.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <initializer_list>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "raft/random.h"
#include "tests/chaos/checked_cluster.h"
#include "tests/chaos/scenario.h"
#include "tests/chaos/victim.h"
#include "tests/chaos/workload.h"

namespace gavel::chaos {
namespace {

using raft::Random;

// How often a call site that was missed is looked for once more.
constexpr int kRoundsMax = 5;

// A cluster is used for so many failures: each makes its state larger, and with it the snapshots.
constexpr long kFailuresMax = 12;

void Sleep(int ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

bool NeedsLittleLog(Phase phase) { return phase >= kCut; }

// A place in the program, and the phase in which the victim first came upon it: it is struck there.
struct Site {
  Phase phase;
  std::string name;
  std::string call;  // And the file it was met at first.
};

// Places that may share their call sites with other places, and have their turn by the names of
// their files: RocksDB's threads sync the files of all its stores from the same sites, and a first
// start is much the same in a new cluster and in one that is joined. A site without a name is one.
constexpr struct {
  Phase phase;
  const char* call;
} kByFiles[] = {
    {kSnapshot, "sync member/snapshots/received/*.sst"},
    {kSnapshot, "sync member/snapshots/received/MANIFEST*"},
    {kSnapshot, "sync member/snapshots/received/*.dbtmp"},
    {kSnapshot, "dirsync member/snapshots/received"},
    {kSnapshot, "dirsync member/snapshots"},
    {kSnapshot, "sync member/snapshots/install*"},
    {kSnapshot, "dirsync member"},
    {kJoin, "sync member/identity*"},
    {kJoin, "sync member/wal/*"},
    {kJoin, "dirsync member/wal"},
    {kJoin, "sync member/state/MANIFEST*"},
    {kJoin, "sync member/snapshots/received/*.sst"},
};

class FailingSyncs {
 public:
  explicit FailingSyncs(const ScenarioOptions& options)
      : options_(options), random_(options.seed) {}

  std::vector<std::string> Run() {
    std::vector<Site> sites = ListSites();
    if (!problems_.empty()) return problems_;
    std::printf("%zu call sites of syncs", sites.size());
    if (options_.count > 0) Choose(sites, static_cast<size_t>(options_.count));
    std::printf(", %zu of them fail\n", sites.size());
    std::sort(sites.begin(), sites.end(), [](const Site& a, const Site& b) {
      return std::tie(a.phase, a.call, a.name) < std::tie(b.phase, b.call, b.name);
    });
    const auto later = std::find_if(sites.begin(), sites.end(),
                                    [](const Site& site) { return site.phase != kFirstStart; });
    const auto little = std::find_if(later, sites.end(),
                                     [](const Site& site) { return NeedsLittleLog(site.phase); });
    for (auto site = sites.begin(); site != later && problems_.empty(); ++site) {
      FailAtFirstStart(*site);
    }
    FailUnderLoad({later, little});
    for (auto first = little; first != sites.end();) {
      const auto last = first + std::min(kFailuresMax, sites.end() - first);
      FailUnderLoad({first, last});
      first = last;
    }
    std::printf("%d failed, %zu were not come upon again\n", struck_, missed_.size());
    if (!problems_.empty()) return problems_;
    // Background work does not always take the same path.
    if (options_.count == 0) {
      TryMissedAgain();
    } else if (missed_.size() > static_cast<size_t>(struck_) / 2) {
      problems_.push_back("too many call sites were not come upon a second time");
    }
    return problems_;
  }

 private:
  ClusterOptions Fresh(bool little_log, std::vector<int> listers = {}) {
    ClusterOptions cluster = options_.cluster;
    cluster.directory += "/" + std::to_string(++clusters_);
    mkdir(cluster.directory.c_str(), 0700);
    cluster.site_lister = std::move(listers);
    cluster.power_cuts = !little_log;
    return little_log ? WithLittleLog(std::move(cluster)) : cluster;
  }

  // Lets the victim do all it does, and returns where it synced.
  std::vector<Site> ListSites() {
    std::vector<Site> sites;
    std::set<std::string> known;
    List({kFirstStart, kLoad, kRestart, kStop, kLoad}, &known, &sites);
    if (problems_.empty()) List({kCut, kSnapshot, kCut, kJoin}, &known, &sites);
    for (const auto& [phase, call] : kByFiles) sites.push_back({phase, "", call});
    return sites;
  }

  // The same in one cluster, in which the victim starts and does `phases`.
  void List(const std::vector<Phase>& phases, std::set<std::string>* known,
            std::vector<Site>* sites) {
    CheckedCluster checked(Fresh(NeedsLittleLog(phases[0]), {kVictim}));
    Victim victim(checked, large_megabytes());
    bool well = checked.Start();
    for (const Phase phase : phases) {
      well = well && victim.Do(phase, /*expect_end=*/false);
      std::istringstream lines(checked.cluster().TakeDiskLog(kVictim));
      for (std::string line; std::getline(lines, line);) {
        std::istringstream words(line);
        std::string kind, name, call, path;
        words >> kind >> name >> call >> path;
        if (kind == "site" && known->insert(name).second) {
          sites->push_back({phase, name, call + " " + path});
        }
      }
    }
    problems_ = checked.problems();
  }

  // Keeps `count` of the sites, of every phase some.
  void Choose(std::vector<Site>& sites, size_t count) {
    std::map<Phase, std::vector<Site>> by_phase;
    while (!sites.empty()) {
      const auto pick = sites.begin() + static_cast<long>(random_.Below(sites.size()));
      by_phase[pick->phase].push_back(*pick);
      sites.erase(pick);
    }
    while (sites.size() < count && !by_phase.empty()) {
      for (auto phase = by_phase.begin(); phase != by_phase.end() && sites.size() < count;) {
        sites.push_back(phase->second.back());
        phase->second.pop_back();
        phase = phase->second.empty() ? by_phase.erase(phase) : std::next(phase);
      }
    }
  }

  // Two segments of the log and, in the long run, a flush of the state.
  int large_megabytes() const { return options_.count > 0 ? 20 : 40; }

  // Waits for the failure and the end of the victim. False if there was no failure. Problems if
  // it does not end, or not as it should.
  static bool AwaitEnd(CheckedCluster& checked, Victim& victim, const Site& site,
                       size_t log_before) {
    ProcessCluster& cluster = checked.cluster();
    std::optional<int> status;
    bool struck = false;
    for (int waited = 0; waited < (struck ? 20000 : 4000) && !status; waited += 10) {
      status = victim.TakeEnd();
      if (!status) Sleep(10);
      struck = struck || cluster.TakeDiskLog(kVictim).find("struck") != std::string::npos;
    }
    if (!struck && status && (!WIFEXITED(*status) || WEXITSTATUS(*status) != 0)) {
      checked.Problem(kVictim, "ended by itself");
    }
    if (struck && !status) checked.Problem(kVictim, "goes on after a failed " + site.call);
    if (!struck || !status) return struck;
    if (!WIFEXITED(*status) || WEXITSTATUS(*status) != 1) {
      checked.Problem(kVictim, "ended with wait status " + std::to_string(*status) +
                                   " after a failed " + site.call);
    }
    if (victim.LogFrom(log_before).find("nput/output error") == std::string::npos) {
      checked.Problem(kVictim, "does not say that " + site.call + " failed");
    }
    return true;
  }

  static std::string Rule(const Site& site) {
    if (site.name.empty()) return "eio " + site.call + " 1";
    return "eio " + site.call.substr(0, site.call.find(' ')) + " @" + site.name + " 1";
  }

  // The others serve writes without the victim.
  static void OthersServe(CheckedCluster& checked) {
    for (int member = 0; member < checked.cluster().size(); ++member) {
      if (member == kVictim) continue;
      if (!WaitUntilServes(checked.cluster().targets()[member])) {
        checked.Problem(member, "does not serve while another member is down");
      }
    }
  }

  // After a failure: without power if `may_cut` and the seed says so, then up again.
  void ComeBack(CheckedCluster& checked, bool may_cut) {
    ProcessCluster& cluster = checked.cluster();
    cluster.Kill(kVictim);
    if (may_cut && random_.OneIn(2)) cluster.CutPower(kVictim, powercut::Cut::kAny, random_.Next());
    cluster.SetRules(kVictim, "");
    cluster.Start(kVictim);
    checked.AllServe();
  }

  void Count(const Site& site, bool struck) {
    if (struck) {
      ++struck_;
    } else {
      missed_.push_back(site);
    }
    std::printf("  %-12s %s: %s\n", kPhaseNames[site.phase], site.call.c_str(),
                struck ? "ended, and came back" : "not come upon");
    std::fflush(stdout);
  }

  void FailAtFirstStart(const Site& site) {
    CheckedCluster checked(Fresh(/*little_log=*/false));
    ProcessCluster& cluster = checked.cluster();
    Victim victim(checked, large_megabytes());
    cluster.SetRules(kVictim, Rule(site));
    for (int member = 0; member < cluster.size(); ++member) cluster.Start(member);
    const bool struck = AwaitEnd(checked, victim, site, 0);
    OthersServe(checked);
    ComeBack(checked, /*may_cut=*/true);
    if (checked.problems().empty()) checked.StopAll();
    Count(site, struck);
    problems_ = checked.problems();
  }

  // Each in its phase, in one cluster. Requires: one cluster is good for all of them.
  void FailUnderLoad(const std::vector<Site>& sites) {
    if (sites.empty() || !problems_.empty()) return;
    const bool little_log = NeedsLittleLog(sites[0].phase);
    CheckedCluster checked(Fresh(little_log));
    ProcessCluster& cluster = checked.cluster();
    Victim victim(checked, large_megabytes());
    checked.Start();
    Workload workload({.targets = cluster.targets(), .seed = options_.seed});
    for (const Site& site : sites) {
      if (!checked.problems().empty()) break;
      const size_t log_before = victim.LogFrom(0).size();
      cluster.TakeDiskLog(kVictim);
      victim.Arm(Rule(site));
      victim.Do(site.phase, /*expect_end=*/true);
      const bool struck = AwaitEnd(checked, victim, site, log_before);
      if (struck) OthersServe(checked);
      ComeBack(checked, !little_log);
      Count(site, struck);
    }
    workload.Stop();
    if (checked.problems().empty()) checked.CheckAll(workload, 10);
    if (checked.problems().empty()) checked.StopAll();
    problems_ = checked.problems();
  }

  // Every site has to fail once: those that were missed get fresh clusters.
  void TryMissedAgain() {
    for (int round = 0; round < kRoundsMax && problems_.empty() && !missed_.empty(); ++round) {
      for (const Site& site : std::exchange(missed_, {})) {
        if (!problems_.empty()) return;
        FailAnywhere(site);
      }
    }
    for (const Site& site : missed_) {
      problems_.push_back("never failed, since it was not come upon again: " + site.call +
                          " at call site " + site.name);
    }
  }

  // Lets the site fail wherever a fresh victim first comes upon it, in all that it ever does.
  void FailAnywhere(const Site& site) {
    const bool little_log = NeedsLittleLog(site.phase);
    CheckedCluster checked(Fresh(little_log));
    ProcessCluster& cluster = checked.cluster();
    Victim victim(checked, large_megabytes());
    victim.Arm(Rule(site));
    cluster.SetRules(kVictim, Rule(site));
    for (int member = 0; member < cluster.size(); ++member) cluster.Start(member);
    bool struck = AwaitEnd(checked, victim, site, 0);
    OthersServe(checked);
    Workload workload({.targets = cluster.targets(), .seed = random_.Next()});
    const auto pass = [&](std::initializer_list<Phase> phases) {
      for (const Phase phase : phases) {
        if (struck || !checked.problems().empty()) return;
        victim.Do(phase, /*expect_end=*/true);
        struck = AwaitEnd(checked, victim, site, 0);
      }
    };
    if (little_log) {
      pass({kCut, kSnapshot, kRestart, kCut, kJoin, kSnapshot, kCut, kStop});
    } else {
      pass({kLoad, kRestart, kLoad, kStop, kRestart, kLoad});
    }
    // What is left to be written at a stop depends on what came before it.
    if (!struck) workload.Stop();
    pass({kStop, kRestart, kLoad, kStop});
    if (struck) OthersServe(checked);
    ComeBack(checked, !little_log);
    workload.Stop();
    if (checked.problems().empty()) checked.CheckAll(workload, 1);
    if (checked.problems().empty()) checked.StopAll();
    Count(site, struck);
    problems_ = checked.problems();
  }

  const ScenarioOptions options_;
  Random random_;
  int clusters_ = 0;
  int struck_ = 0;
  std::vector<Site> missed_;
  std::vector<std::string> problems_;
};

}  // namespace

std::vector<std::string> RunFailingSyncs(const ScenarioOptions& options) {
  return FailingSyncs(options).Run();
}

}  // namespace gavel::chaos
