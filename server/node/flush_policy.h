// When the state engine should make its state durable, so that the log can be cut.
//
// Passive: told the time with each call.
#pragma once

#include <cstdint>

#include "server/clock.h"

namespace gavel::server {

struct FlushLimits {
  uint64_t log_bytes_max = 32 << 20;
  uint64_t entries_max = 100000;
  MonotonicNs age_max = 60 * kNsPerSecond;
};

// Counts what was applied since the state that is durable. A flush is wanted when a limit is
// passed; one runs at a time.
class FlushPolicy {
 public:
  explicit FlushPolicy(FlushLimits limits) : limits_(limits) {}

  void OnApplied(uint64_t entries, uint64_t log_bytes, MonotonicNs now) {
    if (entries == 0) return;
    if (since_.entries == 0) oldest_ = now;
    since_.entries += entries;
    since_.bytes += log_bytes;
  }

  // True if a flush should start now.
  bool Wanted(MonotonicNs now) const {
    if (running_ || since_.entries == 0) return false;
    return since_.bytes >= limits_.log_bytes_max || since_.entries >= limits_.entries_max ||
           now - oldest_ >= limits_.age_max;
  }

  bool unflushed() const { return since_.entries > 0 || running_; }
  bool running() const { return running_; }
  // When Wanted may become true without anything else happening; 0 if never.
  MonotonicNs WantedAt() const {
    return running_ || since_.entries == 0 ? 0 : oldest_ + limits_.age_max;
  }

  void OnStarted(MonotonicNs now) {
    running_ = true;
    since_ = {};
    oldest_ = now;
  }
  void OnFinished() { running_ = false; }

 private:
  struct Amount {
    uint64_t entries = 0;
    uint64_t bytes = 0;
  };

  const FlushLimits limits_;
  Amount since_;  // Applied and in no flush yet.
  MonotonicNs oldest_ = 0;
  bool running_ = false;
};

}  // namespace gavel::server
