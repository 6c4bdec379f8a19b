// gavel_chaos: hurts members under load and checks that nothing that was promised is broken.
//
//   gavel_chaos --server build/bin/gaveld [--cycles 20]
//   gavel_chaos --server ... --powercut build/tests/libpowercut.so --power-cuts 10
//   gavel_chaos --server ... --powercut ... --lying-syncs 1 --unsynced-server PATH
//   gavel_chaos --server ... --powercut ... --failing-syncs 10
//   gavel_chaos --server ... --snapshots 10
//   gavel_chaos --server ... --upgrades 2 --previous-server PATH
//   gavel_chaos --server ... --watch-events 500000
//   gavel_chaos --server ... --one-stream 100000
//   gavel_chaos --server ... --locks 50 [--seconds 20]
//   gavel_chaos --server ... --service-locks 50 [--seconds 20]
//   gavel_chaos --server ... --elections 50 [--seconds 20]
//   gavel_chaos --server ... --leases 2000 [--clients 20] [--seconds 20] [--kills 1] [--strict 1]
//   gavel_chaos --server ... --lease-storm 2000 [--clients 20] [--strict 1]
//   gavel_chaos --server ... --killed-clients 500 [--strict 1]
//   further: [--members 3] [--seed S]
//
// scenario.h says what each does. Prints the seed; on a violation keeps data and logs and says
// where.
#include <stdlib.h>
#include <unistd.h>

#include <cstdio>
#include <ctime>
#include <filesystem>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"

#include "tests/chaos/contender.h"
#include "tests/chaos/scenario.h"
#include "tests/chaos/victims.h"

