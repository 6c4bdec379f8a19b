// Tells clients that only make work from those that want something.
#pragma once

#include <cstdint>

#include "server/clock.h"

namespace gavel::server {

// So many at once, then so many a second.
class TokenBucket {
 public:
  TokenBucket(uint32_t burst, uint32_t per_second)
      : burst_(burst), per_second_(per_second), tokens_(burst) {}

  // False when there is no token left.
  bool Take(MonotonicNs now) {
    const double earned =
        static_cast<double>(now - last_) / static_cast<double>(kNsPerSecond) * per_second_;
    last_ = now;
    tokens_ = tokens_ + earned > burst_ ? burst_ : tokens_ + earned;
    if (tokens_ < 1) return false;
    tokens_ -= 1;
    return true;
  }

 private:
  double burst_;
  double per_second_;
  double tokens_;
  MonotonicNs last_ = 0;
};

// gRPC's rule for pings: those that come sooner than allowed after the one before are strikes,
// and the third is one too many. Whatever we send makes the client's next ping welcome.
class PingGuard {
 public:
  explicit PingGuard(MonotonicNs min_time) : min_time_(min_time) {}

  // False when the client pings too often.
  bool OnPing(MonotonicNs now) {
    const bool early = pinged_ && now - last_ < min_time_;
    pinged_ = true;
    last_ = now;
    return !early || ++strikes_ <= kStrikesMax;
  }
  void OnSent() {
    pinged_ = false;
    strikes_ = 0;
  }

 private:
  static constexpr int kStrikesMax = 2;
  MonotonicNs min_time_;
  MonotonicNs last_ = 0;
  bool pinged_ = false;
  int strikes_ = 0;
};

}  // namespace gavel::server
