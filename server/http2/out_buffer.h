// Bytes on their way to a socket: small ones copied together, large ones shared.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace gavel::server {

class OutBuffer {
 public:
  void Append(std::string_view bytes);
  // `bytes` of what `owner` keeps, until they are gone; copied if they are few.
  void AppendShared(const std::shared_ptr<const void>& owner, std::string_view bytes);

  size_t bytes() const { return bytes_; }
  bool empty() const { return bytes_ == 0; }

  // The first bytes, as up to `max` parts; returns how many.
  int Parts(iovec* parts, int max) const;
  // Forgets the first `bytes`. Requires: that many are there.
  void Drop(size_t bytes);

 private:
  struct Piece {
    std::shared_ptr<const void> owner;  // Null: of copied_.
    const char* data = nullptr;         // If there is an owner.
    size_t offset = 0;                  // From there, or in copied_.
    size_t size = 0;
  };

  void Reset();

  std::string copied_;
  std::vector<Piece> pieces_;
  size_t first_ = 0;  // The pieces before are gone.
  size_t bytes_ = 0;
};

}  // namespace gavel::server
