// Runs seeds, each in a process of its own: a failed check, a crash or a hang is a finding like any
// other, and the run goes on.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

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
  bool twice = false;  // A second run must give the same trace.
};

struct RunResult {
  std::optional<std::string> violation;  // One line.
  std::string transcript;                // The last events before it.
  uint64_t digest = 0;                   // Of the trace.
  Figures figures;
};

// Runs `seed` in a child process. What breaks the child is a violation, with the events before it.
RunResult RunSeed(uint64_t seed, const RunOptions& options);

// What RunSeed is made of: runs `work` in a child, which is given up after `seconds` of real time.
// `work` may keep its last events in `tail`.
RunResult RunApart(unsigned seconds, const std::function<RunResult(TraceTail& tail)>& work);

// A result as a child hands it to its parent, and back (nothing if it is cut short).
std::string EncodeResult(const RunResult& result);
std::optional<RunResult> DecodeResult(std::string_view bytes);

// The options of the command that repeats the run.
std::string CommandLine(uint64_t seed, const RunOptions& options);

// What a violation says, whoever did it and when: two runs that find the same say the same.
std::string KindOf(std::string_view violation);

// Leaves out what a run does not need to fail with such a `violation`: kinds of faults, then single
// ones. At most `tries` runs.
RunOptions Shrink(uint64_t seed, RunOptions options, const std::string& violation, int tries);

}  // namespace gavel::sim
