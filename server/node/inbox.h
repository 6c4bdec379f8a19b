// The queue before a stage: many producers, one consumer who takes everything at once.
//
// A wake of a sleeping thread costs far more than an item in a queue that is being drained, so
// producers wake the consumer only when the queue was empty and the consumer sleeps.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "storage/mutex.h"

namespace gavel::server {

// Thread-safe. TakeAll, Wait, BeginWait and EndWait are for the one consumer.
template <class Item>
class Inbox {
 public:
  explicit Inbox(size_t items_max) : items_max_(items_max) {}

  // For a consumer that sleeps elsewhere, between BeginWait and EndWait: `wake` ends its sleep.
  // Before anyone else knows the inbox.
  void SetWaker(std::function<void()> wake) { wake_ = std::move(wake); }

  // Adds an item unless the queue is full or closed; returns whether it was added.
  bool TryPush(Item item) { return Add(std::move(item), items_max_); }

  // Adds an item that must not be lost and whose number is bounded elsewhere (completions).
  void Push(Item item) { Add(std::move(item), static_cast<size_t>(-1)); }

  // Makes a waiting consumer look, with no item.
  void Wake() {
    {
      const MutexLock lock(mutex_);
      woken_ = true;
      if (!std::exchange(waiting_, false)) return;
    }
    EndSleep();
  }

  // Returns everything queued, in order.
  std::vector<Item> TakeAll() {
    std::vector<Item> items;
    const MutexLock lock(mutex_);
    woken_ = false;
    items.swap(items_);
    return items;
  }

  // Returns once something is queued, Wake or Close was called, or `timeout` has passed.
  void Wait(std::optional<std::chrono::nanoseconds> timeout) {
    MutexLock lock(mutex_);
    if (Ready()) return;
    waiting_ = true;
    if (timeout.has_value()) {
      lock.WaitFor(ready_, *timeout,
                   [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return Ready(); });
    } else {
      while (!Ready()) lock.Wait(ready_);
    }
    waiting_ = false;
  }

  // Whether the consumer may sleep: nothing has come since it looked last. From here on until
  // EndWait, what comes calls the waker, once.
  bool BeginWait() {
    const MutexLock lock(mutex_);
    waiting_ = !Ready();
    return waiting_;
  }
  void EndWait() {
    const MutexLock lock(mutex_);
    waiting_ = false;
  }

  bool empty() const {
    const MutexLock lock(mutex_);
    return items_.empty() && !woken_;
  }

  size_t size() const {
    const MutexLock lock(mutex_);
    return items_.size();
  }

  // Lets the consumer's Wait return from here on. Items can still be added and taken.
  void Close() {
    {
      const MutexLock lock(mutex_);
      closed_ = true;
      waiting_ = false;
    }
    EndSleep();
  }

  bool closed() const {
    const MutexLock lock(mutex_);
    return closed_;
  }

 private:
  bool Ready() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return woken_ || closed_ || !items_.empty();
  }

  bool Add(Item item, size_t items_max) {
    {
      const MutexLock lock(mutex_);
      if (items_.size() >= items_max) return false;
      items_.push_back(std::move(item));
      if (!std::exchange(waiting_, false)) return true;
    }
    EndSleep();
    return true;
  }

  void EndSleep() {
    if (wake_) {
      wake_();
    } else {
      ready_.notify_one();
    }
  }

  const size_t items_max_;
  std::function<void()> wake_;
  mutable Mutex mutex_;
  std::condition_variable ready_;
  std::vector<Item> items_ ABSL_GUARDED_BY(mutex_);
  bool woken_ ABSL_GUARDED_BY(mutex_) = false;
  bool waiting_ ABSL_GUARDED_BY(mutex_) = false;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace gavel::server
