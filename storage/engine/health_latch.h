// Remembers the first terminal error. Thread-safe.
#pragma once

#include <atomic>
#include <mutex>

#include "absl/status/status.h"

namespace gavel::storage {

class HealthLatch {
 public:
  // Keeps `error` unless there is an earlier one. Requires: !error.ok().
  void Fail(const absl::Status& error) {
    std::lock_guard lock(mutex_);
    if (error_.ok()) error_ = error;
    failed_.store(true, std::memory_order_release);
  }
  bool failed() const { return failed_.load(std::memory_order_acquire); }
  absl::Status status() const {
    if (!failed()) return absl::OkStatus();
    std::lock_guard lock(mutex_);
    return error_;
  }

 private:
  std::atomic<bool> failed_{false};
  mutable std::mutex mutex_;
  absl::Status error_;  // Guarded by mutex_.
};

}  // namespace gavel::storage
