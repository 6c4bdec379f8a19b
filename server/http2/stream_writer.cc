#include "server/http2/stream_writer.h"

#include <algorithm>
#include <utility>

#include "server/http2/io_loop.h"
#include "server/http2/messages.h"

namespace gavel::server {

Http2StreamWriter::Http2StreamWriter(std::shared_ptr<IoLoop> loop, Call* call, size_t high_mark)
    : loop_(std::move(loop)), high_mark_(high_mark), call_(call) {}

size_t Http2StreamWriter::Write(Encoded message) {
  size_t queued = 0;
  bool wake = false;
  {
    std::lock_guard lock(mutex_);
    if (closed_ || finished_) return 0;
    bytes_ += kMessagePrefixBytes + message.bytes();
    queued = bytes_;
    was_above_ = was_above_ || bytes_ > high_mark_;
    queue_.push_back(std::move(message));
    wake = !std::exchange(woken_, true);
  }
  if (wake) Wake();
  return queued;
}

void Http2StreamWriter::Finish(RpcStatus status) {
  bool wake = false;
  {
    std::lock_guard lock(mutex_);
    if (closed_ || finished_) return;
    finished_ = true;
    finish_ = std::move(status);
    wake = !std::exchange(woken_, true);
  }
  if (wake) Wake();
}

void Http2StreamWriter::Wake() { loop_->Pump(shared_from_this()); }

Http2StreamWriter::Taken Http2StreamWriter::Take() {
  Taken taken;
  std::lock_guard lock(mutex_);
  woken_ = false;
  taken.messages.swap(queue_);
  taken.finish = std::exchange(finish_, std::nullopt);
  return taken;
}

bool Http2StreamWriter::OnSent(size_t bytes) {
  std::lock_guard lock(mutex_);
  bytes_ -= std::min(bytes, bytes_);
  if (!was_above_ || bytes_ >= high_mark_ / 4) return false;
  was_above_ = false;
  return true;
}

bool Http2StreamWriter::above_high_mark() {
  std::lock_guard lock(mutex_);
  return bytes_ > high_mark_;
}

void Http2StreamWriter::Close() {
  std::vector<Encoded> dropped;
  std::lock_guard lock(mutex_);
  call_ = nullptr;
  closed_ = true;
  dropped.swap(queue_);
}

}  // namespace gavel::server
