// Files of seeds: those that once failed are kept and run again.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace gavel::sim {

// Simulated seconds that a seed may last.
inline constexpr double kDurationMax = 100'000;

// A seed of a file, and how long its faults last if the file says so: "SEED[:SECONDS] [what]".
struct KeptSeed {
  uint64_t seed = 0;
  double duration = 0;  // Seconds; 0: as long as the others'.
};

// Says on stderr what is wrong with a command line, and returns its exit status.
int Usage(const std::string& what);

// False if the file is not one of seeds, which is said on stderr.
bool ReadSeeds(const std::string& path, std::vector<KeptSeed>& seeds);

// Adds a seed that failed to the file, unless it has it. False if it cannot, which is said on
// stderr.
bool KeepSeed(const std::string& path, const KeptSeed& failed, const std::string& what);

// A file that is written when much time has passed must be one that can be; otherwise that is said
// on stderr. It is made if there is none.
bool CanBeWritten(const std::string& path);

}  // namespace gavel::sim
