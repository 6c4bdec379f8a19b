#include "server/lease/lease_clock.h"

namespace gavel::server {

void LeaseClock::Begin(MonotonicNs now) {
  began_ = now;
  base_ms_ = applied_ms_;
  stamped_ms_ = applied_ms_;
}

int64_t LeaseClock::Read(MonotonicNs now) const {
  if (!began_) return applied_ms_;
  return base_ms_ + std::max<MonotonicNs>(0, now - *began_) / kNsPerMs;
}

std::optional<int64_t> LeaseClock::Stamp(MonotonicNs now, bool dating, bool leases) const {
  if (!began_) return std::nullopt;
  const int64_t reading = Read(now);
  const int64_t age = reading - stamped_ms_;
  if ((dating && age >= kDatingAgeMsMax) || (leases && age >= kAgeMsMax)) return reading;
  return std::nullopt;
}

}  // namespace gavel::server
