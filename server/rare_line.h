// Decides when something that may happen very often gets a line in the log.
#pragma once

#include <atomic>
#include <cstdint>

#include "server/clock.h"

namespace gavel::server {

// At most one line a minute. Thread-safe.
class RareLine {
 public:
  // It happened once more. If a line is due: how often it has since the last; else 0.
  uint64_t Count(MonotonicNs now) {
    untold_.fetch_add(1, std::memory_order_relaxed);
    MonotonicNs next = next_line_.load(std::memory_order_relaxed);
    if (now < next || !next_line_.compare_exchange_strong(next, now + kInterval)) return 0;
    return untold_.exchange(0, std::memory_order_relaxed);
  }

 private:
  static constexpr MonotonicNs kInterval = 60 * kNsPerSecond;

  std::atomic<MonotonicNs> next_line_ = 0;
  std::atomic<uint64_t> untold_ = 0;
};

}  // namespace gavel::server
