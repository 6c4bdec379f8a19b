#include "tests/sim/planted_run.h"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

#include "tests/sim/planted_bugs.h"

namespace gavel::sim {
namespace {

constexpr char kHead[] =
    "# Planted bugs\n\n"
    "Written by `gavel_sim --planted %s --seed %d --duration %g --planted-seeds %d\n"
    "--table tests/sim/MUTANTS.md`. Each bug is in the simulator's build alone and switched on by\n"
    "its number; the run ends with an error if one survives.\n\n"
    "Invariants: I of Raft and of replicas, D of durability, L of requests, W of watches, E of\n"
    "leases, H of hashes, V of liveness and queues; -: a check without a number.\n\n"
    "| bug | what is wrong | invariant | caught by | seeds needed |\n|---|---|---|---|---|\n";

// The invariant that was broken, and how it showed.
std::pair<std::string, std::string> Split(const std::string& violation) {
  const size_t colon = violation.find(": ");
  if (colon > 3) return {"-", violation};
  return {violation.substr(0, colon), violation.substr(colon + 2)};
}

// What caught it, short enough for a table.
std::string Short(std::string violation) {
  constexpr std::string_view kCheck = "check failed: ";
  if (violation.starts_with(kCheck)) {
    return "check in " +
           violation.substr(kCheck.size(), violation.find(':', kCheck.size()) - kCheck.size());
  }
  if (violation.size() > 70) violation = violation.substr(0, 67) + "...";
  std::replace(violation.begin(), violation.end(), '|', '/');
  return violation;
}

}  // namespace

int RunPlanted(std::vector<int> bugs, uint64_t first_seed, uint64_t seeds_max,
               const RunOptions& options, const std::string& table) {
  std::string rows;
  int survivors = 0;
  int caught = 0;
  for (const PlantedBug& bug : PlantedBugs()) {
    if (!bugs.empty() && std::count(bugs.begin(), bugs.end(), bug.number) == 0) continue;
    RunOptions planted = options;
    planted.planted = bug.number;
    planted.script = bug.script;
    uint64_t seeds = 0;
    RunResult result;
    while (!result.violation && seeds < seeds_max) {
      result = RunSeed(first_seed + seeds, planted);
      ++seeds;
    }
    const auto [invariant, shown] = Split(result.violation.value_or(": SURVIVED"));
    std::string how = Short(shown);
    if (!bug.script.empty()) {
      // A script that cannot go on as written shows nothing.
      if (how.rfind("script: ", 0) == 0) result.violation.reset();
      absl::StrAppend(&how, " (script ", std::string(bug.script), ")");
    }
    result.violation ? ++caught : ++survivors;
    std::printf("bug %2d, %s: %s (%s %llu)\n", bug.number, std::string(bug.what).c_str(),
                how.c_str(), seeds == 1 ? "seed" : "seeds", static_cast<unsigned long long>(seeds));
    std::fflush(stdout);
    absl::StrAppend(&rows, "| ", bug.number, " | ", std::string(bug.what), " | ", invariant, " | ",
                    how, " | ", seeds, " |\n");
  }
  if (!table.empty()) {
    std::ofstream file(table);
    file << absl::StrFormat(kHead, bugs.empty() ? "all" : absl::StrJoin(bugs, ","), first_seed,
                            static_cast<double>(options.duration) / server::kNsPerSecond, seeds_max)
         << rows << "\n"
         << caught << " caught, " << survivors << " survived.\n";
    if (!file.flush()) {
      std::fprintf(stderr, "gavel_sim: %s: cannot be written\n", table.c_str());
      return survivors + 1;
    }
  }
  std::printf("%d caught, %d survived\n", caught, survivors);
  return survivors;
}

}  // namespace gavel::sim
