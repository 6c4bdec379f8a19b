// How much an answer may hold while it is built.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>

namespace gavel::storage {

// Asks whoever keeps account for more as an answer grows. Once that is refused, nothing more is
// added to the answer, which is then worth nothing. Used by one thread.
class AnswerRoom {
 public:
  // Told what the whole answer is about to hold, in bytes; false if that is too much.
  using Charge = std::function<bool(int64_t bytes)>;

  AnswerRoom() = default;  // Without limit.
  explicit AnswerRoom(Charge charge) : charge_(std::move(charge)) {}

  // Whether there is room for what is kept and `bytes` more, which are being built.
  bool Fits(int64_t bytes) {
    if (refused_) return false;
    const int64_t all = kept_ + bytes;
    if (charge_ == nullptr || all <= granted_) return true;
    refused_ = !charge_(all + kStep);
    granted_ = all + kStep;
    return !refused_;
  }
  // `bytes` more are a part of the answer.
  void Keep(int64_t bytes) { kept_ += bytes; }

  bool refused() const { return refused_; }
  int64_t kept() const { return kept_; }

 private:
  // Asked for at a time. An answer that holds no more is never refused.
  static constexpr int64_t kStep = 64 << 10;

  Charge charge_;
  int64_t kept_ = 0;
  int64_t granted_ = kStep;
  bool refused_ = false;
};

}  // namespace gavel::storage
