#include "server/rpc/leader_monitor.h"

#include <utility>

#include "server/rpc/error_map.h"

namespace gavel::server {
namespace {

// Within the time that there may be no leader.
constexpr int kLooks = 12;

}  // namespace

// Passes everything on, until it ends the call.
class LeaderMonitor::Stream final : public StreamHandler,
                                    public std::enable_shared_from_this<LeaderMonitor::Stream> {
 public:
  Stream(std::shared_ptr<StreamHandler> handler, std::shared_ptr<StreamWriter> writer,
         std::shared_ptr<Executor> executor)
      : handler_(std::move(handler)), writer_(std::move(writer)), executor_(std::move(executor)) {}

  void OnMessage(std::string message) override {
    if (handler_ != nullptr) handler_->OnMessage(std::move(message));
  }
  void OnHalfClose() override {
    if (handler_ != nullptr) handler_->OnHalfClose();
  }
  void OnWritable() override {
    if (handler_ != nullptr) handler_->OnWritable();
  }
  void OnCancel() override {
    if (const auto handler = std::exchange(handler_, nullptr)) handler->OnCancel();
  }
  bool EndsByItself() const override { return handler_ == nullptr || handler_->EndsByItself(); }

  // Any thread.
  void EndWithoutLeader() {
    RunOn(executor_, [weak = weak_from_this()] {
      const auto self = weak.lock();
      if (self == nullptr || self->handler_ == nullptr) return;
      self->OnCancel();
      self->writer_->Finish(ToStatus(Error::kNoLeader));
    });
  }

 private:
  std::shared_ptr<StreamHandler> handler_;  // Null once the call is over.
  const std::shared_ptr<StreamWriter> writer_;
  const std::shared_ptr<Executor> executor_;
};

std::shared_ptr<StreamHandler> LeaderMonitor::Watch(std::shared_ptr<StreamHandler> handler,
                                                    std::shared_ptr<StreamWriter> writer,
                                                    std::shared_ptr<Executor> executor) {
  auto stream =
      std::make_shared<Stream>(std::move(handler), std::move(writer), std::move(executor));
  bool begin = false;
  {
    const MutexLock lock(mutex_);
    // Between two looks streams may come and go in any number.
    if (streams_.size() > 2 * swept_ + 1024) {
      std::erase_if(streams_, [](const auto& weak) { return weak.expired(); });
      swept_ = streams_.size();
    }
    streams_.push_back(stream);
    begin = !std::exchange(looking_, true);
  }
  if (begin) LookLater();
  return stream;
}

void LeaderMonitor::LookLater() {
  gate_.RunInBackgroundAfter(patience_ / kLooks, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->Look();
    return false;
  });
}

void LeaderMonitor::Look() {
  std::vector<std::weak_ptr<Stream>> ended;
  {
    const MutexLock lock(mutex_);
    misses_ = gate_.has_leader() ? 0 : misses_ + 1;
    if (misses_ >= kLooks) {
      ended.swap(streams_);
    } else {
      std::erase_if(streams_, [](const auto& weak) { return weak.expired(); });
    }
    swept_ = streams_.size();
    looking_ = !streams_.empty();
    if (!looking_) misses_ = 0;
    if (looking_) LookLater();
  }
  for (const auto& weak : ended) {
    if (const auto stream = weak.lock()) stream->EndWithoutLeader();
  }
}

}  // namespace gavel::server
