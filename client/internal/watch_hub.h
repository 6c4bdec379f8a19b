// All watchers of a client, and the streams that they share.
//
// A stream carries many watchers. When it breaks, it is opened again, here or elsewhere, and each
// watcher goes on from its next revision. A watcher whose buffer is full while others share its
// stream is cancelled there and goes on, once half of the buffer was taken, on a stream of its own,
// which is not read while the buffer is full.
//
// Lock order: the hub's mutex, then the Core's. What the program gave is called with neither held.
#pragma once

#include <deque>
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
#include "client/internal/watch_assembly.h"
#include "client/pending.h"
#include "client/watch.h"

namespace gavel::client::internal {

struct WatchStream;
using WatchStreamPtr = std::shared_ptr<WatchStream>;

// One watcher. Guarded by the hub's mutex, but for what never changes.
struct WatcherState {
  WatcherState(int64_t number, WatchOptions how, Watch::Callback call)
      : id(number),
        options(std::move(how)),
        callback(std::move(call)),
        assembly(options.start_revision) {}

  const int64_t id;  // Chosen here, and never used twice.
  const WatchOptions options;
  const Watch::Callback callback;  // Null: the pull form.

  WatchAssembly assembly;
  std::deque<std::pair<WatchBatch, size_t>> ready;  // With its bytes.
  size_t ready_bytes = 0;
  std::shared_ptr<PendingState<WatchBatch>> waiter;
  std::vector<std::shared_ptr<PendingState<int64_t>>> created_waiters;
  int64_t first_revision = 0;  // 0: not created yet.
  std::optional<Status> end;
  bool end_told = false;  // To the callback.

  WatchStreamPtr stream;  // Null: parked, or ended.
  bool full = false;
  bool progress_asked = false;
  uint64_t cluster_id = 0;
  MonotonicUs unreachable_since = 0;  // 0: there is a connection.
};

using WatcherPtr = std::shared_ptr<WatcherState>;

// One stream, through all its lives. Guarded by the hub's mutex.
struct WatchStream {
  bool require_leader = false;
  std::string only;     // The endpoint; empty: any.
  bool shared = false;  // Others may join.
  bool dead = false;    // Given up for good.

  StreamPtr stream;     // Null while it waits to be opened again.
  uint64_t life = 0;    // Events of earlier lives are void.
  bool open = false;    // There is a connection.
  bool unread = false;  // Its only watcher's buffer is full.
  std::map<int64_t, WatcherPtr> watchers;
  std::deque<int64_t> creating;  // Asked for; the server answers in this order.
  int failures = 0;              // In a row.
  MonotonicUs opened_at = 0;
  MonotonicUs heard_at = 0;  // Or asked: when the wait for an answer began.
  TimerPtr again;            // To open it again, or to end it when nobody is left.
  TimerPtr answer;           // To look whether it is silent.
  TimerPtr progress;         // To ask for progress again.
};

class WatchHub : public std::enable_shared_from_this<WatchHub> {
 public:
  explicit WatchHub(Core* core) : core_(core) {}

  WatcherPtr Start(WatchOptions options, Watch::Callback callback);
  Pending<WatchBatch> Next(const WatcherPtr& watcher);
  void CancelNext(const WatcherPtr& watcher,
                  const std::shared_ptr<PendingState<WatchBatch>>& waiter);
  Pending<int64_t> Created(const WatcherPtr& watcher);
  void RequestProgress(const WatcherPtr& watcher);
  int64_t NextRevision(const WatcherPtr& watcher) const;
  void Cancel(const WatcherPtr& watcher);
  // Ends every watcher, and all that start later. The Core is not used any more.
  void Close();

 private:
  using Watchers = std::vector<WatcherPtr>;

  // Runs on the Core's thread: gives a watcher's waiters and callback what there is for them.
  void Deliver(const WatcherPtr& watcher);
  void PostDelivery(const WatcherPtr& watcher);
  bool DeliverOne(const WatcherPtr& watcher);

  // What a stream tells; these take the mutex.
  void OnOpened(const WatchStreamPtr& stream, uint64_t life);
  void OnMessage(const WatchStreamPtr& stream, uint64_t life, const std::string& bytes);
  void OnEnded(const WatchStreamPtr& stream, uint64_t life, const Status& status);
  void OnAnswerTimer(const WatchStreamPtr& stream, uint64_t life);
  void OnProgressTimer(const WatchStreamPtr& stream);
  void OnAgain(const WatchStreamPtr& stream);

  // Those that have something for programs add it to `touched`.
  WatchStreamPtr StreamFor(const WatcherState& watcher) GAVEL_REQUIRES(mutex_);
  void Join(const WatcherPtr& watcher, const WatchStreamPtr& stream) GAVEL_REQUIRES(mutex_);
  void Leave(const WatcherPtr& watcher) GAVEL_REQUIRES(mutex_);
  void Open(const WatchStreamPtr& stream) GAVEL_REQUIRES(mutex_);
  void GiveUp(const WatchStreamPtr& stream) GAVEL_REQUIRES(mutex_);
  void SendCreate(const WatchStreamPtr& stream, const WatcherState& watcher) GAVEL_REQUIRES(mutex_);
  void SendProgress(const WatchStreamPtr& stream) GAVEL_REQUIRES(mutex_);
  void WatchForSilence(const WatchStreamPtr& stream) GAVEL_REQUIRES(mutex_);
  void Handle(const WatchStreamPtr& stream, etcdserverpb::WatchResponse* response,
              Watchers* touched) GAVEL_REQUIRES(mutex_);
  void HandleCreated(const WatchStreamPtr& stream, const etcdserverpb::WatchResponse& response,
                     Watchers* touched) GAVEL_REQUIRES(mutex_);
  void HandleCanceled(const WatcherPtr& watcher, const etcdserverpb::WatchResponse& response,
                      Watchers* touched) GAVEL_REQUIRES(mutex_);
  void HandleProgress(const WatchStreamPtr& stream, const etcdserverpb::WatchResponse& response,
                      Watchers* touched) GAVEL_REQUIRES(mutex_);
  void Add(const WatcherPtr& watcher, WatchBatch batch) GAVEL_REQUIRES(mutex_);
  void End(const WatcherPtr& watcher, Status status, Watchers* touched) GAVEL_REQUIRES(mutex_);
  // Moves those whose buffer is full out of the way of the others. True if the stream is to be
  // read on.
  bool MakeRoom(const WatchStreamPtr& stream) GAVEL_REQUIRES(mutex_);
  // Takes the oldest batch, and lets more in if there is room again.
  WatchBatch Take(const WatcherPtr& watcher) GAVEL_REQUIRES(mutex_);

  Core* const core_;

  mutable LocalMutex mutex_;
  bool closed_ GAVEL_GUARDED_BY(mutex_) = false;
  int64_t last_id_ GAVEL_GUARDED_BY(mutex_) = 0;
  std::set<WatchStreamPtr> streams_ GAVEL_GUARDED_BY(mutex_);
  // By leader wanted, endpoint.
  std::map<std::pair<bool, std::string>, WatchStreamPtr> shared_ GAVEL_GUARDED_BY(mutex_);
  std::map<int64_t, WatcherPtr> parked_ GAVEL_GUARDED_BY(mutex_);
};

}  // namespace gavel::client::internal
