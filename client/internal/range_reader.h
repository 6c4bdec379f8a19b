// Behind RangeStream: settles the revision, streams, goes on elsewhere, or falls back to pages.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "client/internal/core.h"
#include "client/internal/local_mutex.h"
#include "client/kv.h"
#include "client/pager.h"
#include "client/pending.h"
#include "proto/etcdserverpb/kv.pb.h"

namespace gavel::client::internal {

// Lock order: its mutex, then the Core's.
class RangeReader : public std::enable_shared_from_this<RangeReader> {
 public:
  using Rows = std::vector<KeyValue>;

  RangeReader(std::shared_ptr<Core> core, RangeRequest request, CallOptions options);

  // Makes options.stop end it. Once, before anything else.
  void Begin();
  Pending<Rows> Next();
  // Whoever waits is told Reason::kCancelled.
  void Close();

  bool done() const;
  int64_t revision() const;
  int64_t count() const;
  std::string next_key() const;
  bool streamed() const;

 private:
  using Waiter = std::shared_ptr<PendingState<Rows>>;

  // Begins whatever brings the next chunk. Not with the mutex held: calls may end at once.
  void Step();
  void OnPinned(const Result<RangeResponse>& pinned);
  void OnPage(const Result<Rows>& page);
  void OnOpened(uint64_t life);
  void OnMessage(uint64_t life, const std::string& bytes);
  void OnEnded(uint64_t life, const Status& status);
  void OnAgain();
  void OnDeadline(const Waiter& waiter);
  void OnSilence(uint64_t life);
  void CancelNext(const Waiter& waiter);
  // Tells a waiter, if there is one, that it was cancelled.
  void Tell(const Waiter& waiter);
  // Runs on the Core's thread: gives the result to whoever waits, or keeps rows for who comes.
  void Deliver(Result<Rows> result);

  // False if the Core was closed.
  bool Open() GAVEL_REQUIRES(mutex_);
  void WatchForSilence() GAVEL_REQUIRES(mutex_);
  Rows Take(etcdserverpb::RangeResponse* response) GAVEL_REQUIRES(mutex_);
  // Who waits, who does not any more after this.
  Waiter TakeWaiter() GAVEL_REQUIRES(mutex_);

  const std::shared_ptr<Core> core_;
  const Kv kv_;
  const CallOptions options_;
  const std::chrono::nanoseconds timeout_;
  const Status refused_;
  const bool limited_;
  std::optional<std::stop_callback<std::function<void()>>> stop_;

  mutable LocalMutex mutex_;
  // For what is left: first key, revision and limit move on.
  RangeRequest request_ GAVEL_GUARDED_BY(mutex_);
  bool closed_ GAVEL_GUARDED_BY(mutex_) = false;
  bool done_ GAVEL_GUARDED_BY(mutex_) = false;
  int64_t count_ GAVEL_GUARDED_BY(mutex_) = 0;
  int64_t rows_taken_ GAVEL_GUARDED_BY(mutex_) = 0;
  int64_t rows_before_ GAVEL_GUARDED_BY(mutex_) = 0;  // What streams before this one brought.
  std::optional<bool> streamed_ GAVEL_GUARDED_BY(mutex_);

  Waiter waiter_ GAVEL_GUARDED_BY(mutex_);
  TimerPtr deadline_ GAVEL_GUARDED_BY(mutex_);  // The waiter's.
  // Why the stream broke last, while somebody waits.
  std::optional<Status> last_status_ GAVEL_GUARDED_BY(mutex_);
  std::optional<Rows> ready_ GAVEL_GUARDED_BY(mutex_);  // A chunk that nobody has asked for yet.
  bool calling_ GAVEL_GUARDED_BY(mutex_) = false;  // A call, rather than the stream, is under way.

  StreamPtr stream_ GAVEL_GUARDED_BY(mutex_);
  uint64_t life_ GAVEL_GUARDED_BY(mutex_) = 0;
  int failures_ GAVEL_GUARDED_BY(mutex_) = 0;
  MonotonicUs heard_at_ GAVEL_GUARDED_BY(mutex_) = 0;
  TimerPtr again_ GAVEL_GUARDED_BY(mutex_);
  TimerPtr silence_ GAVEL_GUARDED_BY(mutex_);

  std::optional<RangePager> pager_ GAVEL_GUARDED_BY(mutex_);
};

}  // namespace gavel::client::internal
