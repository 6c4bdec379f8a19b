// Bytes to send, shared rather than copied.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gavel::server {

// Shared, immutable slices, so that a response is encoded once and one event can be part of many
// streams.
class Encoded {
 public:
  // A part of what `owner` keeps alive.
  struct Slice {
    std::shared_ptr<const void> owner;
    std::string_view bytes;
  };

  Encoded() = default;
  explicit Encoded(std::string bytes) {
    Append(std::make_shared<const std::string>(std::move(bytes)));
  }

  void Append(std::shared_ptr<const std::string> whole) {
    const std::string_view bytes = *whole;
    slices_.push_back({std::move(whole), bytes});
  }
  void Append(Slice slice) { slices_.push_back(std::move(slice)); }
  const std::vector<Slice>& slices() const { return slices_; }
  size_t bytes() const {
    size_t sum = 0;
    for (const Slice& slice : slices_) sum += slice.bytes.size();
    return sum;
  }

 private:
  std::vector<Slice> slices_;
};

}  // namespace gavel::server
