// When so many connections have ended that their memory should go back to the system.
#pragma once

#include <atomic>
#include <cstdint>

namespace gavel::server {

// Counts connections. Thread-safe.
class Crowd {
 public:
  // Returns how many there are with this one.
  uint32_t Enter() {
    const uint32_t now = ++now_;
    uint32_t most = most_.load(std::memory_order_relaxed);
    while (now > most && !most_.compare_exchange_weak(most, now, std::memory_order_relaxed)) {
    }
    return now;
  }
  void Leave() { --now_; }

  // True once each time that half of many have left.
  bool HasScattered() {
    const uint32_t now = now_.load(std::memory_order_relaxed);
    uint32_t most = most_.load(std::memory_order_relaxed);
    if (most < now + kMany || most / 2 < now) return false;
    return most_.compare_exchange_strong(most, now, std::memory_order_relaxed);
  }

  uint32_t now() const { return now_.load(std::memory_order_relaxed); }

 private:
  static constexpr uint32_t kMany = 500;

  std::atomic<uint32_t> now_ = 0;
  std::atomic<uint32_t> most_ = 0;  // At once, since half of them left.
};

}  // namespace gavel::server
