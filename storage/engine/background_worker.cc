#include "storage/engine/background_worker.h"

#include <utility>

namespace gavel::storage {

bool BackgroundWorker::Run(std::function<void()> work) {
  const MutexLock lock(mutex_);
  if (stopped_) return false;
  queue_.push_back(std::move(work));
  if (!started_) {
    started_ = true;
    thread_ = std::thread([this] { Loop(); });
  }
  wake_.notify_one();
  return true;
}

void BackgroundWorker::Stop() {
  {
    const MutexLock lock(mutex_);
    stopped_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void BackgroundWorker::Loop() {
  MutexLock lock(mutex_);
  for (;;) {
    while (!stopped_ && queue_.empty()) lock.Wait(wake_);
    if (stopped_) return;
    std::function<void()> work = std::move(queue_.front());
    queue_.pop_front();
    lock.Unlock();
    work();
    work = nullptr;
    lock.Lock();
  }
}

}  // namespace gavel::storage
