// Changes to what a watch stream received that the comparison must see: how it proves itself.
#pragma once

#include <cstdint>
#include <string>

#include "tests/conformance/watch_exchange.h"

namespace gavel::conformance {

// Changes `segment` in one place, chosen by `choice`: an event or an answer lost, doubled, changed,
// out of order, of another watch, a revision split, progress ahead. Leaves alone what `haste`
// leaves to chance. Returns what it did in words; empty if there is nothing that could be changed.
std::string Plant(const Haste& haste, uint64_t choice, WatchSegment* segment);

}  // namespace gavel::conformance
