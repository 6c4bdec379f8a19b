#include "server/peer/grpc_queue.h"

#include <grpc/support/time.h>

namespace gavel::server {
namespace {

// Completions run by one Poll.
constexpr int kCompletionsMax = 64;

thread_local const GrpcQueue* polled = nullptr;

gpr_timespec After(std::optional<std::chrono::nanoseconds> timeout) {
  if (!timeout.has_value()) return gpr_inf_future(GPR_CLOCK_MONOTONIC);
  if (timeout->count() <= 0) return gpr_inf_past(GPR_CLOCK_MONOTONIC);
  return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                      gpr_time_from_nanos(timeout->count(), GPR_TIMESPAN));
}

}  // namespace

GrpcQueue::~GrpcQueue() {
  queue_->Shutdown();
  void* tag = nullptr;
  bool ok = false;
  while (queue_->Next(&tag, &ok)) static_cast<GrpcOperation*>(tag)->OnComplete(ok);
}

void GrpcQueue::Poll(std::optional<std::chrono::nanoseconds> timeout) {
  polled = this;
  gpr_timespec deadline = After(timeout);
  for (int i = 0; i < kCompletionsMax; ++i) {
    void* tag = nullptr;
    bool ok = false;
    if (queue_->AsyncNext(&tag, &ok, deadline) != grpc::CompletionQueue::GOT_EVENT) break;
    static_cast<GrpcOperation*>(tag)->OnComplete(ok);
    deadline = gpr_inf_past(GPR_CLOCK_MONOTONIC);
  }
  polled = nullptr;
}

void GrpcQueue::Wake() {
  // A completion that runs on the polling thread needs no wake: Poll returns after it.
  if (polled == this || waking_.exchange(true)) return;
  alarm_.Set(queue_.get(), gpr_inf_past(GPR_CLOCK_MONOTONIC), &wake_up_);
}

void GrpcQueue::WakeUp::OnComplete(bool) { queue_.waking_ = false; }

}  // namespace gavel::server
