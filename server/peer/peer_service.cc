#include "server/peer/peer_service.h"

#include <memory>
#include <utility>

#include "storage/disk/little_endian.h"

namespace gavel::server {
namespace {

constexpr size_t kLengthBytes = 4;

using OnFrame = std::function<absl::Status(std::string_view frame)>;

// One peer's stream to this member.
class FrameStream final : public StreamHandler {
 public:
  FrameStream(std::shared_ptr<const OnFrame> on_frame, std::shared_ptr<StreamWriter> writer)
      : on_frame_(std::move(on_frame)), writer_(std::move(writer)) {}

  void OnMessage(std::string message) override {
    if (finished_) return;
    const absl::Status status = SplitFrames(message, *on_frame_);
    if (!status.ok()) {
      Finish({StatusCode::kFailedPrecondition, std::string(status.message())});
    }
  }

  void OnHalfClose() override { Finish({}); }
  void OnCancel() override { finished_ = true; }

 private:
  void Finish(RpcStatus status) {
    if (finished_) return;
    finished_ = true;
    writer_->Finish(std::move(status));
  }

  const std::shared_ptr<const OnFrame> on_frame_;
  const std::shared_ptr<StreamWriter> writer_;
  bool finished_ = false;
};

}  // namespace

void AppendFrameLength(size_t bytes, std::string* out) {
  storage::AppendLittleEndian(*out, static_cast<uint32_t>(bytes));
}

absl::Status SplitFrames(std::string_view message, const OnFrame& frame) {
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

void AddPeerService(Router& router, OnFrame on_frame) {
  auto shared = std::make_shared<const OnFrame>(std::move(on_frame));
  router.AddStream(
      std::string(kPeerFramesMethod),
      [shared](const CallContext&, std::shared_ptr<StreamWriter> writer) {
        return std::make_shared<FrameStream>(shared, std::move(writer));
      },
      StreamShape::kBidi);
}

}  // namespace gavel::server
