// The highest numbers there can be.
#pragma once

#include <cstdint>

#include "raft/types.h"

namespace gavel::raft {

// No honest cluster gets here: a million terms or entries in every second of two thousand years.
// What names more is damaged or forged, and is refused wherever it comes from, so that counting on
// from what was taken can never wrap around.
inline constexpr Term kTermMax(uint64_t{1} << 56);
inline constexpr Index kIndexMax(uint64_t{1} << 56);

}  // namespace gavel::raft
