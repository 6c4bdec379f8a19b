// A mutex that clang checks: what it guards and who needs it are declared, and -Wthread-safety
// reports whoever touches the one or calls the other without it. The standard library's own mutex,
// which is inside, carries no such declarations.
//
//   void Add(int n) {
//     const MutexLock lock(mutex_);
//     total_ += n;
//   }
//   Mutex mutex_;
//   int total_ ABSL_GUARDED_BY(mutex_) = 0;
//   void Report() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
#pragma once

#include <condition_variable>
#include <mutex>
#include <utility>

#include "absl/base/thread_annotations.h"

namespace gavel {

class ABSL_LOCKABLE Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  // Tells clang that the caller holds it, where it cannot see that: in a lambda that is called
  // at once, or where one mutex goes by two names.
  void AssumeHeld() const ABSL_ASSERT_EXCLUSIVE_LOCK() {}

 private:
  friend class MutexLock;
  std::mutex mutex_;
};

// Holds a mutex for as long as it lives, but for the time between Unlock and Lock. Used by one
// thread. What is waited for is a condition variable of that mutex.
class ABSL_SCOPED_LOCKABLE MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) ABSL_EXCLUSIVE_LOCK_FUNCTION(mutex) : lock_(mutex.mutex_) {}
  ~MutexLock() ABSL_UNLOCK_FUNCTION() = default;
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

  void Unlock() ABSL_UNLOCK_FUNCTION() { lock_.unlock(); }
  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() { lock_.lock(); }

  // Waits until it is notified, or for no reason at all: call it in a loop. It is a loop and no
  // predicate because clang sees what a loop of the caller's reads.
  void Wait(std::condition_variable& changed) { changed.wait(lock_); }
  // The same, for `duration` (of std::chrono) at most.
  template <class Duration>
  void WaitFor(std::condition_variable& changed, const Duration& duration) {
    changed.wait_for(lock_, duration);
  }
  // Waits until `predicate` holds, for `duration` at most; false if it does not hold even then.
  // What a predicate that reads guarded members needs is declared on the lambda itself:
  // [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return done_; }
  template <class Duration, class Predicate>
  bool WaitFor(std::condition_variable& changed, const Duration& duration, Predicate predicate) {
    return changed.wait_for(lock_, duration, std::move(predicate));
  }

 private:
  std::unique_lock<std::mutex> lock_;
};

}  // namespace gavel
