// Scenarios step by step, for what chance does not bring about.
//
// A script has clients and the network in its hands; the members and the checks are those of
// every run, and so is the end: all must come together again.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "tests/sim/plan.h"

namespace gavel::sim {

class ScriptHands;
class World;

struct Script {
  std::string_view name;
  std::string_view what;
  int members = 3;
  void (*run)(ScriptHands& hands) = nullptr;
};

std::span<const Script> Scripts();
// Null if there is none of that name.
const Script* FindScript(std::string_view name);

// A quick network, no faults and no clients.
Plan ScriptPlan(const Script& script, uint64_t seed);

void RunScript(World& world, const Script& script);

}  // namespace gavel::sim
