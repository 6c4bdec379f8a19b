// The inside of the watch hub: what its lock guards, and what each thread does with it.
//
// Each watcher is in one of two groups. Synced ones are told by apply, catching-up ones by a walk
// over history (catch_up.h) in the background. Everything for a stream goes through the outlet of
// its executor, a queue that keeps the order in which the hub decided.
//
// How a stream that takes no more falls behind, without a gap and without a revision told twice:
//   its sink says `full`; the events that come next out of the outlet are skipped, and the first
//   skipped revision is where it is behind from; apply passes it over from then on. Once nothing
//   that apply handed out is left in the outlet and there is room, a walk begins there. What
//   comes from a walk, one item at a time, is never skipped. When the walk has come to the hub's
//   head, which is looked at under the lock, apply goes on where it ended.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"

#include "server/watch/catch_up.h"
#include "server/watch/watch_batch.h"
#include "server/watch/watch_hub.h"
#include "server/watch/watch_index.h"
#include "server/watch/watcher.h"
#include "storage/mutex.h"

namespace gavel::server {

// Something that a stream is told, on its way.
struct WatchItem {
  enum class Kind : uint8_t {
    kEvents,    // From apply; may be skipped.
    kHistory,   // Events from a walk.
    kProgress,  // May be skipped.
    kCreated,
    kRefused,
    kCanceled,
    kCompacted,
    kFailed,
  };
  // Counts as handed out by apply: it must not overtake what was skipped.
  bool skippable() const { return kind == Kind::kEvents || kind == Kind::kProgress; }

  Kind kind = Kind::kEvents;
  std::shared_ptr<WatchStream::State> stream;
  // Events only.
  std::shared_ptr<const BatchParts> batch;
  size_t begin = 0;  // Of its parts.
  size_t end = 0;
  uint64_t events = 0;
  uint64_t cost = 0;  // Bytes that it keeps.

  WatchId id = 0;
  storage::Revision revision = 0;  // Events: all up to here has been told with this.
  WatchRefusal refusal = WatchRefusal::kNegativeStart;
  absl::Status status;

  // What has become of it.
  bool skipped = false;
};

// The way to the streams of one executor. Guarded by the hub's lock.
struct WatchOutlet {
  std::shared_ptr<Executor> executor;  // Null: of one stream alone, on any thread.
  std::vector<WatchItem> queue;
  bool scheduled = false;  // Somebody is about to empty the queue, or does.
  uint64_t bytes = 0;      // Of what is queued, or taken and not told yet.
  uint64_t batch = 0;      // The last whose portion has been counted.
  size_t streams = 0;
};

struct WatchStream::State : std::enable_shared_from_this<WatchStream::State> {
  uint64_t number = 0;
  std::shared_ptr<WatchSink> sink;
  std::shared_ptr<WatchOutlet> outlet;

  std::atomic<bool> closed = false;  // Set under the hub's lock.
  std::atomic<bool> full = false;
  std::atomic<uint64_t> writable = 0;  // How often there was room again.
  // Events were skipped, and so is what apply handed out after them. Of the thread that empties
  // the outlet.
  bool skipping = false;

  // Guarded by the hub's lock, like all below.
  absl::flat_hash_map<WatchId, std::shared_ptr<Watcher>> watchers;
  std::vector<Watcher*> all;
  std::vector<Watcher*> wanting_progress;
  // Ids of watchers that ended because of a compaction; in use until the client cancels them too.
  absl::flat_hash_set<WatchId> ended;
  WatchId next_id = 0;
  storage::Revision latest_settled = 0;  // At least every watcher's.
  size_t handed = 0;                     // Skippable items in the outlet.

  // All watchers that are not lagging have been handed everything below `behind_from`, and apply
  // passes them over.
  bool behind = false;
  storage::Revision behind_from = 0;
  size_t lagging = 0;                               // Watchers that catch up by themselves.
  std::vector<std::shared_ptr<Watcher>> newcomers;  // Lagging, and not in the walk yet.

  std::unique_ptr<CatchUp> walk;  // Used by the step that runs, without the lock.
  bool running = false;           // A step runs, or is about to.
  bool all_in_walk = false;       // Also those who are behind with the stream.
  size_t history = 0;             // Items of the walk in the outlet.
  storage::Revision walked = 0;   // Where the walk was when it was last looked at.
  bool failed = false;

  bool progress_asked = false;
  MonotonicNs progress_due = 0;  // 0: nobody has wanted any.
  uint64_t progress_batch = 0;   // The newest batch when progress was last told.
  size_t progress_told = 0;      // Of wanting_progress, in the round under way.

  // Of the portion that is being matched.
  uint64_t batch = 0;
  std::vector<Watcher*> matched;
  uint64_t matched_bytes = 0;
  uint64_t matched_events = 0;
  bool matched_previous = false;
};

class WatchHub::Impl : public std::enable_shared_from_this<WatchHub::Impl> {
 public:
  using State = WatchStream::State;
  using StatePtr = std::shared_ptr<State>;

  Impl(const WatchLimits& limits, Surroundings surroundings);

  bool wants_changes() const { return watchers_.load(std::memory_order_relaxed) > 0; }
  void OnApplied(std::vector<storage::KeyChange> changes, bool asked,
                 const storage::ReadView& view);
  void OnInstalled(const storage::ReadView& view);
  void Shutdown();

  StatePtr Open(std::shared_ptr<WatchSink> sink, std::shared_ptr<Executor> executor);
  void Close(const StatePtr& stream);
  void Create(const StatePtr& stream, const WatchOptions& options);
  void Cancel(const StatePtr& stream, WatchId id);
  void RequestProgress(const StatePtr& stream);
  void OnWritable(const StatePtr& stream);
  WatchCounts counts() const;

