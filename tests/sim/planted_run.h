// Proves that the checks bite: each planted bug must be caught.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/sim/runner.h"

namespace gavel::sim {

// Runs `bugs` (empty: all) over up to `seeds_max` seeds each, from `first_seed` on, and prints
// who was caught how. With `table`, also writes that to a file. Returns how
// many survived; a table that cannot be written counts as one.
int RunPlanted(std::vector<int> bugs, uint64_t first_seed, uint64_t seeds_max,
               const RunOptions& options, const std::string& table);

}  // namespace gavel::sim
