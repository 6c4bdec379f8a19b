// The model every engine is compared with: std::map per family; and random work for both.
#pragma once

#include <array>
#include <map>
#include <string>

#include "raft/random.h"
#include "storage/engine/engine.h"

namespace gavel::storage {

using Families = std::array<std::map<std::string, std::string>, kFamilyCount>;

inline std::map<std::string, std::string>& In(Families& families, Family family) {
  return families[static_cast<size_t>(family)];
}

void ApplyTo(Families& families, const WriteBatch& batch);

// Writes, and while the engine is stalled tries again, for ten seconds at most.
absl::Status WriteWhenPossible(Engine& engine, const WriteBatch& batch);

// Everything the engine shows, walked by iterators. Fails the test on an iterator's error.
Families Contents(const Engine& engine, const EngineSnapshot* snapshot = nullptr);

// One line per family that differs, with the first differing key; empty if there is none.
std::string Difference(const Families& expected, const Families& actual);

// Random keys from a space small enough that writes, deletions and ranges meet.
std::string RandomKey(raft::Random& random);
Family RandomFamily(raft::Random& random);
// One to `operations_max` changes, one in ten of them a range deletion.
WriteBatch RandomBatch(raft::Random& random, int operations_max, size_t value_bytes_max);

}  // namespace gavel::storage
