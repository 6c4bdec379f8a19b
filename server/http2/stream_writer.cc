#include "server/http2/stream_writer.h"

#include <utility>

#include "raft/check.h"
#include "server/http2/io_loop.h"
#include "server/http2/messages.h"

namespace gavel::server {

Http2StreamWriter::Http2StreamWriter(std::shared_ptr<IoLoop> loop, Call* call)
    : loop_(std::move(loop)), call_(call), mark_(loop_->shared().HighMark()) {}

// Not the mark as it is when this is called: a writer that went by another than the Write before
// would wait for a call to OnWritable that never comes.
size_t Http2StreamWriter::high_mark() const {
  const MutexLock lock(mutex_);
  return mark_;
}

size_t Http2StreamWriter::Write(Encoded message) {
  const size_t size = kMessagePrefixBytes + message.bytes();
  return Add({std::move(message), 0}, size);
}

size_t Http2StreamWriter::WriteBlock(MessageBlock block) {
  const size_t size = block.bytes();
  const size_t messages = block.messages();
  GAVEL_CHECK(messages > 0);
  return Add({block.TakeFramed(), messages}, size);
}

size_t Http2StreamWriter::Add(Queued message, size_t size) {
  size_t queued = 0;
  bool wake = false;
  {
    const MutexLock lock(mutex_);
    if (closed_ || finished_) return 0;
    loop_->shared().AddStreamBytes(static_cast<int64_t>(size));
    mark_ = loop_->shared().HighMark();
    bytes_ += size;
    queued = bytes_;
    was_above_ = was_above_ || bytes_ > mark_;
    queue_.push_back(std::move(message));
    wake = !std::exchange(woken_, true);
  }
  if (wake) Wake();
  return queued;
}

void Http2StreamWriter::Finish(RpcStatus status) {
  bool wake = false;
  {
    const MutexLock lock(mutex_);
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
  const MutexLock lock(mutex_);
  woken_ = false;
  taken.messages.swap(queue_);
  taken.finish = std::exchange(finish_, std::nullopt);
  return taken;
}

bool Http2StreamWriter::OnSent(size_t bytes) {
  const MutexLock lock(mutex_);
  GAVEL_CHECK(bytes <= bytes_);
  bytes_ -= bytes;
  loop_->shared().AddStreamBytes(-static_cast<int64_t>(bytes));
  if (!was_above_ || bytes_ >= loop_->shared().HighMark() / 4) return false;
  was_above_ = false;
  return true;
}

bool Http2StreamWriter::above_high_mark() {
  const MutexLock lock(mutex_);
  return bytes_ > loop_->shared().HighMark();
}

void Http2StreamWriter::Close() {
  std::vector<Queued> dropped;
  const MutexLock lock(mutex_);
  call_ = nullptr;
  if (std::exchange(closed_, true)) return;
  loop_->shared().AddStreamBytes(-static_cast<int64_t>(bytes_));
  bytes_ = 0;
  dropped.swap(queue_);
}

}  // namespace gavel::server
