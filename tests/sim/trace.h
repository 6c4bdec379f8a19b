// What happened, as a digest that a replay must reproduce and as the last events for a reader.
#pragma once

#include <cstdint>
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

class Trace {
 public:
  static constexpr size_t kKept = 512;

  // Prints every event as it comes.
  void SetPrinting(bool on) { printing_ = on; }
  bool printing() const { return printing_; }

  void Add(const TraceEvent& event) {
    digest_ = Mix(digest_, static_cast<uint64_t>(event.at));
    digest_ = Mix(digest_,
                  (static_cast<uint64_t>(event.kind) << 8) ^ static_cast<uint64_t>(event.node + 1));
    digest_ = Mix(digest_, event.a);
    digest_ = Mix(digest_, event.b);
    last_[count_++ % kKept] = event;
    if (printing_) Print(event);
  }

  uint64_t digest() const { return digest_; }
  uint64_t count() const { return count_; }
  // The last events, a line each.
  std::string Transcript(size_t events) const;

 private:
  static void Print(const TraceEvent& event);

  uint64_t digest_ = 0;
  uint64_t count_ = 0;
  bool printing_ = false;
  std::vector<TraceEvent> last_ = std::vector<TraceEvent>(kKept);
};

}  // namespace gavel::sim
