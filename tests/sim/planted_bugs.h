// Bugs that the product does not have: each is compiled into the simulator's build alone, switched
// on by its number, and must be caught.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace gavel::sim {

struct PlantedBug {
  int number = 0;
  std::string_view what;
  bool rare = false;             // Needs more seeds than the short run has.
  std::string_view script = {};  // The script that shows it; chance does not.
};

std::span<const PlantedBug> PlantedBugs();

}  // namespace gavel::sim
