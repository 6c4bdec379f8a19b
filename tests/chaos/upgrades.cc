// Rolling upgrades and ways back between two builds, under load.
#include <sys/wait.h>

#include <chrono>
#include <cstdio>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "raft/random.h"
#include "tests/chaos/checked_cluster.h"
#include "tests/chaos/scenario.h"
#include "tests/chaos/workload.h"

namespace gavel::chaos {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// What a member logs when it sees that all have agreed.
constexpr char kAgreed[] = "the members have agreed on a semantics version";
// What an older build says of what only a newer one can apply, or open.
constexpr char kTooNew[] = "a newer build is needed";
// The older build's version (previous_semantics.cc).
constexpr char kHoldBack[] = "--semantics-max=3";

constexpr std::chrono::seconds kPatience(60);

void Sleep(uint64_t ms) { std::this_thread::sleep_for(milliseconds(ms)); }

class Upgrades {
 public:
  explicit Upgrades(const ScenarioOptions& options)
      : options_(options), random_(options.seed), checked_(options.cluster) {}

  std::vector<std::string> Run() {
    for (int member = 0; member < cluster().size(); ++member) {
      cluster().SetBuild(member, options_.previous_server, {});
    }
    if (!checked_.Start()) return checked_.problems();
    Workload workload({.targets = cluster().targets(), .seed = options_.seed});
    for (int64_t round = 0; round < options_.count && Fine(); ++round) {
      Roll(options_.cluster.server, {kHoldBack});
      Roll(options_.previous_server, {});
    }
    if (Fine()) UpgradeForGood();
    if (Fine()) RefuseTheOlder();
    workload.Stop();
    if (!Fine()) return checked_.problems();
    std::printf("%d members upgraded and %d taken back, %d of them killed first\n", upgraded_,
                taken_back_, killed_);
    checked_.CheckAll(workload, options_.count);
    checked_.StopAll();
    return checked_.problems();
  }

 private:
  ProcessCluster& cluster() { return checked_.cluster(); }
  bool Fine() const { return checked_.problems().empty(); }

  std::vector<int> RandomOrder() {
    std::vector<int> members;
    for (int member = 0; member < cluster().size(); ++member) {
      members.insert(members.begin() + static_cast<long>(random_.Below(members.size() + 1)),
                     member);
    }
    return members;
  }

  // One member after another gets this build; the others serve meanwhile.
  void Roll(const std::string& build, const std::vector<std::string>& flags) {
    for (const int member : RandomOrder()) {
      if (!Fine()) return;
      Exchange(member, build, flags);
    }
    if (HaveAgreed()) checked_.problems().push_back("the members agreed though one held back");
  }

  void Exchange(int member, const std::string& build, const std::vector<std::string>& flags) {
    Sleep(random_.Between(100, 1500));
    if (!checked_.NobodyDied()) return;
    if (random_.OneIn(2)) {
      cluster().Kill(member);
      ++killed_;
    } else if (!cluster().Stop(member)) {
      return checked_.Problem(member, "did not leave cleanly on SIGTERM");
    }
    cluster().SetBuild(member, build, flags);
    cluster().Start(member);
    ++(build == options_.previous_server ? taken_back_ : upgraded_);
    checked_.AllServe();
  }

  void UpgradeForGood() {
    const std::vector<int> order = RandomOrder();
    for (const int member : order) {
      // As long as one is not upgraded, the others must go on by its rules.
      Exchange(member, options_.cluster.server, {});
      if (member != order.back() && HaveAgreed()) {
        checked_.Problem(order.back(), "runs the older build, and the members have agreed");
      }
      if (!Fine()) return;
    }
    for (const int member : order) {
      if (!Await([&] { return Logged(member, kAgreed); })) {
        checked_.Problem(member, "does not know of an agreement a minute after the upgrade");
      }
    }
  }

  // The way back is closed, and says so; nothing is harmed by having tried.
  void RefuseTheOlder() {
    const int member = RandomOrder().front();
    if (!cluster().Stop(member)) return checked_.Problem(member, "did not leave cleanly");
    cluster().SetBuild(member, options_.previous_server, {});
    cluster().Start(member);
    std::optional<int> status;
    Await([&] { return (status = cluster().Died(member)).has_value(); });
    if (!status || !WIFEXITED(*status) || WEXITSTATUS(*status) == 0 || !Logged(member, kTooNew)) {
      return checked_.Problem(member, "was to be refused by the older build, with a message");
    }
    cluster().SetBuild(member, options_.cluster.server, {});
    cluster().Start(member);
    checked_.AllServe();
  }

  template <class Condition>
  bool Await(Condition condition) {
    const auto give_up = steady_clock::now() + kPatience;
    while (!condition()) {
      if (steady_clock::now() > give_up) return false;
      Sleep(50);
    }
    return true;
  }

  bool Logged(int member, const char* text) {
    std::stringstream log;
    log << std::ifstream(cluster().LogPath(member)).rdbuf();
    return log.str().find(text) != std::string::npos;
  }

  bool HaveAgreed() {
    for (int member = 0; member < cluster().size(); ++member) {
      if (Logged(member, kAgreed)) return true;
    }
    return false;
  }

  const ScenarioOptions options_;
  raft::Random random_;
  CheckedCluster checked_;
  int upgraded_ = 0;
  int taken_back_ = 0;
  int killed_ = 0;
};

}  // namespace

std::vector<std::string> RunUpgrades(const ScenarioOptions& options) {
  return Upgrades(options).Run();
}

}  // namespace gavel::chaos
