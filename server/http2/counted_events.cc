#include "server/http2/counted_events.h"

namespace gavel::server {
namespace {

constexpr MonotonicNs kLineInterval = 60 * kNsPerSecond;

}  // namespace

CountedEvents::CountedEvents(Clock& clock, Metrics* metrics, const Family& family)
    : clock_(clock), kinds_(std::make_unique<Kind[]>(family.kinds.size())) {
  if (metrics == nullptr) return;
  for (size_t i = 0; i < family.kinds.size(); ++i) {
    kinds_[i].counter =
        &metrics->AddCounter(family.counter, family.help, {{family.label, family.kinds[i]}});
  }
}

uint64_t CountedEvents::Count(size_t kind) {
  Kind& counted = kinds_[kind];
  if (counted.counter != nullptr) counted.counter->Increment();
  counted.untold.fetch_add(1, std::memory_order_relaxed);
  const MonotonicNs now = clock_.Now();
  MonotonicNs next = counted.next_line.load(std::memory_order_relaxed);
  if (now < next || !counted.next_line.compare_exchange_strong(next, now + kLineInterval)) return 0;
  return counted.untold.exchange(0, std::memory_order_relaxed);
}

}  // namespace gavel::server
