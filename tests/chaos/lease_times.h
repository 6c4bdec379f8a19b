// How long leases lived, and the check against what was promised.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace gavel::chaos {

// The end of one lease. Times are of this machine's monotonic clock.
struct LeaseEnd {
  int64_t sent_ns = 0;      // When the last renewal was asked for,
  int64_t answered_ns = 0;  // and when it was known to be confirmed.
  int64_t gone_ns = 0;      // When its key was seen to be deleted; 0: never.
};

struct LeasePromise {
  int64_t ttl_ns = 0;
  int64_t failover_ns = 0;  // How long there was no leader after the last renewals.
  int64_t slack_ns = 0;
};

struct LeaseTimes {
  std::vector<std::string> violations;  // At most a few of each kind, and how many more.
  // The most that one was seen to outlive the TTL since its confirmed renewal.
  int64_t longest_over_ns = 0;
};

// Checks that every lease has ended, none before its TTL had passed since the last renewal was
// sent, and none later than TTL, failover and slack after that had been confirmed.
LeaseTimes CheckLeaseTimes(const std::vector<LeaseEnd>& leases, const LeasePromise& promise);

}  // namespace gavel::chaos
