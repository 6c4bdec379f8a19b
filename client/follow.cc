#include "client/follow.h"

#include <optional>
#include <utility>

#include "client/internal/deadline.h"
#include "client/internal/errors.h"
#include "client/internal/local_mutex.h"
#include "client/internal/submit.h"
#include "client/kv.h"

namespace gavel::client {
namespace internal {

// Reads the list chunk by chunk, and then watches. Each Next() asks one of the two.
class FollowState : public std::enable_shared_from_this<FollowState> {
 public:
  using Waiter = std::shared_ptr<PendingState<FollowBatch>>;

  FollowState(std::shared_ptr<Core> core, FollowOptions options)
      : core_(std::move(core)), kv_(core_), watch_(core_), options_(std::move(options)) {}

  // Makes options.stop end it. Once, before anything else.
  void Begin() {
    if (!options_.stop.stop_possible()) return;
    stop_.emplace(options_.stop, [self = weak_from_this()] {
      if (const auto alive = self.lock()) alive->Cancel();
    });
  }

  Pending<FollowBatch> Next() {
    auto waiter = std::make_shared<PendingState<FollowBatch>>();
    bool step = false;
    {
      const internal::LocalLock lock(mutex_);
      if (waiter_) {
        return Ended<FollowBatch>(InvalidOptions("a follower is asked for one batch at a time"));
      }
      if (kept_) return Ended<FollowBatch>(*std::exchange(kept_, std::nullopt));
      waiter_ = waiter;
      // What an earlier wait began may still be under way.
      step = !std::exchange(asking_, true);
    }
    if (step) Step();
    return Pending<FollowBatch>(waiter, [self = weak_from_this(), of = std::weak_ptr(waiter)] {
      const auto alive = self.lock();
      const Waiter target = of.lock();
      if (alive && target) alive->CancelNext(target);
    });
  }

  void Cancel() {
    std::optional<RangeStream> list;
    const internal::LocalLock lock(mutex_);
    cancelled_ = true;
    // Ends what is under way, and with it the wait.
    list.swap(list_);
    if (watcher_) watcher_->Cancel();
  }

 private:
  void CancelNext(const Waiter& waiter) {
    {
      const internal::LocalLock lock(mutex_);
      if (waiter_ != waiter) return;
      waiter_ = nullptr;
    }
    const auto tell = [waiter] { waiter->Complete(Cancelled(/*sent=*/false)); };
    if (!core_->Post(tell)) tell();
  }

  void Step() {
    std::optional<Pending<std::vector<KeyValue>>> chunk;
    std::optional<Pending<WatchBatch>> changes;
    {
      const internal::LocalLock lock(mutex_);
      if (!cancelled_ && watcher_) {
        changes = watcher_->NextAsync();
      } else if (!cancelled_) {
        if (!list_) BeginList();
        chunk = list_->NextAsync();
      }
    }
    auto self = shared_from_this();
    if (chunk) {
      chunk->Then([self](const Result<std::vector<KeyValue>>& rows) { self->OnRows(rows); });
    } else if (changes) {
      changes->Then([self](const Result<WatchBatch>& batch) { self->OnChanges(batch); });
    } else {
      End(Cancelled(/*sent=*/false));
    }
  }

  void BeginList() GAVEL_REQUIRES(mutex_) {
    list_ = kv_.Stream({.range = options_.range},
                       {.endpoint = options_.endpoint, .require_leader = options_.require_leader});
    restarted_ = true;
    heard_at_ = Now();
  }

  void OnRows(const Result<std::vector<KeyValue>>& rows) {
    std::optional<Result<FollowBatch>> result;
    {
      const internal::LocalLock lock(mutex_);
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
    if (!result) return Step();
    End(*std::move(result));
  }

  FollowBatch TakeRows(const std::vector<KeyValue>& rows) GAVEL_REQUIRES(mutex_) {
    heard_at_ = Now();
    FollowBatch batch;
    batch.restarted = std::exchange(restarted_, false);
    batch.revision = list_->revision();
    batch.rows = rows;
    batch.complete = list_->done();
    if (batch.complete) BeginWatch();
    return batch;
  }

  void BeginWatch() GAVEL_REQUIRES(mutex_) {
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

  void OnChanges(const Result<WatchBatch>& changes) {
    if (!changes.ok() && changes.status().reason() != Reason::kCompacted) {
      return End(changes.status());
    }
    if (!changes.ok()) {
      // The list begins anew.
      const internal::LocalLock lock(mutex_);
      watcher_.reset();
    } else if (!changes->progress()) {
      FollowBatch batch;
      batch.revision = changes->events.back().kv.mod_revision;
      batch.events = changes->events;
      return End(std::move(batch));
    }
    Step();
  }

  bool IsFinal(const Status& status) const GAVEL_REQUIRES(mutex_) {
    if (status.error_class() == ErrorClass::kRejected) return true;
    if (status.reason() == Reason::kCancelled) return true;
    const MonotonicUs patience = ToUs(options_.unreachable_timeout);
    return patience > 0 && Now() - heard_at_ >= patience;
  }

  // Gives the result to whoever waits, or keeps it for who comes.
  void End(Result<FollowBatch> result) {
    Waiter waiter;
    {
      const internal::LocalLock lock(mutex_);
      asking_ = false;
      waiter = std::exchange(waiter_, nullptr);
      if (!waiter) kept_ = std::move(result);
    }
    if (waiter) waiter->Complete(std::move(result));
  }

  const std::shared_ptr<Core> core_;
  const Kv kv_;
  const Watch watch_;
  const FollowOptions options_;
  std::optional<std::stop_callback<std::function<void()>>> stop_;

  internal::LocalMutex mutex_;
  bool cancelled_ GAVEL_GUARDED_BY(mutex_) = false;
  Waiter waiter_ GAVEL_GUARDED_BY(mutex_);
  bool asking_ GAVEL_GUARDED_BY(mutex_) = false;  // For the next batch.
  // Came when nobody waited any more.
  std::optional<Result<FollowBatch>> kept_ GAVEL_GUARDED_BY(mutex_);
  std::optional<RangeStream> list_ GAVEL_GUARDED_BY(mutex_);
  bool restarted_ GAVEL_GUARDED_BY(mutex_) = false;
  MonotonicUs heard_at_ GAVEL_GUARDED_BY(mutex_) = 0;
  std::optional<Watcher> watcher_ GAVEL_GUARDED_BY(mutex_);
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
