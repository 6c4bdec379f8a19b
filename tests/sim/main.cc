// gavel_sim: runs seeds, and tells what came of them.
#include <chrono>
#include <cstdio>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/strings/str_format.h"

#include "tests/sim/world.h"

int main(int argc, char** argv) {
  CLI::App app{"Runs whole clusters in simulated time, each from one seed."};
  uint64_t seed = 1;
  uint64_t seeds = 1;
  double duration = 40;
  bool trace = false;
  app.add_option("--seed", seed);
  app.add_option("--seeds", seeds);
  app.add_option("--duration", duration);
  app.add_flag("--trace", trace);
  CLI11_PARSE(app, argc, argv);
  gavel::sim::Figures total;
  int bad = 0;
  const auto began = std::chrono::steady_clock::now();
  for (uint64_t s = seed; s < seed + seeds; ++s) {
    gavel::sim::World world(gavel::sim::MakePlan(s, static_cast<int64_t>(duration * 1e9)));
    gavel::sim::World::Limits limits;
    limits.trace = trace;
    const auto violation = world.Run(limits);
    total.Add(world.figures());
    if (violation.has_value()) {
      ++bad;
      std::printf("seed %lu: %s\n%s", s, violation->c_str(),
                  trace ? "" : gavel::sim::Describe(world.plan()).c_str());
    }
  }
  const double took =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  std::printf(
      "%d bad; %.0f simulated s in %.1f s: %.0f times; %lu events, %lu entries, %lu writes, %lu "
      "unknown, %lu reads, %lu states\n",
      bad, double(total.simulated_ns) / 1e9, took, double(total.simulated_ns) / 1e9 / took,
      total.events, total.entries, total.writes, total.unknown_writes, total.reads,
      total.states_compared);
  for (auto& [n, c] : total.faults) std::printf("  fault %s %lu\n", n.c_str(), c);
  for (auto& [n, c] : total.sometimes) std::printf("  state %s %lu\n", n.c_str(), c);
  return bad > 0;
}
