#include "server/rpc/grpc_loop.h"

#include <pthread.h>

#include <algorithm>
#include <utility>

#include "raft/check.h"
#include "server/rpc/grpc_call.h"
#include "server/rpc/grpc_writer.h"

namespace gavel::server {
namespace {

// Calls that wait for a client at any time, so that a burst finds a call object ready.
constexpr int kArmedCalls = 64;
// Finished calls kept for reuse beyond those.
constexpr size_t kFreeCallsMax = 256;

thread_local const GrpcLoop* current_loop = nullptr;

}  // namespace

GrpcLoop::GrpcLoop(std::shared_ptr<GrpcShared> shared,
                   std::unique_ptr<grpc::ServerCompletionQueue> queue)
    : shared_(std::move(shared)), queue_(std::move(queue)) {}

GrpcLoop::~GrpcLoop() { GAVEL_CHECK(!thread_.joinable()); }

void GrpcLoop::Start() {
  // Here and not in the thread, which may only get to run when the queue has shut down again.
  for (int i = 0; i < kArmedCalls; ++i) Arm();
  thread_ = std::thread([this] { Main(); });
}

void GrpcLoop::Main() {
  pthread_setname_np(pthread_self(), "gavel-grpc");
  current_loop = this;
  RunPosted();
  void* tag = nullptr;
  bool ok = false;
  while (queue_->Next(&tag, &ok)) {
    {
      std::lock_guard lock(mutex_);
      awake_ = true;
      if (tag == &alarm_) alarm_set_ = false;
    }
    if (tag != &alarm_) {
      auto* call_tag = static_cast<GrpcCallTag*>(tag);
      call_tag->call->OnEvent(call_tag->event, ok);
    }
    RunPosted();
  }
  // Whoever still holds an answer finds the loop stopped; gRPC's part of the calls ends here.
  for (const auto& call : calls_) call->Release();
  current_loop = nullptr;
}

void GrpcLoop::Drain() {
  Run([this] {
    // Ending a stream may recycle calls, which moves them about.
    std::vector<GrpcCall*> calls;
    for (const auto& call : calls_) calls.push_back(call.get());
    for (GrpcCall* call : calls) call->OnDrain();
  });
}

void GrpcLoop::Stop() {
  std::vector<Posted> dropped;
  {
    std::lock_guard lock(mutex_);
    stopped_ = true;
    dropped.swap(posted_);
    if (thread_.joinable() && !awake_ && !alarm_set_) {
      alarm_set_ = true;
      alarm_.Set(queue_.get(), gpr_inf_past(GPR_CLOCK_MONOTONIC), &alarm_);
    }
  }
  if (thread_.joinable()) {
    thread_.join();  // It shuts the queue down itself: nothing may be begun on it after that.
  } else {
    queue_->Shutdown();
    void* tag = nullptr;
    bool ok = false;
    while (queue_->Next(&tag, &ok)) {
    }
  }
}

void GrpcLoop::Run(absl::AnyInvocable<void()> work) { Post(std::move(work)); }

void GrpcLoop::Reply(GrpcCall* call, RpcStatus status, Encoded message) {
  if (InThread()) {
    call->Complete(std::move(status), std::move(message));
  } else {
    Post(PostedReply{call, std::move(status), std::move(message)});
  }
}

void GrpcLoop::Pump(std::shared_ptr<GrpcWriter> writer) {
  if (InThread()) {
    if (writer->call() != nullptr) writer->call()->Pump();
  } else {
    Post(std::move(writer));
  }
}

bool GrpcLoop::InThread() const { return current_loop == this; }

void GrpcLoop::Post(Posted posted) {
  std::lock_guard lock(mutex_);
  if (stopped_) return;
  posted_.push_back(std::move(posted));
  if (awake_ || alarm_set_) return;
  alarm_set_ = true;
  // Under the lock: an alarm set on a queue that has shut down would be a bug, and Stop takes
  // the lock first.
  alarm_.Set(queue_.get(), gpr_inf_past(GPR_CLOCK_MONOTONIC), &alarm_);
}

void GrpcLoop::RunPosted() {
  std::vector<Posted> batch;
  while (true) {
    bool close = false;
    {
      std::lock_guard lock(mutex_);
      if (posted_.empty()) {
        awake_ = false;
        close = stopped_ && !closing_;
        if (!close) return;
      }
      batch.swap(posted_);
    }
    if (close) {
      closing_ = true;
      queue_->Shutdown();
      return;
    }
    for (Posted& posted : batch) {
      if (auto* reply = std::get_if<PostedReply>(&posted)) {
        reply->call->Complete(std::move(reply->status), std::move(reply->message));
      } else if (auto* writer = std::get_if<std::shared_ptr<GrpcWriter>>(&posted)) {
        if ((*writer)->call() != nullptr) (*writer)->call()->Pump();
      } else {
        std::get<absl::AnyInvocable<void()>>(posted)();
      }
    }
    batch.clear();
  }
}

void GrpcLoop::Arm() {
  if (closing_) return;
  if (free_.empty()) {
    calls_.push_back(std::make_unique<GrpcCall>(this));
    calls_.back()->set_place(calls_.size() - 1);
    free_.push_back(calls_.back().get());
  }
  GrpcCall* call = free_.back();
  free_.pop_back();
  call->Arm();
}

void GrpcLoop::Recycle(GrpcCall* call) {
  if (free_.size() < kFreeCallsMax) {
    free_.push_back(call);
    return;
  }
  const size_t place = call->place();
  std::swap(calls_[place], calls_.back());
  calls_[place]->set_place(place);
  calls_.pop_back();
}

}  // namespace gavel::server