namespace gavel::chaos {
namespace {

struct Scenario {
  const char* option;
  const char* what;  // What its number is.
  std::vector<std::string> (*run)(const ScenarioOptions& options);
  bool powercut = false;
  int64_t count_min = 1;
};

const Scenario kScenarios[] = {
    {"--cycles", "kills of members", RunKills},
    {"--power-cuts", "power cuts", RunPowerCuts, true},
    {"--snapshots", "kills of members that need a snapshot", RunSnapshots},
    {"--upgrades", "upgrades with a way back, with --previous-server PATH", RunUpgrades},
    {"--lying-syncs", "1", RunLyingSyncs, true},
    {"--failing-syncs", "call sites (0: all)", RunFailingSyncs, true, 0},
    {"--locks", "contenders", RunLocks},
    {"--service-locks", "contenders", RunServiceLocks},
    {"--elections", "candidates", RunElections},
    {"--watch-events", "events", RunWatches},
    {"--one-stream", "watches", RunOneStream},
    {"--leases", "leases", RunLeases},
    {"--lease-storm", "leases", RunLeaseStorm},
    {"--killed-clients", "clients", RunKilledClients},
};

// Name and value of each option; nullopt if an option has no value.
using Options = std::map<std::string, std::string>;
std::optional<Options> Split(int argc, char** argv) {
  if (argc % 2 == 0) return std::nullopt;
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) options[argv[i]] = argv[i + 1];
  return options;
}

std::string Take(Options* options, const char* name, const std::string& otherwise) {
  const auto found = options->find(name);
  if (found == options->end()) return otherwise;
  std::string value = std::move(found->second);
  options->erase(found);
  return value;
}

int TakeNumber(Options* options, const char* name, int otherwise) {
  return atoi(Take(options, name, std::to_string(otherwise)).c_str());
}

struct Request {
  const Scenario* scenario = nullptr;
  ScenarioOptions options;
};

std::optional<Request> Parse(Options given) {
  Request request;
  ScenarioOptions& options = request.options;
  options.cluster.server = Take(&given, "--server", "");
  options.cluster.powercut = Take(&given, "--powercut", "");
  options.cluster.size = TakeNumber(&given, "--members", options.cluster.size);
  options.seed =
      strtoull(Take(&given, "--seed", std::to_string(std::time(nullptr))).c_str(), nullptr, 10);
  options.seconds = TakeNumber(&given, "--seconds", options.seconds);
  options.clients = TakeNumber(&given, "--clients", options.clients);
  options.kills = TakeNumber(&given, "--kills", options.kills);
  options.strict = TakeNumber(&given, "--strict", 0) != 0;
  options.unsynced_server = Take(&given, "--unsynced-server", "");
  options.previous_server = Take(&given, "--previous-server", "");
  if (given.empty()) given["--cycles"] = "20";
  if (given.size() != 1) return std::nullopt;
  for (const Scenario& scenario : kScenarios) {
    if (given.begin()->first == scenario.option) request.scenario = &scenario;
  }
  options.count = atoll(given.begin()->second.c_str());
  if (request.scenario == nullptr || options.count < request.scenario->count_min ||
      options.cluster.server.empty() || options.cluster.size < 1 || options.seconds < 1 ||
      options.clients < 1 || options.kills < 0 ||
      request.scenario->powercut == options.cluster.powercut.empty() ||
      (request.scenario->run == RunUpgrades) == options.previous_server.empty()) {
    return std::nullopt;
  }
  return request;
}

void PrintUsage() {
  std::fputs("usage: gavel_chaos --server PATH [--members N] [--seed S] and one of\n", stderr);
  for (const Scenario& scenario : kScenarios) {
    std::fprintf(stderr, "  %s N  %s%s\n", scenario.option, scenario.what,
                 scenario.powercut ? ", with --powercut PATH" : "");
  }
  std::fputs(
      "further, where scenario.h says so: [--seconds N] [--clients N] [--kills N] [--strict 1] "
      "[--unsynced-server PATH]\n",
      stderr);
}

std::vector<std::string> SplitList(const std::string& text) {
  std::vector<std::string> parts;
  std::istringstream list(text);
  for (std::string part; std::getline(list, part, ',');) parts.push_back(part);
  return parts;
}

// This process is one that another gavel_chaos has started.
int RunAsContender(Options options) {
  ContenderOptions contender;
  contender.number = TakeNumber(&options, "--contender", 0);
  contender.life = TakeNumber(&options, "--life", 0);
  contender.targets = SplitList(Take(&options, "--targets", ""));
  contender.seed = strtoull(Take(&options, "--seed", "0").c_str(), nullptr, 10);
  const std::optional<LockWay> way = LockWayOf(Take(&options, "--way", ""));
  if (!way) return 2;
  contender.way = *way;
  RunContender(contender);
  return 1;
}

int RunAsVictims(Options options) {
  VictimOptions victims;
  victims.clients = TakeNumber(&options, "--victims", 1);
  victims.targets = SplitList(Take(&options, "--targets", ""));
  RunVictims(victims);
  return 1;
}

int Main(int argc, char** argv) {
  const std::optional<Options> given = Split(argc, argv);
  if (given && given->contains("--victims")) return RunAsVictims(*given);
  if (given && given->contains("--contender")) return RunAsContender(*given);
  std::optional<Request> request = given ? Parse(*given) : std::nullopt;
  if (!request) {
    PrintUsage();
    return 2;
  }
  ClusterOptions& cluster = request->options.cluster;
  if (access(cluster.server.c_str(), X_OK) != 0) {
    std::fprintf(stderr, "gavel_chaos: %s is not a program: build gaveld first\n",
                 cluster.server.c_str());
    return 2;
  }
  if (!cluster.powercut.empty() && access(cluster.powercut.c_str(), R_OK) != 0) {
    std::fprintf(stderr, "gavel_chaos: %s is not there: build powercut first\n",
                 cluster.powercut.c_str());
    return 2;
  }
  cluster.directory = (std::filesystem::temp_directory_path() / "gavel-chaos-XXXXXX").string();
  if (mkdtemp(cluster.directory.data()) == nullptr) {
    std::perror("gavel_chaos: mkdtemp");
    return 2;
  }
  std::printf("seed %llu\n", static_cast<unsigned long long>(request->options.seed));
  std::fflush(stdout);
  const std::vector<std::string> problems = request->scenario->run(request->options);
  for (const std::string& problem : problems) std::printf("VIOLATION: %s\n", problem.c_str());
  if (problems.empty()) {
    std::filesystem::remove_all(cluster.directory);
    std::printf("no violation\n");
    return 0;
  }
  std::printf("data and logs are kept in %s\n", cluster.directory.c_str());
  return 1;
}

}  // namespace
}  // namespace gavel::chaos

int main(int argc, char** argv) {
  // Debian's Abseil looks for deadlocks at each lock, which a thousand clients would wait for.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  return gavel::chaos::Main(argc, argv);
}
