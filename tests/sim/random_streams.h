// Independent streams of chance: one for each part and node, so that switching one kind of fault
// off leaves all other draws as they were.
#pragma once

#include <cstdint>
#include <string_view>

#include "raft/random.h"

namespace gavel::sim {

// The stream of `part` on `node` under `seed`.
inline raft::Random Stream(uint64_t seed, std::string_view part, uint64_t node = 0) {
  uint64_t hash = 0xcbf29ce484222325ULL ^ (seed * 0x9e3779b97f4a7c15ULL);
  for (const char c : part) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  }
  raft::Random mixed(hash ^ (node * 0xd1342543de82ef95ULL));
  return raft::Random(mixed.Next());
}

// Mixes `value` into a running digest.
inline uint64_t Mix(uint64_t digest, uint64_t value) {
  digest ^= value + 0x9e3779b97f4a7c15ULL + (digest << 6) + (digest >> 2);
  digest *= 0xff51afd7ed558ccdULL;
  return digest ^ (digest >> 32);
}

inline uint64_t DigestOf(std::string_view bytes) {
  uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return hash;
}

}  // namespace gavel::sim
