#include "server/http2/timer_queue.h"

namespace gavel::server {

void TimerQueue::Set(Timer& timer, MonotonicNs at) {
  timer.at_ = at;
  if (!timer.set()) {
    heap_.push_back(&timer);
    timer.place_ = heap_.size() - 1;
  }
  Settle(timer.place_);
}

void TimerQueue::Cancel(Timer& timer) {
  if (!timer.set()) return;
  const size_t place = timer.place_;
  timer.place_ = Timer::kNotSet;
  Timer* last = heap_.back();
  heap_.pop_back();
  if (last == &timer) return;
  Put(last, place);
  Settle(place);
}

void TimerQueue::RunDue(MonotonicNs now) {
  while (!heap_.empty() && heap_.front()->at_ <= now) {
    Timer* timer = heap_.front();
    Cancel(*timer);
    timer->OnTimer(now);
  }
}

void TimerQueue::Put(Timer* timer, size_t place) {
  heap_[place] = timer;
  timer->place_ = place;
}

void TimerQueue::Settle(size_t place) {
  Timer* timer = heap_[place];
  while (place > 0) {
    const size_t parent = (place - 1) / 2;
    if (heap_[parent]->at_ <= timer->at_) break;
    Put(heap_[parent], place);
    place = parent;
  }
  while (2 * place + 1 < heap_.size()) {
    size_t child = 2 * place + 1;
    if (child + 1 < heap_.size() && heap_[child + 1]->at_ < heap_[child]->at_) ++child;
    if (timer->at_ <= heap_[child]->at_) break;
    Put(heap_[child], place);
    place = child;
  }
  Put(timer, place);
}

}  // namespace gavel::server
