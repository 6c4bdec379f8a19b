// Remembers the first terminal error. Thread-safe.
#pragma once

#include <atomic>

#include "absl/status/status.h"

#include "storage/mutex.h"

namespace gavel::storage {

class HealthLatch {
 public:
  // Keeps `error` unless there is an earlier one. Requires: !error.ok().
  void Fail(const absl::Status& error) {
    const MutexLock lock(mutex_);
    if (error_.ok()) error_ = error;
    failed_.store(true, std::memory_order_release);
  }
  bool failed() const { return failed_.load(std::memory_order_acquire); }
  absl::Status status() const {
    if (!failed()) return absl::OkStatus();
    const MutexLock lock(mutex_);
    return error_;
  }

 private:
  std::atomic<bool> failed_{false};
  mutable Mutex mutex_;
  absl::Status error_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace gavel::storage
