#include "client/follow.h"

#include <mutex>
#include <optional>
#include <utility>

#include "client/internal/deadline.h"
#include "client/internal/errors.h"
#include "client/internal/submit.h"
#include "client/kv.h"

namespace gavel::client {
namespace internal {

// Reads the list chunk by chunk, and then watches. Each Next() asks one of the two.
class FollowState : public std::enable_shared_from_this<FollowState> {
 public:
  using Waiter = std::shared_ptr<PendingState<FollowBatch>>;

  FollowState(const std::shared_ptr<Core>& core, FollowOptions options)
      : kv_(core), watch_(core), options_(std::move(options)) {}

  // Makes options.stop end it. Once, before anything else.
  void Begin() {
    if (!options_.stop.stop_possible()) return;
    stop_.emplace(options_.stop, [self = weak_from_this()] {
      if (const auto alive = self.lock()) alive->Cancel();
    });
  }

  Pending<FollowBatch> Next() {
    auto waiter = std::make_shared<PendingState<FollowBatch>>();
    {
      const std::lock_guard lock(mutex_);
      if (waiting_) {
        return Ended<FollowBatch>(InvalidOptions("a follower is asked for one batch at a time"));
      }
      if (cancelled_) return Ended<FollowBatch>(Cancelled(/*sent=*/false));
      waiting_ = true;
    }
    Step(waiter);
    return Pending<FollowBatch>(waiter, [self = weak_from_this()] {
      if (const auto alive = self.lock()) alive->Cancel();
    });
  }

  void Cancel() {
    std::optional<RangeStream> list;
    const std::lock_guard lock(mutex_);
    cancelled_ = true;
    list.swap(list_);  // Ends what is under way, which ends the waiter.
    if (watcher_) watcher_->Cancel();
  }

 private:
  void Step(const Waiter& waiter) {
    std::optional<Pending<std::vector<KeyValue>>> chunk;
    std::optional<Pending<WatchBatch>> changes;
    {
      const std::lock_guard lock(mutex_);
      if (!cancelled_ && watcher_) {
        changes = watcher_->NextAsync();
      } else if (!cancelled_) {
        if (!list_) BeginList();
        chunk = list_->NextAsync();
      }
    }
    auto self = shared_from_this();
    if (chunk) {
      chunk->Then([self, waiter](const Result<std::vector<KeyValue>>& rows) {
        self->OnRows(waiter, rows);
      });
    } else if (changes) {
      changes->Then(
          [self, waiter](const Result<WatchBatch>& batch) { self->OnChanges(waiter, batch); });
    } else {
      End(waiter, Cancelled(/*sent=*/false));
    }
  }

  // Needs the mutex.
  void BeginList() {
    list_ = kv_.Stream({.range = options_.range},
                       {.endpoint = options_.endpoint, .require_leader = options_.require_leader});
    restarted_ = true;
    heard_at_ = Now();
  }

  void OnRows(const Waiter& waiter, const Result<std::vector<KeyValue>>& rows) {
    std::optional<Result<FollowBatch>> result;
    {
      const std::lock_guard lock(mutex_);
      if (cancelled_ || !list_) {
        result = Cancelled(/*sent=*/false);
      } else if (rows.ok()) {
        result = TakeRows(*rows);
      } else if (rows.status().reason() == Reason::kCompacted) {
        list_.reset();
      } else if (IsFinal(rows.status())) {
        result = rows.status();
      }
    }
    if (!result) return Step(waiter);
    End(waiter, *std::move(result));
  }

  // Needs the mutex.
  FollowBatch TakeRows(const std::vector<KeyValue>& rows) {
    heard_at_ = Now();
    FollowBatch batch;
    batch.restarted = std::exchange(restarted_, false);
    batch.revision = list_->revision();
    batch.rows = rows;
    batch.complete = list_->done();
    if (batch.complete) BeginWatch();
    return batch;
  }

  // Needs the mutex.
  void BeginWatch() {
    watcher_ = watch_.Start({.range = options_.range,
                             .start_revision = list_->revision() + 1,
                             .prev_kv = options_.prev_kv,
                             .progress_notify = true,
                             .require_leader = options_.require_leader,
                             .endpoint = options_.endpoint,
                             .unreachable_timeout = options_.unreachable_timeout,
                             .buffer_bytes_max = options_.buffer_bytes_max});
    list_.reset();
  }

  void OnChanges(const Waiter& waiter, const Result<WatchBatch>& changes) {
    if (!changes.ok() && changes.status().reason() != Reason::kCompacted) {
      return End(waiter, changes.status());
    }
    if (!changes.ok()) {
      // The list begins anew.
      const std::lock_guard lock(mutex_);
      watcher_.reset();
    } else if (!changes->progress()) {
      FollowBatch batch;
      batch.revision = changes->events.back().kv.mod_revision;
      batch.events = changes->events;
      return End(waiter, std::move(batch));
    }
    Step(waiter);
  }

  bool IsFinal(const Status& status) const {
    if (status.error_class() == ErrorClass::kRejected) return true;
    if (status.reason() == Reason::kCancelled) return true;
    const MonotonicUs patience = ToUs(options_.unreachable_timeout);
    return patience > 0 && Now() - heard_at_ >= patience;
  }

  void End(const Waiter& waiter, Result<FollowBatch> result) {
    {
      const std::lock_guard lock(mutex_);
      waiting_ = false;
    }
    waiter->Complete(std::move(result));
  }

  const Kv kv_;
  const Watch watch_;
  const FollowOptions options_;
  std::optional<std::stop_callback<std::function<void()>>> stop_;

  std::mutex mutex_;
  // Guarded by mutex_.
  bool cancelled_ = false;
  bool waiting_ = false;
  std::optional<RangeStream> list_;
  bool restarted_ = false;
  MonotonicUs heard_at_ = 0;
  std::optional<Watcher> watcher_;
};

}  // namespace internal

Follower Watch::Follow(FollowOptions options) const {
  auto state = std::make_shared<internal::FollowState>(core_, std::move(options));
  state->Begin();
  return Follower(std::move(state));
}

Follower::Follower(std::shared_ptr<internal::FollowState> state) : state_(std::move(state)) {}
Follower::Follower(Follower&&) noexcept = default;

Follower& Follower::operator=(Follower&& other) noexcept {
  if (this != &other) {
    if (state_) state_->Cancel();
    state_ = std::move(other.state_);
  }
  return *this;
}

Follower::~Follower() {
  if (state_) state_->Cancel();
}

Pending<FollowBatch> Follower::NextAsync() { return state_->Next(); }

Result<FollowBatch> Follower::Next() {
  return internal::Block([&] { return NextAsync(); });
}

void Follower::Cancel() { state_->Cancel(); }

}  // namespace gavel::client
