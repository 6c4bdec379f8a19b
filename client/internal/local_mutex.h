// A mutex within this process that clang checks: what it guards (GAVEL_GUARDED_BY) and who needs it
// (GAVEL_REQUIRES) are declared, and -Wthread-safety reports whoever touches the one or calls the
// other without it. Installed because the library's headers have it; programs need it for nothing,
// and so it shows only the standard library. (The mutex of a cluster is client/recipes/mutex.h.)
#pragma once

#include <condition_variable>
#include <mutex>
#include <stop_token>
#include <utility>

#if defined(__clang__)
#define GAVEL_CLIENT_ATTRIBUTE(...) __attribute__((__VA_ARGS__))
#else
#define GAVEL_CLIENT_ATTRIBUTE(...)
#endif
#define GAVEL_GUARDED_BY(mutex) GAVEL_CLIENT_ATTRIBUTE(guarded_by(mutex))
#define GAVEL_REQUIRES(mutex) GAVEL_CLIENT_ATTRIBUTE(exclusive_locks_required(mutex))

namespace gavel::client::internal {

class GAVEL_CLIENT_ATTRIBUTE(lockable) LocalMutex {
 public:
  LocalMutex() = default;
  LocalMutex(const LocalMutex&) = delete;
  LocalMutex& operator=(const LocalMutex&) = delete;

 private:
  friend class LocalLock;
  std::mutex mutex_;
};

// Holds a mutex for as long as it lives, but for the time between Unlock and Lock. Used by one
// thread. What is waited for is a condition variable of that mutex. What a predicate that reads
// guarded members needs is declared on the lambda itself:
//   [this]() GAVEL_REQUIRES(mutex_) { return done_; }
class GAVEL_CLIENT_ATTRIBUTE(scoped_lockable) LocalLock {
 public:
  explicit LocalLock(LocalMutex& mutex) GAVEL_CLIENT_ATTRIBUTE(exclusive_lock_function(mutex))
      : lock_(mutex.mutex_) {}
  ~LocalLock() GAVEL_CLIENT_ATTRIBUTE(unlock_function()) = default;
  LocalLock(const LocalLock&) = delete;
  LocalLock& operator=(const LocalLock&) = delete;

  void Unlock() GAVEL_CLIENT_ATTRIBUTE(unlock_function()) { lock_.unlock(); }
  void Lock() GAVEL_CLIENT_ATTRIBUTE(exclusive_lock_function()) { lock_.lock(); }

  // Waits until it is notified, or for no reason at all: call it in a loop.
  void Wait(std::condition_variable& changed) { changed.wait(lock_); }
  // Waits until `predicate` holds, for `duration` at most; false if it does not hold even then.
  template <class Duration, class Predicate>
  bool WaitFor(std::condition_variable& changed, const Duration& duration, Predicate predicate) {
    return changed.wait_for(lock_, duration, std::move(predicate));
  }
  // The same, until stop is requested at the latest.
  template <class Predicate>
  bool Wait(std::condition_variable_any& changed, const std::stop_token& stop,
            Predicate predicate) {
    return changed.wait(lock_, stop, std::move(predicate));
  }
  template <class Duration, class Predicate>
  bool WaitFor(std::condition_variable_any& changed, const std::stop_token& stop,
               const Duration& duration, Predicate predicate) {
    return changed.wait_for(lock_, stop, duration, std::move(predicate));
  }

 private:
  std::unique_lock<std::mutex> lock_;
};

}  // namespace gavel::client::internal
