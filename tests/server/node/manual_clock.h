// A clock that stands still until it is told to move.
#pragma once

#include <atomic>

#include "server/clock.h"

namespace gavel::testing {

class ManualClock final : public server::Clock {
 public:
  server::MonotonicNs Now() const override { return now_.load(); }
  int64_t WallNs() const override { return now_.load(); }
  void Advance(server::MonotonicNs by) { now_ += by; }

 private:
  std::atomic<server::MonotonicNs> now_ = server::kNsPerSecond;
};

}  // namespace gavel::testing
