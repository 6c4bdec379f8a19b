// The simulator's side of raft/sim_point.h.
#pragma once

namespace gavel::sim {

class PointHandler {
 public:
  virtual ~PointHandler() = default;
  virtual void OnPoint(const char* name) = 0;
};

// Who is told of points from here on; null: nobody.
void SetPointHandler(PointHandler* handler);
// Switches one planted bug on; 0: none.
void SetPlantedBug(int number);

// Called by a failed GAVEL_CHECK, before the process ends.
using OnCheckFailed = void (*)(const char* text);
void SetOnCheckFailed(OnCheckFailed handler);

}  // namespace gavel::sim
