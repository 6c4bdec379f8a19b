// Bounds the bytes of answers to reads that are being built or sent, over all calls.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "server/rpc/service.h"

namespace gavel::server {

// Thread-safe. Handed out as shared_ptr, since answers may outlive their service by a moment.
class ReadBytes : public std::enable_shared_from_this<ReadBytes> {
 public:
  explicit ReadBytes(int64_t bytes_max) : bytes_max_(bytes_max) {}

  // A share of the bytes, given back when it is destroyed.
  class Hold {
   public:
    explicit Hold(std::shared_ptr<ReadBytes> owner) : owner_(std::move(owner)) {}
    Hold(Hold&& other) noexcept
        : owner_(std::move(other.owner_)), bytes_(std::exchange(other.bytes_, 0)) {}
    Hold& operator=(Hold&&) = delete;
    ~Hold() {
      if (owner_ != nullptr && bytes_ != 0) owner_->used_.fetch_sub(bytes_);
    }
    // Makes the share `bytes` large; false, and unchanged, if that is more than is left.
    // One answer always fits, however large, when no other is under way.
    bool Resize(int64_t bytes);

   private:
    std::shared_ptr<ReadBytes> owner_;
    int64_t bytes_ = 0;
  };

  Hold NewHold() { return Hold(shared_from_this()); }
  int64_t used() const { return used_.load(); }

 private:
  const int64_t bytes_max_;
  std::atomic<int64_t> used_ = 0;
};

// Bytes to send that give `hold` back once the network has taken them.
Encoded EncodeHeld(std::string bytes, ReadBytes::Hold hold);

}  // namespace gavel::server
