// What RocksDB's background work tells of flushes, and waiting for it. Thread-safe.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstdint>

#include "storage/mutex.h"

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
    Count([&](Seen& seen) { seen.durable_sequence = std::max(seen.durable_sequence, sequence); });
  }
  void OnError() {
    Count([](Seen& seen) { ++seen.errors; });
  }
  // Nothing more will be told: whoever waits goes on.
  void Close() {
    Count([](Seen& seen) { seen.closed = true; });
  }

  Seen seen() const {
    const MutexLock lock(mutex_);
    return seen_;
  }
  // Waits until more has happened than `before`.
  void WaitForMore(const Seen& before) {
    MutexLock lock(mutex_);
    while (seen_.events == before.events) lock.Wait(more_);
  }

 private:
  template <class Change>
  void Count(Change change) {
    const MutexLock lock(mutex_);
    change(seen_);
    ++seen_.events;
    more_.notify_all();
  }

  mutable Mutex mutex_;
  std::condition_variable more_;
  Seen seen_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace gavel::storage
