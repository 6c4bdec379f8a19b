#include "client/internal/deadline.h"

#include <time.h>

namespace gavel::client::internal {

MonotonicUs Now() {
  const gpr_timespec now = gpr_now(GPR_CLOCK_MONOTONIC);
  return now.tv_sec * 1'000'000 + now.tv_nsec / 1000;
}

MonotonicUs LeaseNow() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return now.tv_sec * 1'000'000 + now.tv_nsec / 1000;
}

gpr_timespec ToTimespec(MonotonicUs time) {
  gpr_timespec at = gpr_time_from_micros(time, GPR_TIMESPAN);
  at.clock_type = GPR_CLOCK_MONOTONIC;
  return at;
}

}  // namespace gavel::client::internal
