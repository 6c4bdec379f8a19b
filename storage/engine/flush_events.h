// What RocksDB's background work tells of flushes, and waiting for it. Thread-safe.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace gavel::storage {

class FlushEvents {
 public:
  struct Seen {
    uint64_t events = 0;
    uint64_t errors = 0;
    uint64_t durable_sequence = 0;  // Everything up to it has been flushed.
    bool closed = false;
  };

  void OnFlushed(uint64_t sequence) {
    Count([&] { seen_.durable_sequence = std::max(seen_.durable_sequence, sequence); });
  }
  void OnError() {
    Count([&] { ++seen_.errors; });
  }
  // Nothing more will be told: whoever waits goes on.
  void Close() {
    Count([&] { seen_.closed = true; });
  }

  Seen seen() const {
    std::lock_guard lock(mutex_);
    return seen_;
  }
  // Waits until more has happened than `before`.
  void WaitForMore(const Seen& before) {
    std::unique_lock lock(mutex_);
    more_.wait(lock, [&] { return seen_.events != before.events; });
  }

 private:
  template <class Change>
  void Count(Change change) {
    std::lock_guard lock(mutex_);
    change();
    ++seen_.events;
    more_.notify_all();
  }

  mutable std::mutex mutex_;
  std::condition_variable more_;
  Seen seen_;  // Guarded by mutex_.
};

}  // namespace gavel::storage
