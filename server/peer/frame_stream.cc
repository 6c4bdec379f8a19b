#include "server/peer/frame_stream.h"

#include <cstdint>

#include "storage/disk/little_endian.h"

namespace gavel::server {
namespace {

constexpr size_t kLengthBytes = 4;

}  // namespace

void AppendFrameLength(size_t bytes, std::string* out) {
  storage::AppendLittleEndian(*out, static_cast<uint32_t>(bytes));
}

absl::Status SplitFrames(std::string_view message,
                         const std::function<absl::Status(std::string_view)>& frame) {
  while (!message.empty()) {
    if (message.size() < kLengthBytes) return absl::InvalidArgumentError("frame without length");
    const uint32_t bytes = storage::LoadLittleEndian<uint32_t>(message.data());
    message.remove_prefix(kLengthBytes);
    if (bytes > message.size()) return absl::InvalidArgumentError("frame longer than its message");
    if (absl::Status status = frame(message.substr(0, bytes)); !status.ok()) return status;
    message.remove_prefix(bytes);
  }
  return absl::OkStatus();
}

}  // namespace gavel::server
