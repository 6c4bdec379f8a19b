// gRPC's messages in a stream of bytes: each behind a flag and its length.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "server/http2/out_buffer.h"
#include "server/rpc/service.h"

namespace gavel::server {

// Puts messages together as their bytes arrive.
class MessageReader {
 public:
  enum class Step {
    kMore,        // All bytes are taken; the message is not whole.
    kMessage,     // TakeMessage has it.
    kTooLarge,    // Its length, announced(), is above the limit. Nothing can follow.
    kCompressed,  // Flagged as compressed, or with a flag that does not exist.
  };
  // Takes bytes from the front of `*bytes`, of one message at most.
  Step Take(std::string_view* bytes, uint64_t message_bytes_max);
  std::string TakeMessage();

  // A message has begun and is not whole.
  bool within_message() const { return prefix_bytes_ > 0; }
  uint64_t announced() const { return length_; }
  // Bytes kept of the unfinished message.
  size_t held() const { return message_.size(); }

 private:
  char prefix_[kMessagePrefixBytes] = {};
  size_t prefix_bytes_ = 0;
  uint64_t length_ = 0;
  std::string message_;
};

// Messages to send, which leave in parts as the network takes them.
class MessageQueue {
 public:
  void Push(Encoded message);
  // Messages that have their prefixes already.
  void PushFramed(Encoded messages);
  // Of all messages with their prefixes.
  size_t bytes() const { return bytes_; }
  bool empty() const { return bytes_ == 0; }
  // A part of the first message, or of those that were pushed together, has left.
  bool within_message() const { return at_ > 0; }

  // Moves the first `bytes` to `out`. Requires: that many are there.
  void MoveTo(OutBuffer& out, size_t bytes);
  void Clear();

 private:
  struct Message {
    Encoded encoded;
    char prefix[kMessagePrefixBytes];
    size_t slice = 0;   // The next to leave, once the prefix has.
    size_t offset = 0;  // In it, or in the prefix.
    bool prefix_left = true;
  };

  void Add(Message message, size_t size);
  // Moves up to `bytes` of the message; returns how many.
  static size_t MovePart(Message& message, OutBuffer& out, size_t bytes);
  // Nothing of the message is left.
  static bool IsWhole(Message& message);
  void PopFirst();

  // Most calls have one message, which needs no memory of a queue.
  std::optional<Message> first_;
  std::deque<Message> rest_;
  size_t bytes_ = 0;
  size_t at_ = 0;  // Bytes of the first message that have left.
};

}  // namespace gavel::server
