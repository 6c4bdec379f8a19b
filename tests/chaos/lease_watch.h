// Sees the keys of many leases go.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "client/client.h"

namespace gavel::chaos {

// The key of a lease, by its number.
std::string LeaseKey(size_t lease);

// Nanoseconds of the machine's monotonic clock.
int64_t MonotonicNs();

// Watches the deletions of all LeaseKey()s from when it is made. Thread-safe.
class LeaseWatch {
 public:
  LeaseWatch(const client::Client& client, int64_t leases);

  // Waits until `count` keys are gone; false if they are not after `limit`.
  bool AwaitGone(int64_t count, std::chrono::milliseconds limit);
  int64_t gone() const;
  // When the key was seen to go, as MonotonicNs(); 0: not yet.
  int64_t gone_at(size_t lease) const;
  // Why the watch has ended, if it has.
  std::string error() const;

 private:
  struct State {
    mutable std::mutex mutex;
    std::condition_variable changed;
    std::vector<int64_t> gone_at;
    int64_t gone = 0;
    std::string error;
  };

  const std::shared_ptr<State> state_;
  std::optional<client::Watcher> watcher_;
};

}  // namespace gavel::chaos
