#include "server/lease/lease_clock.h"

#include "raft/sim_point.h"

namespace gavel::server {

void LeaseClock::Begin(MonotonicNs now) {
  began_ = now;
  base_ms_ = applied_ms_;
  if (GAVEL_PLANTED_BUG(76)) base_ms_ -= 6000;
  if (GAVEL_PLANTED_BUG(77)) base_ms_ += 2000;
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
  if (dating && !GAVEL_PLANTED_BUG(78) && age >= kDatingAgeMsMax) return reading;
  if (leases && age >= kAgeMsMax) return reading;
  return std::nullopt;
}

}  // namespace gavel::server
