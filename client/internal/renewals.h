// Keeps a client's leases alive: one stream, renewals batched by when they are due, and the local
// clock that says when a lease may have ended.
//
// All its times are by LeaseNow(). Lock order: its mutex, then the Core's. What the program gave is
// called with neither held.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "client/internal/core.h"
#include "client/internal/local_mutex.h"
#include "client/lease.h"
#include "proto/etcdserverpb/lease.pb.h"

namespace gavel::client::internal {

// A lease that is renewed. Guarded by the mutex of Renewals, but for what never changes.
struct KeptLease {
  int64_t id = 0;
  std::function<void(const Status&)> on_lost;
  std::function<void(const LeaseKeepAliveResponse&)> on_renewed;
  std::stop_source lost;

  MonotonicUs ttl = 0;
  MonotonicUs valid_until = 0;
  MonotonicUs due = 0;  // Of the next renewal; 0 while one is under way.
  bool kept = false;    // Until it is lost or let go of.
};

using KeptLeasePtr = std::shared_ptr<KeptLease>;

// One renewal that a program asked for, and when it was sent.
struct Renewal {
  LeaseKeepAliveResponse response;
  MonotonicUs sent_at = 0;
};

class Renewals : public std::enable_shared_from_this<Renewals> {
 public:
  explicit Renewals(Core* core) : core_(core) {}

  // Renews it until it is lost or removed. Its `valid_until` and `ttl` are set.
  void Keep(const KeptLeasePtr& lease);
  // No callback of it begins after this.
  void Remove(const KeptLeasePtr& lease);
  bool Alive(const KeptLeasePtr& lease) const;
  MonotonicUs ValidFor(const KeptLeasePtr& lease) const;
  std::chrono::seconds Ttl(const KeptLeasePtr& lease) const;

  // Renews once, again and again until there is an answer or time is up.
  Pending<Renewal> RenewOnce(int64_t lease, CallOptions options);

  // Every kept lease is lost, and every renewal ends. The Core is not used any more.
  void Close();

 private:
  // A renewal that is asked for once.
  struct Once {
    std::shared_ptr<PendingState<Renewal>> waiter;
    TimerPtr deadline;
    bool done = false;
    std::optional<Status> last_end;  // Of the streams that did not answer it.
    std::optional<std::stop_callback<std::function<void()>>> stop;
  };
  using OncePtr = std::shared_ptr<Once>;

  // What is under way, in the order of the stream. One of `lease` and `once` is set.
  struct Request {
    int64_t id = 0;
    MonotonicUs sent_at = 0;
    KeptLeasePtr lease;
    OncePtr once;
  };

  // What to do with the mutex not held: things to tell programs.
  using Calls = std::vector<std::function<void()>>;

  void OnOpened(uint64_t life);
  void OnMessage(uint64_t life, const std::string& bytes);
  void OnEnded(uint64_t life, const Status& status);
  void OnWake();
  void OnAgain();
  static void Run(const Calls& calls);
  void EndOnce(const OncePtr& once, Status status);

  void HandleAnswer(const etcdserverpb::LeaseKeepAliveResponse& answer, Calls* calls)
      GAVEL_REQUIRES(mutex_);
  void Send(Request request) GAVEL_REQUIRES(mutex_);
  void Open() GAVEL_REQUIRES(mutex_);
  void SetDue(const KeptLeasePtr& lease, MonotonicUs now) GAVEL_REQUIRES(mutex_);
  void Lose(const KeptLeasePtr& lease, const Status& status, Calls* calls) GAVEL_REQUIRES(mutex_);
  void Forget(const KeptLeasePtr& lease) GAVEL_REQUIRES(mutex_);
  // The server refused a renewal by ending the stream.
  void Refuse(const Status& status, Calls* calls) GAVEL_REQUIRES(mutex_);
  void FinishOnce(const OncePtr& once, Result<Renewal> result, Calls* calls) GAVEL_REQUIRES(mutex_);
  // When the stream is to be left if nothing comes. Nothing: it owes no answer.
  std::optional<MonotonicUs> SilentAt() const GAVEL_REQUIRES(mutex_);
  void LeaveIfSilent(MonotonicUs now) GAVEL_REQUIRES(mutex_);
  bool nothing_to_do() const GAVEL_REQUIRES(mutex_) { return leases_.empty() && requests_.empty(); }
  // Sets the timer for whatever comes first.
  void Schedule() GAVEL_REQUIRES(mutex_);

  Core* const core_;

  mutable LocalMutex mutex_;
  bool closed_ GAVEL_GUARDED_BY(mutex_) = false;
  std::set<KeptLeasePtr> leases_ GAVEL_GUARDED_BY(mutex_);
  // By KeptLease::due.
  std::set<std::pair<MonotonicUs, KeptLeasePtr>> due_ GAVEL_GUARDED_BY(mutex_);
  // By KeptLease::valid_until.
  std::set<std::pair<MonotonicUs, KeptLeasePtr>> valid_until_ GAVEL_GUARDED_BY(mutex_);
  std::deque<Request> requests_ GAVEL_GUARDED_BY(mutex_);
  std::set<OncePtr> once_ GAVEL_GUARDED_BY(mutex_);

  StreamPtr stream_ GAVEL_GUARDED_BY(mutex_);
  uint64_t life_ GAVEL_GUARDED_BY(mutex_) = 0;
  bool open_ GAVEL_GUARDED_BY(mutex_) = false;
  int failures_ GAVEL_GUARDED_BY(mutex_) = 0;
  MonotonicUs opened_at_ GAVEL_GUARDED_BY(mutex_) = 0;
  MonotonicUs heard_at_ GAVEL_GUARDED_BY(mutex_) = 0;
  TimerPtr again_ GAVEL_GUARDED_BY(mutex_);
  TimerPtr wake_ GAVEL_GUARDED_BY(mutex_);
  MonotonicUs wake_at_ GAVEL_GUARDED_BY(mutex_) = 0;
};

}  // namespace gavel::client::internal
