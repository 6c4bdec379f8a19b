// One member's clocks: monotonic time that runs a little fast or slow, and wall time that jumps.
#pragma once

#include <cstdint>

#include "server/clock.h"

namespace gavel::sim {

// World time is the simulator's own; everything is in nanoseconds.
class SimClock final : public server::Clock {
 public:
  // `rate_ppm` local nanoseconds pass while a million of the world do.
  SimClock(const int64_t& world_now, int64_t rate_ppm)
      : world_now_(world_now), rate_ppm_(rate_ppm) {}

  server::MonotonicNs Now() const override {
    return kBase + world_now_ / kMillion * rate_ppm_ + world_now_ % kMillion * rate_ppm_ / kMillion;
  }
  int64_t WallNs() const override { return Now() + wall_offset_; }

  // The first moment of the world at which Now() is at least `local`.
  int64_t WorldAt(server::MonotonicNs local) const {
    if (local <= kBase) return 0;
    const int64_t passed = local - kBase;
    return passed / rate_ppm_ * kMillion +
           (passed % rate_ppm_ * kMillion + rate_ppm_ - 1) / rate_ppm_;
  }
  void JumpWall(int64_t by) { wall_offset_ += by; }

 private:
  static constexpr int64_t kMillion = 1'000'000;
  static constexpr int64_t kBase = server::kNsPerSecond;
  const int64_t& world_now_;
  const int64_t rate_ppm_;
  int64_t wall_offset_ = int64_t{1'700'000'000} * server::kNsPerSecond;
};

}  // namespace gavel::sim
