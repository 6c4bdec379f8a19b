// gavel_chaos: hurts members under load and checks that nothing acknowledged was lost.
//
//   gavel_chaos --server build/bin/gaveld [--cycles 20]
//   gavel_chaos --server ... --powercut build/tests/libpowercut.so --power-cuts 10
//   gavel_chaos --server ... --powercut ... --lying-syncs 1
//   gavel_chaos --server ... --powercut ... --failing-syncs 10
//   further: [--members 3] [--seed S]
//
// scenario.h says what each does. At the end the history is checked (history.h) and the members'
// hashes are compared. Prints the seed; on a violation keeps data and logs and says where.
#include <stdlib.h>
#include <unistd.h>

#include <cstdio>
#include <ctime>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/chaos/scenario.h"

namespace gavel::chaos {
namespace {

using Scenario = std::vector<std::string> (*)(const ScenarioOptions& options);

struct Request {
  Scenario scenario = RunKills;
  ScenarioOptions options;
};

constexpr char kUsage[] =
    "usage: gavel_chaos --server PATH [--members N] [--seed S] [--cycles N]\n"
    "       or, with --powercut PATH, --power-cuts N | --lying-syncs 1 | --failing-syncs N (0: "
    "all)\n"
    "       in place of --cycles\n";

std::optional<Request> Parse(int argc, char** argv) {
  Request request;
  request.options.seed = static_cast<uint64_t>(std::time(nullptr));
  request.options.cycles = 20;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view name = argv[i];
    const char* value = argv[i + 1];
    if (name == "--server") {
      request.options.cluster.server = value;
    } else if (name == "--members") {
      request.options.cluster.size = atoi(value);
    } else if (name == "--seed") {
      request.options.seed = strtoull(value, nullptr, 10);
    } else if (name == "--powercut") {
      request.options.cluster.powercut = value;
    } else {
      if (name == "--cycles") {
        request.scenario = RunKills;
      } else if (name == "--power-cuts") {
        request.scenario = RunPowerCuts;
      } else if (name == "--lying-syncs") {
        request.scenario = RunLyingSyncs;
      } else if (name == "--failing-syncs") {
        request.scenario = RunFailingSyncs;
      } else {
        return std::nullopt;
      }
      request.options.cycles = atoi(value);
    }
  }
  const bool all_sites = request.scenario == RunFailingSyncs && request.options.cycles == 0;
  const bool real_disk = request.scenario == RunKills;
  if (argc % 2 == 0 || request.options.cluster.server.empty() ||
      (request.options.cycles < 1 && !all_sites) || request.options.cluster.size < 1 ||
      real_disk != request.options.cluster.powercut.empty()) {
    return std::nullopt;
  }
  return request;
}

int Main(int argc, char** argv) {
  std::optional<Request> request = Parse(argc, argv);
  if (!request) {
    std::fputs(kUsage, stderr);
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
  const std::vector<std::string> problems = request->scenario(request->options);
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

int main(int argc, char** argv) { return gavel::chaos::Main(argc, argv); }
