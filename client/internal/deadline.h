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

inline MonotonicUs ToUs(std::chrono::milliseconds duration) { return duration.count() * 1000; }

}  // namespace gavel::client::internal
