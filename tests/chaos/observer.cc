#include "tests/chaos/observer.h"

#include <condition_variable>
#include <memory>
#include <mutex>
#include <utility>

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/codegen/proto_utils.h>

#include "proto/v3electionpb/election.pb.h"
#include "tests/chaos/contender.h"

namespace gavel::chaos {

using v3electionpb::LeaderRequest;
using v3electionpb::LeaderResponse;

// What comes in is gathered by gRPC's threads.
class Observer::Stream final : public grpc::ClientBidiReactor<LeaderRequest, LeaderResponse> {
 public:
  explicit Stream(const std::string& target) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    // A member that is stopped says nothing, and is left.
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 10000);
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 2000);
    channel_ = grpc::CreateCustomChannel(target, grpc::InsecureChannelCredentials(), arguments);
    request_.set_name(kLockName);
    grpc::TemplatedGenericStub<LeaderRequest, LeaderResponse> stub(channel_);
    stub.PrepareBidiStreamingCall(&context_, "/v3electionpb.Election/Observe", {}, this);
    StartWriteLast(&request_, grpc::WriteOptions());
    StartRead(&response_);
    StartCall();
  }

  ~Stream() override { Await(); }

  bool over() {
    const std::lock_guard lock(mutex_);
    return over_;
  }

  std::vector<ToldLeader> Await() {
    context_.TryCancel();
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return over_; });
    return std::exchange(told_, {});
  }

  void OnReadDone(bool ok) override {
    if (!ok) return;
    const mvccpb::KeyValue& kv = response_.kv();
    {
      const std::lock_guard lock(mutex_);
      told_.push_back({{kv.key(), kv.create_revision(), kv.mod_revision(), kv.value()},
                       response_.header().revision()});
    }
    StartRead(&response_);
  }

  void OnDone(const grpc::Status&) override {
    const std::lock_guard lock(mutex_);
    over_ = true;
    changed_.notify_all();
  }

 private:
  grpc::ClientContext context_;
  std::shared_ptr<grpc::Channel> channel_;
  LeaderRequest request_;
  LeaderResponse response_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool over_ = false;  // Guarded by mutex_, as told_ is.
  std::vector<ToldLeader> told_;
};

Observer::Observer(std::vector<std::string> targets, size_t first)
    : targets_(std::move(targets)), next_(first) {}

Observer::~Observer() = default;

void Observer::GoOn() {
  if (stream_ && !stream_->over()) return;
  EndStream();
  stream_ = std::make_unique<Stream>(targets_[next_++ % targets_.size()]);
}

void Observer::EndStream() {
  if (!stream_) return;
  std::vector<ToldLeader> told = stream_->Await();
  if (!told.empty()) told_.push_back(std::move(told));
  stream_.reset();
}

std::vector<std::vector<ToldLeader>> Observer::Stop() {
  EndStream();
  return std::exchange(told_, {});
}

}  // namespace gavel::chaos
