// Runs seeds, each in a process of its own where a failed check must not end the run.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "tests/sim/plan.h"
#include "tests/sim/world.h"

namespace gavel::sim {

struct RunOptions {
  int64_t duration = 40 * server::kNsPerSecond;  // With faults.
  int64_t until = kNever;
  Without without;
  int planted = 0;
  std::string script;  // Its name; empty: what the seed plans.
  bool trace = false;
};

struct RunResult {
  std::optional<std::string> violation;
  std::string transcript;  // The last events before it.
  int64_t at = 0;          // When the run ended.
  uint64_t digest = 0;     // Of the trace.
  size_t faults = 0;
  Figures figures;
};

// Runs `seed` in this process. A failed GAVEL_CHECK ends it, as in production.
RunResult RunSeed(uint64_t seed, const RunOptions& options);

// Runs `seed` in a child process; a failed check or a crash there is a violation. The result has
// no figures.
RunResult RunSeedApart(uint64_t seed, const RunOptions& options);

// The options of the command that repeats the run.
std::string CommandLine(uint64_t seed, const RunOptions& options);

// Leaves out what a failing run does not need: kinds of faults, then single ones. At most `tries`
// runs.
RunOptions Shrink(uint64_t seed, RunOptions options, int tries);

}  // namespace gavel::sim
