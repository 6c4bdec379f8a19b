#include "server/http2/messages.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "raft/check.h"

namespace gavel::server {
namespace {

// Room for a message is made as its bytes come: a length alone is only a promise.
constexpr size_t kRoomAtOnceMax = 64 << 10;

}  // namespace

MessageReader::Step MessageReader::Take(std::string_view* bytes, uint64_t message_bytes_max) {
  if (prefix_bytes_ < kMessagePrefixBytes) {
    const size_t part = std::min(kMessagePrefixBytes - prefix_bytes_, bytes->size());
    std::memcpy(prefix_ + prefix_bytes_, bytes->data(), part);
    prefix_bytes_ += part;
    bytes->remove_prefix(part);
    if (prefix_bytes_ < kMessagePrefixBytes) return Step::kMore;
    length_ = 0;
    for (size_t i = 1; i < kMessagePrefixBytes; ++i) {
      length_ = length_ << 8 | static_cast<unsigned char>(prefix_[i]);
    }
    if (prefix_[0] != 0) return Step::kCompressed;
    if (length_ > message_bytes_max) return Step::kTooLarge;
    message_.reserve(std::min<size_t>(length_, std::max(bytes->size(), kRoomAtOnceMax)));
  }
  const size_t part = std::min<size_t>(length_ - message_.size(), bytes->size());
  message_.append(bytes->data(), part);
  bytes->remove_prefix(part);
  return message_.size() < length_ ? Step::kMore : Step::kMessage;
}

std::string MessageReader::TakeMessage() {
  prefix_bytes_ = 0;
  return std::exchange(message_, std::string());
}

void MessageQueue::Push(Encoded encoded) {
  const size_t size = encoded.bytes();
  Message message{std::move(encoded), {}, 0, 0, true};
  WriteMessagePrefix(size, message.prefix);
  Add(std::move(message), kMessagePrefixBytes + size);
}

void MessageQueue::PushFramed(Encoded messages) {
  const size_t size = messages.bytes();
  if (size > 0) Add(Message{std::move(messages), {}, 0, 0, false}, size);
}

void MessageQueue::Add(Message message, size_t size) {
  bytes_ += size;
  if (first_) {
    rest_.push_back(std::move(message));
  } else {
    first_ = std::move(message);
  }
}

size_t MessageQueue::MovePart(Message& message, OutBuffer& out, size_t bytes) {
  if (message.prefix_left) {
    const size_t part = std::min(bytes, kMessagePrefixBytes - message.offset);
    out.Append(std::string_view(message.prefix + message.offset, part));
    message.offset += part;
    if (message.offset == kMessagePrefixBytes) {
      message.prefix_left = false;
      message.offset = 0;
    }
    return part;
  }
  const Encoded::Slice& slice = message.encoded.slices()[message.slice];
  const size_t part = std::min(bytes, slice.bytes.size() - message.offset);
  out.AppendShared(slice.owner, slice.bytes.substr(message.offset, part));
  message.offset += part;
  if (message.offset == slice.bytes.size()) {
    ++message.slice;
    message.offset = 0;
  }
  return part;
}

bool MessageQueue::IsWhole(Message& message) {
  if (message.prefix_left) return false;
  const auto& slices = message.encoded.slices();
  // An empty slice has nothing that could leave later.
  while (message.slice < slices.size() && slices[message.slice].bytes.empty()) ++message.slice;
  return message.slice == slices.size();
}

void MessageQueue::MoveTo(OutBuffer& out, size_t bytes) {
  GAVEL_CHECK(bytes <= bytes_);
  bytes_ -= bytes;
  while (bytes > 0) {
    const size_t part = MovePart(*first_, out, bytes);
    at_ += part;
    bytes -= part;
    if (IsWhole(*first_)) PopFirst();
  }
}

void MessageQueue::PopFirst() {
  at_ = 0;
  if (rest_.empty()) {
    first_.reset();
  } else {
    first_ = std::move(rest_.front());
    rest_.pop_front();
  }
}

void MessageQueue::Clear() {
  first_.reset();
  rest_.clear();
  bytes_ = 0;
  at_ = 0;
}

}  // namespace gavel::server
