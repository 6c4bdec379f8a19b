// Several messages for one stream in one piece, as gRPC puts them on the wire: each behind a zero
// and its length.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "server/encoded.h"

namespace gavel::server {

inline constexpr size_t kMessagePrefixBytes = 5;

// Writes the five bytes before a message of `size` bytes.
void WriteMessagePrefix(size_t size, char* prefix);

// Built message by message; small parts are copied next to each other, large ones shared. For many
// small messages at once this costs a small part of what an Encoded for each would.
class MessageBlock {
 public:
  // `bytes_hint`: about how much will be copied.
  explicit MessageBlock(size_t bytes_hint = 0) { copied_.reserve(bytes_hint); }

  // Begins a message, of which exactly `size` bytes follow.
  void Begin(size_t size);
  void Append(std::string_view bytes) { copied_.append(bytes); }
  void AppendShared(const std::shared_ptr<const void>& owner, std::string_view bytes);

  size_t messages() const { return messages_; }
  // Of all, prefixes included.
  size_t bytes() const { return bytes_; }
  bool empty() const { return messages_ == 0; }

  // Everything, as it goes on the wire. The block is empty then.
  Encoded TakeFramed();
  // Its messages one by one. The block is empty then.
  std::vector<Encoded> TakeMessages();

 private:
  // Of the messages, in order: so many bytes of `copied_`, or shared ones.
  struct Piece {
    std::shared_ptr<const void> owner;
    const char* data = nullptr;
    size_t size = 0;
  };

  std::string copied_;
  size_t placed_ = 0;  // Of copied_: has its piece.
  std::vector<Piece> pieces_;
  size_t messages_ = 0;
  size_t bytes_ = 0;
};

}  // namespace gavel::server
