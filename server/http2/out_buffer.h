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
  // A part of `whole`, which is kept until the bytes are gone; copied if it is short.
  void AppendShared(const std::shared_ptr<const std::string>& whole, size_t offset, size_t size);

  size_t bytes() const { return bytes_; }
  bool empty() const { return bytes_ == 0; }

  // The first bytes, as up to `max` parts; returns how many.
  int Parts(iovec* parts, int max) const;
  // Forgets the first `bytes`. Requires: that many are there.
  void Drop(size_t bytes);

 private:
  struct Piece {
    std::shared_ptr<const std::string> whole;  // Null: of copied_.
    size_t offset = 0;
    size_t size = 0;
  };

  void Reset();

  std::string copied_;
  std::vector<Piece> pieces_;
  size_t first_ = 0;  // The pieces before are gone.
  size_t bytes_ = 0;
};

}  // namespace gavel::server
