#include "server/http2/out_buffer.h"

#include <algorithm>

#include "raft/check.h"

namespace gavel::server {
namespace {

// Below this, copying is cheaper than sharing.
constexpr size_t kCopyBytesMax = 2048;
// More room than this is given back once it is empty.
constexpr size_t kKeptRoomMax = 512 << 10;

}  // namespace

void OutBuffer::Append(std::string_view bytes) {
  if (bytes.empty()) return;
  if (first_ == pieces_.size() || pieces_.back().owner != nullptr) {
    pieces_.push_back({nullptr, nullptr, copied_.size(), 0});
  }
  copied_.append(bytes);
  pieces_.back().size += bytes.size();
  bytes_ += bytes.size();
}

void OutBuffer::AppendShared(const std::shared_ptr<const void>& owner, std::string_view bytes) {
  if (bytes.size() <= kCopyBytesMax) {
    Append(bytes);
    return;
  }
  pieces_.push_back({owner, bytes.data(), 0, bytes.size()});
  bytes_ += bytes.size();
}

int OutBuffer::Parts(iovec* parts, int max) const {
  int count = 0;
  for (size_t i = first_; i < pieces_.size() && count < max; ++i) {
    const Piece& piece = pieces_[i];
    const char* data = piece.owner == nullptr ? copied_.data() : piece.data;
    parts[count++] = {const_cast<char*>(data) + piece.offset, piece.size};
  }
  return count;
}

void OutBuffer::Drop(size_t bytes) {
  GAVEL_CHECK(bytes <= bytes_);
  bytes_ -= bytes;
  if (bytes_ == 0) {
    Reset();
    return;
  }
  while (bytes > 0) {
    Piece& piece = pieces_[first_];
    const size_t part = std::min(bytes, piece.size);
    piece.offset += part;
    piece.size -= part;
    bytes -= part;
    if (piece.size > 0) return;
    piece.owner.reset();
    ++first_;
  }
}

void OutBuffer::Reset() {
  pieces_.clear();
  first_ = 0;
  copied_.clear();
  if (copied_.capacity() > kKeptRoomMax) copied_ = std::string();
}

}  // namespace gavel::server
