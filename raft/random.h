// The only source of chance in Gavel's deterministic parts: a seeded generator passed by value.
//
// Own arithmetic instead of <random>, whose distributions differ between libraries and would
// break replay from a seed. The generator is SplitMix64 (Steele, Lea, Flood 2014).
#pragma once

#include <cstdint>

namespace gavel::raft {

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t Next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }

  // Returns a number in [0, bound). Requires: bound > 0. The bias of the remainder is below
  // bound / 2^64, which no use here can see.
  uint64_t Below(uint64_t bound) { return Next() % bound; }

  // Returns a number in [low, high]. Requires: low <= high.
  uint64_t Between(uint64_t low, uint64_t high) { return low + Below(high - low + 1); }

  // True once in `n` on average. Requires: n > 0.
  bool OneIn(uint64_t n) { return Below(n) == 0; }

 private:
  uint64_t state_;
};

}  // namespace gavel::raft
