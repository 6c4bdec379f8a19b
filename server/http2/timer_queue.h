// Timers of one thread, in the order of their times.
#pragma once

#include <cstddef>
#include <vector>

#include "server/clock.h"

namespace gavel::server {

// Part of what it belongs to. Requires: not set when it is destroyed.
class Timer {
 public:
  virtual ~Timer() = default;
  virtual void OnTimer(MonotonicNs now) = 0;
  bool set() const { return place_ != kNotSet; }

 protected:
  Timer() = default;

 private:
  friend class TimerQueue;
  static constexpr size_t kNotSet = ~size_t{0};
  MonotonicNs at_ = 0;
  size_t place_ = kNotSet;
};

class TimerQueue {
 public:
  // Sets `timer`, or moves it if it is set.
  void Set(Timer& timer, MonotonicNs at);
  void Cancel(Timer& timer);
  // Runs what is due, each once; a timer is no longer set when it runs.
  void RunDue(MonotonicNs now);

  bool empty() const { return heap_.empty(); }
  // When the first timer is due. Requires: not empty.
  MonotonicNs next() const { return heap_.front()->at_; }

 private:
  void Put(Timer* timer, size_t place);
  // Moves the timer at `place` to where it belongs.
  void Settle(size_t place);

  std::vector<Timer*> heap_;  // Each knows its place.
};

}  // namespace gavel::server
