#include "client/watch.h"

#include "client/internal/submit.h"
#include "client/internal/watch_hub.h"

namespace gavel::client {
namespace internal {

struct WatcherHandle {
  std::shared_ptr<WatchHub> hub;
  WatcherPtr state;
  std::optional<std::stop_callback<std::function<void()>>> stop;
};

namespace {

Watcher StartWatcher(const std::shared_ptr<Core>& core, WatchOptions options,
                     Watch::Callback callback) {
  const std::stop_token stop = options.stop;
  auto handle = std::make_unique<WatcherHandle>();
  handle->hub = core->watches();
  handle->state = handle->hub->Start(std::move(options), std::move(callback));
  if (stop.stop_possible()) {
    handle->stop.emplace(
        stop, [hub = std::weak_ptr(handle->hub), watcher = std::weak_ptr(handle->state)] {
          const std::shared_ptr<WatchHub> alive = hub.lock();
          const WatcherPtr stopped = watcher.lock();
          if (alive && stopped) alive->Cancel(stopped);
        });
  }
  return Watcher(std::move(handle));
}

}  // namespace
}  // namespace internal

Watcher Watch::Start(WatchOptions options) const {
  return internal::StartWatcher(core_, std::move(options), nullptr);
}

Watcher Watch::Start(WatchOptions options, Callback callback) const {
  return internal::StartWatcher(core_, std::move(options), std::move(callback));
}

Watcher::Watcher(std::unique_ptr<internal::WatcherHandle> handle) : handle_(std::move(handle)) {}
Watcher::Watcher(Watcher&&) noexcept = default;

Watcher& Watcher::operator=(Watcher&& other) noexcept {
  if (this != &other) {
    if (handle_) Cancel();
    handle_ = std::move(other.handle_);
  }
  return *this;
}

Watcher::~Watcher() {
  if (handle_) Cancel();
}

Result<WatchBatch> Watcher::Next() {
  return internal::Block([&] { return NextAsync(); });
}

Pending<WatchBatch> Watcher::NextAsync() { return handle_->hub->Next(handle_->state); }

Result<int64_t> Watcher::Created() {
  return internal::Block([&] { return CreatedAsync(); });
}

Pending<int64_t> Watcher::CreatedAsync() { return handle_->hub->Created(handle_->state); }

void Watcher::RequestProgress() { handle_->hub->RequestProgress(handle_->state); }

int64_t Watcher::next_revision() const { return handle_->hub->NextRevision(handle_->state); }

void Watcher::Cancel() { handle_->hub->Cancel(handle_->state); }

}  // namespace gavel::client
