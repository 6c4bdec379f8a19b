// A call under way: the asynchronous form of every operation.
//
//   Pending<PutResponse> put = client.kv().PutAsync(PutRequest{.key = "a", .value = "b"});
//   put.Then([](const Result<PutResponse>& result) { ... });   // by callback,
//   Result<PutResponse> result = put.Get();             // or by waiting,
//   std::future<Result<PutResponse>> future = put.ToFuture();   // or as a future.
//
// Callbacks run on the Client's own thread, or at once in the caller's if the call has ended
// already. They must not block: everything else of that Client waits for them.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <utility>

#include "client/internal/local_mutex.h"
#include "client/status.h"

namespace gavel::client {
namespace internal {

// True on the thread of a Client, where waiting for a call would never end.
bool OnClientThread();
Status WouldDeadlock();

struct PendingAccess;

template <class T>
class PendingState {
 public:
  void Complete(Result<T> result) {
    std::function<void(const Result<T>&)> callback;
    const Result<T>* set = nullptr;  // Once set it never changes.
    {
      const LocalLock lock(mutex_);
      if (result_) return;
      set = &result_.emplace(std::move(result));
      callback = std::move(callback_);
      changed_.notify_all();
      if (!callback) return;
    }
    callback(*set);
  }

  void Then(std::function<void(const Result<T>&)> callback) {
    const Result<T>* set = nullptr;
    {
      const LocalLock lock(mutex_);
      if (!result_) {
        callback_ = std::move(callback);
        return;
      }
      set = &*result_;
    }
    callback(*set);
  }

  bool ready() {
    const LocalLock lock(mutex_);
    return result_.has_value();
  }

  Result<T> Get() {
    LocalLock lock(mutex_);
    if (!result_ && OnClientThread()) return WouldDeadlock();
    while (!result_) lock.Wait(changed_);
    return *result_;
  }

  // For a state that nobody else has.
  Result<T> Take() {
    LocalLock lock(mutex_);
    while (!result_) lock.Wait(changed_);
    return *std::move(result_);
  }

  bool WaitFor(std::chrono::milliseconds duration) {
    LocalLock lock(mutex_);
    if (!result_ && OnClientThread()) return false;
    return lock.WaitFor(changed_, duration,
                        [this]() GAVEL_REQUIRES(mutex_) { return result_.has_value(); });
  }

 private:
  LocalMutex mutex_;
  std::condition_variable changed_;
  std::optional<Result<T>> result_ GAVEL_GUARDED_BY(mutex_);  // Never changes once it is set.
  std::function<void(const Result<T>&)> callback_ GAVEL_GUARDED_BY(mutex_);
};

}  // namespace internal

// A handle to a call that was started. Copies stand for the same call. Letting go of all of them
// does not end it. Thread-safe.
template <class T>
class [[nodiscard]] Pending {
 public:
  Pending(std::shared_ptr<internal::PendingState<T>> state, std::function<void()> cancel)
      : state_(std::move(state)), cancel_(std::move(cancel)) {}

  // Waits for the end. May be called again, and gives the same again. From a callback of the
  // library it answers Reason::kWouldDeadlock instead of waiting; the call itself goes on.
  Result<T> Get() const { return state_->Get(); }
  bool ready() const { return state_->ready(); }
  // True if the call ended within `duration`.
  bool WaitFor(std::chrono::milliseconds duration) const { return state_->WaitFor(duration); }

  // Runs `callback` once, at the end. A second one replaces the first if that has not run.
  void Then(std::function<void(const Result<T>&)> callback) const {
    state_->Then(std::move(callback));
  }

  // Takes the place of a callback.
  std::future<Result<T>> ToFuture() const {
    auto promise = std::make_shared<std::promise<Result<T>>>();
    std::future<Result<T>> future = promise->get_future();
    Then([promise](const Result<T>& result) { promise->set_value(result); });
    return future;
  }

  // Asks for an early end. The call then ends with Reason::kCancelled, unless it has an answer
  // already; a write that was sent may still be carried out, which the error's class says.
  void Cancel() const { cancel_(); }

 private:
  friend struct internal::PendingAccess;

  std::shared_ptr<internal::PendingState<T>> state_;
  std::function<void()> cancel_;
};

}  // namespace gavel::client
