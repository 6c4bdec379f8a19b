// Counts events of several kinds, and says when one of them deserves a line in the log.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "server/clock.h"
#include "server/metrics.h"

namespace gavel::server {

// Clients can make them happen as often as they like: each kind has at most one line a minute.
// Thread-safe.
class CountedEvents {
 public:
  // A counter of this name, and in it a kind for each of the label's values.
  struct Family {
    std::string counter;
    std::string help;
    std::string label;
    std::vector<std::string> kinds;
  };
  // `clock` must outlive it. `metrics` null: no metrics.
  CountedEvents(Clock& clock, Metrics* metrics, const Family& family);

  // One more of a kind. If a line is due: how many there were since the last; else 0.
  uint64_t Count(size_t kind);

 private:
  struct Kind {
    Counter* counter = nullptr;
    std::atomic<MonotonicNs> next_line = 0;
    std::atomic<uint64_t> untold = 0;
  };

  Clock& clock_;
  const std::unique_ptr<Kind[]> kinds_;
};

}  // namespace gavel::server
