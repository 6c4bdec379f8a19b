// The clocks of the library. Neither is affected by changes of the wall clock.
#pragma once

#include <chrono>
#include <cstdint>

#include <grpc/support/time.h>

namespace gavel::client::internal {

// Microseconds since an arbitrary moment.
using MonotonicUs = int64_t;

MonotonicUs Now();
// The same kind of time, which also goes on while the machine is suspended, as leases do.
MonotonicUs LeaseNow();
// For gRPC's deadlines and alarms.
gpr_timespec ToTimespec(MonotonicUs time);

// Rounded up: a time above 0 does not become none.
template <class Rep, class Period>
MonotonicUs ToUs(std::chrono::duration<Rep, Period> duration) {
  return std::chrono::ceil<std::chrono::microseconds>(duration).count();
}

}  // namespace gavel::client::internal
