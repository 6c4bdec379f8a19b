#include "server/rpc/message_block.h"

#include <algorithm>
#include <utility>

#include "raft/check.h"

namespace gavel::server {

void WriteMessagePrefix(size_t size, char* prefix) {
  prefix[0] = 0;
  for (size_t i = 1; i < kMessagePrefixBytes; ++i) {
    prefix[i] = static_cast<char>(size >> (8 * (kMessagePrefixBytes - 1 - i)));
  }
}

void MessageBlock::Begin(size_t size) {
  char prefix[kMessagePrefixBytes];
  WriteMessagePrefix(size, prefix);
  copied_.append(prefix, kMessagePrefixBytes);
  ++messages_;
  bytes_ += kMessagePrefixBytes + size;
}

void MessageBlock::AppendShared(const std::shared_ptr<const void>& owner, std::string_view bytes) {
  if (copied_.size() > placed_) {
    pieces_.push_back({nullptr, nullptr, copied_.size() - placed_});
    placed_ = copied_.size();
  }
  pieces_.push_back({owner, bytes.data(), bytes.size()});
}

Encoded MessageBlock::TakeFramed() {
  if (copied_.size() > placed_) pieces_.push_back({nullptr, nullptr, copied_.size() - placed_});
  const auto copied = std::make_shared<const std::string>(std::move(copied_));
  Encoded framed;
  size_t offset = 0;
  for (Piece& piece : pieces_) {
    if (piece.owner != nullptr) {
      framed.Append({std::move(piece.owner), std::string_view(piece.data, piece.size)});
      continue;
    }
    framed.Append({copied, std::string_view(*copied).substr(offset, piece.size)});
    offset += piece.size;
  }
  GAVEL_CHECK(framed.bytes() == bytes_) << "a message is not as long as was said";
  *this = MessageBlock();
  return framed;
}

std::vector<Encoded> MessageBlock::TakeMessages() {
  const Encoded framed = TakeFramed();
  std::vector<Encoded> messages;
  std::string prefix;
  size_t left = 0;  // Of the last message.
  for (const Encoded::Slice& slice : framed.slices()) {
    std::string_view bytes = slice.bytes;
    while (!bytes.empty()) {
      if (left > 0) {
        const std::string_view part = bytes.substr(0, left);
        messages.back().Append({slice.owner, part});
        left -= part.size();
        bytes.remove_prefix(part.size());
        continue;
      }
      const size_t part = std::min(kMessagePrefixBytes - prefix.size(), bytes.size());
      prefix.append(bytes.substr(0, part));
      bytes.remove_prefix(part);
      if (prefix.size() < kMessagePrefixBytes) break;
      for (size_t i = 1; i < kMessagePrefixBytes; ++i) {
        left = left << 8 | static_cast<unsigned char>(prefix[i]);
      }
      prefix.clear();
      messages.emplace_back();
    }
  }
  return messages;
}

}  // namespace gavel::server
