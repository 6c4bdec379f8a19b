// The machine's clocks: the only file of the server that asks the system for the time.
#include <chrono>

#include "server/clock.h"

namespace gavel::server {
namespace {

template <class TimePoint>
int64_t Nanoseconds(TimePoint point) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(point.time_since_epoch()).count();
}

}  // namespace

MonotonicNs SystemClock::Now() const { return Nanoseconds(std::chrono::steady_clock::now()); }

int64_t SystemClock::WallNs() const { return Nanoseconds(std::chrono::system_clock::now()); }

}  // namespace gavel::server
