#include "server/rpc/read_bytes.h"

namespace gavel::server {
namespace {

struct HeldBytes {
  HeldBytes(std::string text, ReadBytes::Hold share)
      : bytes(std::move(text)), hold(std::move(share)) {}
  std::string bytes;
  ReadBytes::Hold hold;
};

}  // namespace

bool ReadBytes::Hold::Resize(int64_t bytes) {
  const int64_t more = bytes - bytes_;
  const int64_t before = owner_->used_.fetch_add(more);
  if (more > 0 && before > bytes_ && before + more > owner_->bytes_max_) {
    owner_->used_.fetch_sub(more);
    return false;
  }
  bytes_ = bytes;
  return true;
}

Encoded EncodeHeld(std::string bytes, ReadBytes::Hold hold) {
  const auto held = std::make_shared<const HeldBytes>(std::move(bytes), std::move(hold));
  Encoded encoded;
  encoded.Append(std::shared_ptr<const std::string>(held, &held->bytes));
  return encoded;
}

}  // namespace gavel::server
