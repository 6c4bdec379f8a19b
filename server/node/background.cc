#include "server/node/background.h"

#include <chrono>
#include <utility>

namespace gavel::server {

void Background::Add(Step step) {
  const MutexLock lock(mutex_);
  if (closed_) return;
  jobs_.push_back(std::move(step));
  ready_.notify_one();
}

void Background::AddAt(MonotonicNs at, Step step) {
  const MutexLock lock(mutex_);
  if (closed_) return;
  later_.emplace(at, std::move(step));
  ready_.notify_one();
}

void Background::TakeDue() {
  if (later_.empty()) return;
  const MonotonicNs now = clock_.Now();
  while (!later_.empty() && later_.begin()->first <= now) {
    jobs_.push_back(std::move(later_.begin()->second));
    later_.erase(later_.begin());
  }
}

bool Background::RunOnce() {
  Step step;
  {
    const MutexLock lock(mutex_);
    TakeDue();
    if (jobs_.empty()) return false;
    step = std::move(jobs_.front());
    jobs_.pop_front();
  }
  if (step()) {
    const MutexLock lock(mutex_);
    if (!closed_) jobs_.push_back(std::move(step));
  }
  return true;
}

size_t Background::due() {
  const MutexLock lock(mutex_);
  return jobs_.size();
}

size_t Background::size() {
  const MutexLock lock(mutex_);
  return jobs_.size() + later_.size();
}

std::optional<MonotonicNs> Background::NextDue() {
  const MutexLock lock(mutex_);
  if (!jobs_.empty()) return 0;
  if (later_.empty()) return std::nullopt;
  return later_.begin()->first;
}

bool Background::Wait() {
  MutexLock lock(mutex_);
  while (!closed_) {
    TakeDue();
    if (!jobs_.empty()) break;
    if (later_.empty()) {
      lock.Wait(ready_);
    } else {
      lock.WaitFor(ready_, std::chrono::nanoseconds(later_.begin()->first - clock_.Now()));
    }
  }
  return !closed_;
}

void Background::Close() {
  std::deque<Step> dropped;
  std::multimap<MonotonicNs, Step> dropped_later;
  const MutexLock lock(mutex_);
  closed_ = true;
  dropped.swap(jobs_);
  dropped_later.swap(later_);
  ready_.notify_all();
}

}  // namespace gavel::server
