// Behind SnapshotStream: one stream from one endpoint, read a message at a time.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "client/internal/core.h"
#include "client/internal/local_mutex.h"
#include "client/pending.h"
#include "client/snapshot_stream.h"

namespace gavel::client::internal {

// Lock order: its mutex, then the Core's.
class SnapshotReader : public std::enable_shared_from_this<SnapshotReader> {
 public:
  SnapshotReader(std::shared_ptr<Core> core, CallOptions options);

  // Opens the stream, and makes options.stop end it. Once, before anything else.
  void Begin();
  Pending<SnapshotPiece> Next();
  // Whoever waits is told Reason::kCancelled.
  void Close();

  bool done() const;

 private:
  using Waiter = std::shared_ptr<PendingState<SnapshotPiece>>;

  void OnMessage(const std::string& bytes);
  void OnEnded(const Status& status);
  void OnDeadline(const Waiter& waiter);
  void CancelNext(const Waiter& waiter);
  void Tell(const Waiter& waiter);
  // Ends the stream with an error that stays.
  Waiter Fail(Status status) GAVEL_REQUIRES(mutex_);
  // Who waits, who does not any more after this.
  Waiter TakeWaiter() GAVEL_REQUIRES(mutex_);

  const std::shared_ptr<Core> core_;
  const CallOptions options_;
  const std::chrono::nanoseconds timeout_;
  std::optional<std::stop_callback<std::function<void()>>> stop_;

  mutable LocalMutex mutex_;
  StreamPtr stream_ GAVEL_GUARDED_BY(mutex_);
  bool done_ GAVEL_GUARDED_BY(mutex_) = false;
  Status failed_ GAVEL_GUARDED_BY(mutex_);
  std::optional<SnapshotPiece> ready_ GAVEL_GUARDED_BY(mutex_);  // Nobody has asked for it yet.
  Waiter waiter_ GAVEL_GUARDED_BY(mutex_);
  TimerPtr deadline_ GAVEL_GUARDED_BY(mutex_);  // The waiter's.
};

}  // namespace gavel::client::internal
