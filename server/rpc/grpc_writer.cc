#include "server/rpc/grpc_writer.h"

#include <utility>

#include "server/rpc/grpc_call.h"
#include "server/rpc/grpc_loop.h"

namespace gavel::server {

GrpcWriter::GrpcWriter(std::shared_ptr<GrpcLoop> loop, GrpcCall* call, size_t high_mark)
    : loop_(std::move(loop)), high_mark_(high_mark), call_(call) {}

size_t GrpcWriter::Write(Encoded message) {
  size_t queued = 0;
  bool wake = false;
  {
    std::lock_guard lock(mutex_);
    if (closed_ || finish_) return 0;
    bytes_ += message.bytes();
    queued = bytes_;
    was_above_ = was_above_ || bytes_ > high_mark_;
    queue_.push_back(std::move(message));
    wake = !std::exchange(woken_, true);
  }
  if (wake) Wake();
  return queued;
}

void GrpcWriter::Finish(RpcStatus status) {
  bool wake = false;
  {
    std::lock_guard lock(mutex_);
    if (closed_ || finish_) return;
    finish_ = std::move(status);
    wake = !std::exchange(woken_, true);
  }
  if (wake) Wake();
}

void GrpcWriter::Wake() { loop_->Pump(shared_from_this()); }

GrpcWriter::Next GrpcWriter::Take() {
  std::lock_guard lock(mutex_);
  woken_ = false;
  Next next;
  if (!queue_.empty()) {
    next.message = std::move(queue_.front());
    queue_.pop_front();
    bytes_under_way_ = next.message->bytes();
  }
  next.more = !queue_.empty();
  if (!next.more) next.finish = finish_;
  return next;
}

bool GrpcWriter::OnWritten() {
  std::lock_guard lock(mutex_);
  bytes_ -= std::exchange(bytes_under_way_, 0);
  if (!was_above_ || bytes_ >= high_mark_ / 4) return false;
  was_above_ = false;
  return true;
}

bool GrpcWriter::above_high_mark() {
  std::lock_guard lock(mutex_);
  return bytes_ > high_mark_;
}

void GrpcWriter::Close() {
  std::deque<Encoded> dropped;
  std::lock_guard lock(mutex_);
  call_ = nullptr;
  closed_ = true;
  dropped.swap(queue_);
}

}  // namespace gavel::server
