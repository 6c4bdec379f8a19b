// One thread that runs queued work in order, started by the first piece of work.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <thread>

#include "storage/mutex.h"

namespace gavel::storage {

class BackgroundWorker {
 public:
  BackgroundWorker() = default;
  ~BackgroundWorker() { Stop(); }
  BackgroundWorker(const BackgroundWorker&) = delete;
  BackgroundWorker& operator=(const BackgroundWorker&) = delete;

  // Returns false, and drops the work, after Stop.
  bool Run(std::function<void()> work);
  // Waits for the work that is under way and drops the rest.
  void Stop();

 private:
  void Loop();

  Mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> queue_ ABSL_GUARDED_BY(mutex_);
  bool started_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // Stop alone joins it.
};

}  // namespace gavel::storage
