// The seam to time. The only code that may ask the system for it is server/system_clock.cc.
//
// Deadlines and intervals use monotonic time; wall time is for people (log lines) alone.
#pragma once

#include <cstdint>

namespace gavel::server {

// Nanoseconds since an arbitrary start; never goes back.
using MonotonicNs = int64_t;

inline constexpr MonotonicNs kNsPerMs = 1'000'000;
inline constexpr MonotonicNs kNsPerSecond = 1'000'000'000;

class Clock {
 public:
  virtual ~Clock() = default;
  virtual MonotonicNs Now() const = 0;
  // Nanoseconds since 1970-01-01 UTC.
  virtual int64_t WallNs() const = 0;
};

// The machine's clocks. Thread-safe.
class SystemClock final : public Clock {
 public:
  MonotonicNs Now() const override;
  int64_t WallNs() const override;
};

}  // namespace gavel::server
