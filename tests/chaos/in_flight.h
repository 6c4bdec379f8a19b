// Bounds how many asynchronous calls are under way.
#pragma once

#include <condition_variable>
#include <mutex>

namespace gavel::chaos {

// Thread-safe.
class InFlight {
 public:
  explicit InFlight(int limit) : limit_(limit) {}

  // Waits until there is room for one more.
  void Begin() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return count_ < limit_; });
    ++count_;
  }
  void End() {
    std::lock_guard lock(mutex_);
    --count_;
    changed_.notify_all();
  }
  void AwaitNone() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return count_ == 0; });
  }

 private:
  const int limit_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int count_ = 0;
};

}  // namespace gavel::chaos
