// A clock that moves only as it is told to.
#pragma once

#include <atomic>

#include "server/clock.h"

namespace gavel::testing {

class ManualClock final : public server::Clock {
 public:
  server::MonotonicNs Now() const override { return now_ += step_; }
  int64_t WallNs() const override { return now_.load(); }
  void Advance(server::MonotonicNs by) { now_ += by; }
  // From here on each look at the clock takes so long.
  void SetStep(server::MonotonicNs step) { step_ = step; }

 private:
  std::atomic<server::MonotonicNs> step_ = 0;
  mutable std::atomic<server::MonotonicNs> now_ = server::kNsPerSecond;
};

}  // namespace gavel::testing
