#include "tests/sim/seed_file.h"

#include <algorithm>
#include <cstdio>
#include <fstream>

#include "absl/strings/numbers.h"

namespace gavel::sim {
namespace {

bool ParseSeed(const std::string& line, KeptSeed* kept) {
  const std::string first = line.substr(0, line.find(' '));
  const size_t colon = first.find(':');
  if (!absl::SimpleAtoi(first.substr(0, colon), &kept->seed)) return false;
  if (colon == std::string::npos) return true;
  return absl::SimpleAtod(first.substr(colon + 1), &kept->duration) && kept->duration > 0 &&
         kept->duration <= kDurationMax;
}

}  // namespace

int Usage(const std::string& what) {
  std::fprintf(stderr, "gavel_sim: %s\n", what.c_str());
  return 2;
}

bool ReadSeeds(const std::string& path, std::vector<KeptSeed>& seeds) {
  std::ifstream file(path);
  if (!file) {
    Usage(path + ": cannot be read");
    return false;
  }
  std::string line;
  for (int number = 1; std::getline(file, line); ++number) {
    if (line.empty() || line[0] == '#') continue;
    KeptSeed kept;
    if (!ParseSeed(line, &kept)) {
      Usage(path + ":" + std::to_string(number) + ": not a seed: " + line +
            " (a line is SEED or SEED:SECONDS, then a space and what it found)");
      return false;
    }
    seeds.push_back(kept);
  }
  if (!file.eof()) {
    Usage(path + ": cannot be read");
    return false;
  }
  return true;
}

bool KeepSeed(const std::string& path, const KeptSeed& failed, const std::string& what) {
  std::vector<KeptSeed> seeds;
  if (!ReadSeeds(path, seeds)) return false;
  const bool known = std::any_of(seeds.begin(), seeds.end(), [&](const KeptSeed& kept) {
    return kept.seed == failed.seed && kept.duration == failed.duration;
  });
  if (known) return true;
  std::ofstream file(path, std::ios::app);
  file << failed.seed << ":" << failed.duration << " " << what << "\n";
  if (!file.flush()) Usage(path + ": cannot be written");
  return static_cast<bool>(file);
}

bool CanBeWritten(const std::string& path) {
  const std::ofstream file(path, std::ios::app);
  if (!file) Usage(path + ": cannot be written");
  return static_cast<bool>(file);
}

}  // namespace gavel::sim
