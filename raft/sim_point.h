// Marks for the simulator: places where a crash or a pause is worth trying, and planted bugs.
//
// Both compile to nothing unless GAVEL_SIMULATION is defined, which only the simulator's own
// build of these files does; a release binary cannot even link them. For .cc files alone, since
// the rest of the simulator links the files as everyone else does.
#pragma once

#ifdef GAVEL_SIMULATION

namespace gavel::sim {

// The running member is at the point `name`.
void AtPoint(const char* name);
// True if the planted bug `number` is switched on (tests/sim/planted_bugs.h).
bool Planted(int number);

}  // namespace gavel::sim

#define GAVEL_SIM_POINT(name) ::gavel::sim::AtPoint(name)
#define GAVEL_PLANTED_BUG(number) ::gavel::sim::Planted(number)

#else

#define GAVEL_SIM_POINT(name) static_cast<void>(0)
#define GAVEL_PLANTED_BUG(number) false

#endif
