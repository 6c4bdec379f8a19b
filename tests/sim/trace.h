// What happened, as a digest that a replay must reproduce and as the last events for a reader.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/sim/random_streams.h"

namespace gavel::sim {

enum class EventKind : uint8_t {
  kFrame,
  kCore,
  kLog,
  kApply,
  kBackground,
  kFlush,
  kCall,
  kAnswer,
  kFault,
  kStart,
  kDown,
  kPoint,
  kTimer,
};
std::string_view EventName(EventKind kind);

struct TraceEvent {
  int64_t at = 0;
  EventKind kind = EventKind::kTimer;
  int node = -1;
  uint64_t a = 0;
  uint64_t b = 0;
  const char* text = "";  // A constant.
};

// The last events of a trace.
struct TraceTail {
  static constexpr size_t kKept = 512;

  // The last `events` of them, a line each.
  std::string Transcript(size_t events) const;

  uint64_t count = 0;  // Of all events that there were.
  std::array<TraceEvent, kKept> last = {};
};

class Trace {
 public:
  // Keeps the last events in `tail` from here on; it must outlive the trace.
  void KeepIn(TraceTail& tail) { tail_ = &tail; }

  // Keeps all events in `all` as well.
  void KeepAllIn(std::vector<TraceEvent>& all) { all_ = &all; }
  // Compares with the events of an earlier run; `all` must outlive the trace.
  void CompareWith(const std::vector<TraceEvent>& all) { expected_ = &all; }
  // The first difference, or nothing. With `ended`, that events are missing counts as one.
  std::optional<std::string> Difference(bool ended) const;

  // Prints every event as it comes.
  void SetPrinting(bool on) { printing_ = on; }
  bool printing() const { return printing_; }

  void Add(const TraceEvent& event) {
    digest_ = Mix(digest_, static_cast<uint64_t>(event.at));
    digest_ = Mix(digest_,
                  (static_cast<uint64_t>(event.kind) << 8) ^ static_cast<uint64_t>(event.node + 1));
    digest_ = Mix(digest_, event.a);
    digest_ = Mix(digest_, event.b);
    tail_->last[tail_->count++ % TraceTail::kKept] = event;
    if (all_ != nullptr) all_->push_back(event);
    if (expected_ != nullptr && !first_difference_) Compare(event);
    if (printing_) Print(event);
  }

  uint64_t digest() const { return digest_; }
  uint64_t count() const { return tail_->count; }
  // The last events, a line each.
  std::string Transcript(size_t events) const { return tail_->Transcript(events); }

 private:
  static void Print(const TraceEvent& event);
  void Compare(const TraceEvent& event);

  uint64_t digest_ = 0;
  bool printing_ = false;
  std::unique_ptr<TraceTail> own_tail_ = std::make_unique<TraceTail>();
  TraceTail* tail_ = own_tail_.get();
  std::vector<TraceEvent>* all_ = nullptr;
  const std::vector<TraceEvent>* expected_ = nullptr;
  std::optional<TraceEvent> first_difference_;
  size_t same_ = 0;  // How many events were as in the earlier run.
};

}  // namespace gavel::sim