 private:
  // What has to be done once the lock is free. Who takes one by reference holds the lock.
  struct After {
    std::vector<std::shared_ptr<WatchOutlet>> outlets;
    std::vector<StatePtr> walks;
    std::optional<MonotonicNs> timer;
    // Only to be destroyed.
    std::vector<std::shared_ptr<Watcher>> watchers;
    std::unique_ptr<CatchUp> walk;
  };
  void Do(After after);

  // hub_streams.cc
  std::optional<WatchRefusal> Refuse(const State& stream, const WatchOptions& options) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Begin(const StatePtr& stream, std::shared_ptr<Watcher> watcher, After& after)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Remove(Watcher& watcher, After& after) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The watcher of that id, which is not or no more in the index, needs what is compacted.
  void EndCompacted(const StatePtr& stream, WatchId id, storage::Revision compacted, After& after)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  static bool InUse(const State& stream, WatchId id) {
    return stream.watchers.contains(id) || stream.ended.contains(id);
  }
  bool RemoveSome(const StatePtr& stream);
  void Post(WatchItem item, After& after) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void PostAbout(WatchItem::Kind kind, const StatePtr& stream, WatchId id,
                 storage::Revision revision, After& after) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // hub_apply.cc
  void Match(const std::shared_ptr<const Portion>& portion) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void HandOut(const std::shared_ptr<const Portion>& portion, After& after)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool MustFallBehind(const State& stream, bool large) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void FallBehind(State& stream, storage::Revision from, After& after)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void EveryoneFallsBehind(storage::Revision from, After& after)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Remember(std::shared_ptr<const Portion> portion) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // hub_delivery.cc
  void Drain(const std::shared_ptr<WatchOutlet>& outlet);
  void Deliver(WatchItem& item, WatchSent& sent);
  void DeliverEvents(WatchItem& item, WatchSent& sent);
  void Settle(WatchOutlet& outlet, std::vector<WatchItem>& items, After& after)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // hub_walk.cc
  void StartWalk(const StatePtr& stream, After& after) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool Step(const StatePtr& stream);
  // What a step works with; nothing if there is nothing to do.
  struct Plan {
    std::vector<CatchUp::Newcomer> newcomers;
    bool at_once = false;  // Those who are behind with the stream are among them.
    std::unique_ptr<CatchUp> unused;
    bool go = false;
  };
  Plan PlanStep(const StatePtr& stream);
  // The newest portions from the one that holds `revision` on, as many as a step can do with;
  // none if that is not kept.
  CatchUp::Portions Recent(storage::Revision revision) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  CatchUp::Result Walk(CatchUp& walk, storage::Revision through, uint64_t number);
  bool Conclude(const StatePtr& stream, CatchUp::Result result,
                std::vector<std::shared_ptr<Watcher>> lost, After& after)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void PostHistory(const StatePtr& stream, CatchUp::Result result, After& after)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool ReachHead(const StatePtr& stream, After& after) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool Arrive(const StatePtr& stream, After& after) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void FailStream(const StatePtr& stream, const absl::Status& status, After& after)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // hub_progress.cc
  void TryProgress(const StatePtr& stream, After& after) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool synced(const State& stream) const { return !stream.behind && stream.lagging == 0; }
  enum class Begun { kYes, kSoon, kLater };
  Begun HaveBegun(State& stream) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void PostProgress(const StatePtr& stream, WatchId id, After& after)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void WantProgress(const StatePtr& stream, Watcher& watcher, After& after)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void SetTimer(After& after) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool OnTimer(MonotonicNs at);
  bool TellProgress(const StatePtr& stream, After& after) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const WatchLimits limits_;
  const Surroundings surroundings_;
  std::atomic<uint64_t> watchers_ = 0;
  uint64_t key_bytes_ ABSL_GUARDED_BY(mutex_) = 0;  // Of the ranges of all of them.
  std::atomic<uint64_t> pending_events_ = 0;
  std::atomic<uint64_t> events_sent_ = 0;
  std::atomic<uint64_t> bytes_sent_ = 0;

  mutable Mutex mutex_;  // Not held while calling out.
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  // All up to here has been handed to the synced.
  storage::Revision head_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t last_batch_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t last_stream_ ABSL_GUARDED_BY(mutex_) = 0;
  WatchIndex index_ ABSL_GUARDED_BY(mutex_);  // Of all watchers, whatever their group.
  std::map<uint64_t, StatePtr> streams_ ABSL_GUARDED_BY(mutex_);
  // Their watchers are being removed.
  std::map<uint64_t, StatePtr> closing_ ABSL_GUARDED_BY(mutex_);
  std::map<Executor*, std::shared_ptr<WatchOutlet>> outlets_ ABSL_GUARDED_BY(mutex_);

  // The newest portions, without gaps, up to head_.
  std::deque<std::shared_ptr<const Portion>> recent_ ABSL_GUARDED_BY(mutex_);
  uint64_t recent_bytes_ ABSL_GUARDED_BY(mutex_) = 0;

  // Of the portion that is being matched.
  BatchBuilder builder_ ABSL_GUARDED_BY(mutex_);
  std::vector<State*> touched_ ABSL_GUARDED_BY(mutex_);

  // Streams that are told of progress once apply has handed over what it has published.
  std::vector<StatePtr> asking_ ABSL_GUARDED_BY(mutex_);
  // When streams tell progress next.
  std::set<std::pair<MonotonicNs, uint64_t>> progress_due_ ABSL_GUARDED_BY(mutex_);
  std::optional<MonotonicNs> timer_ ABSL_GUARDED_BY(mutex_);  // The earliest that is set.
};

}  // namespace gavel::server
