// Remembers the first terminal error. Thread-safe.
#pragma once

#include <atomic>
#include <functional>
#include <utility>

#include "absl/status/status.h"

#include "storage/mutex.h"

namespace gavel::storage {

class HealthLatch {
 public:
  HealthLatch() = default;
  // `on_failure` (may be empty) is told of the first error, by the thread that met it.
  explicit HealthLatch(std::function<void(const absl::Status&)> on_failure)
      : on_failure_(std::move(on_failure)) {}

  // Keeps `error` unless there is an earlier one. Requires: !error.ok().
  void Fail(const absl::Status& error) {
    {
      const MutexLock lock(mutex_);
      if (!error_.ok()) return;
      error_ = error;
      failed_.store(true, std::memory_order_release);
    }
    if (on_failure_) on_failure_(error);
  }
  bool failed() const { return failed_.load(std::memory_order_acquire); }
  absl::Status status() const {
    if (!failed()) return absl::OkStatus();
    const MutexLock lock(mutex_);
    return error_;
  }

 private:
  const std::function<void(const absl::Status&)> on_failure_;
  std::atomic<bool> failed_{false};
  mutable Mutex mutex_;
  absl::Status error_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace gavel::storage
