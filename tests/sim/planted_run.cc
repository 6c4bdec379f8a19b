#include "tests/sim/planted_run.h"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <string_view>

#include "absl/strings/str_cat.h"

#include "tests/sim/planted_bugs.h"

namespace gavel::sim {
namespace {

constexpr char kHead[] =
    "# Planted bugs\n\n"
    "Written by `gavel_sim --planted all --table tests/sim/MUTANTS.md`. Each bug is in the\n"
    "simulator's build alone and switched on by its number; the run ends with an error if one\n"
    "survives.\n\n"
    "| bug | what is wrong | caught by | seeds needed |\n|---|---|---|---|\n";

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
    std::string how = result.violation ? Short(*result.violation) : "SURVIVED";
    if (!bug.script.empty()) {
      // A script that cannot go on as written shows nothing.
      if (how.rfind("script: ", 0) == 0) result.violation.reset();
      absl::StrAppend(&how, " (script ", std::string(bug.script), ")");
    }
    result.violation ? ++caught : ++survivors;
    std::printf("bug %2d, %s: %s (%s %llu)\n", bug.number, std::string(bug.what).c_str(),
                how.c_str(), seeds == 1 ? "seed" : "seeds", static_cast<unsigned long long>(seeds));
    std::fflush(stdout);
    absl::StrAppend(&rows, "| ", bug.number, " | ", std::string(bug.what), " | ", how, " | ", seeds,
                    " |\n");
  }
  if (!table.empty()) {
    std::ofstream file(table);
    file << kHead << rows << "\n" << caught << " caught, " << survivors << " survived.\n";
    if (!file.flush()) {
      std::fprintf(stderr, "gavel_sim: %s: cannot be written\n", table.c_str());
      return survivors + 1;
    }
  }
  std::printf("%d caught, %d survived\n", caught, survivors);
  return survivors;
}

}  // namespace gavel::sim
