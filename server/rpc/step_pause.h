// Background steps that pause while a stream's writer is full, and who wakes them.
#pragma once

#include <utility>

#include "storage/mutex.h"

namespace gavel::server {

// Whoever has steps running asks Pause when a step has filled the writer, and runs them again when
// Wake says that they had paused. A wake that comes before the pause is not lost: that pause does
// not begin. Thread-safe.
class StepPause {
 public:
  // True if the steps stop here. False: a wake has come meanwhile, go on.
  bool Pause() {
    const MutexLock lock(mutex_);
    paused_ = !std::exchange(woken_, false);
    return paused_;
  }

  // There is room again, or another reason to run. True if the steps had paused: run them.
  bool Wake() {
    const MutexLock lock(mutex_);
    if (std::exchange(paused_, false)) return true;
    woken_ = true;
    return false;
  }

  // Nobody wants what comes from here on.
  void Cancel() {
    const MutexLock lock(mutex_);
    canceled_ = true;
  }
  bool canceled() const {
    const MutexLock lock(mutex_);
    return canceled_;
  }

 private:
  mutable Mutex mutex_;
  bool paused_ ABSL_GUARDED_BY(mutex_) = false;
  bool woken_ ABSL_GUARDED_BY(mutex_) = false;
  bool canceled_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace gavel::server
