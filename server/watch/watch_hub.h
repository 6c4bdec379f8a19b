// Tells everyone who watches of the changes that concern them.
//
// Apply hands over what each batch changed; consumers open a stream of watchers each. The hub
// knows no transport: a stream is told through a WatchSink, an in-process watcher through a
// call-back. It owns no thread and no clock.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"

#include "server/clock.h"
#include "server/executor.h"
#include "server/watch/watch_types.h"
#include "storage/mvcc/key_change.h"
#include "storage/mvcc/read_view.h"

namespace gavel::server {

struct WatchLimits {
  // How often a watcher that asked for it is told of progress; a tenth is added at most.
  MonotonicNs progress_interval = 600 * kNsPerSecond;
  // 0: no limit.
  uint64_t stream_watchers_max = 0;
  uint64_t watchers_max = 0;
  // Of keys and range ends that all watchers together name.
  uint64_t watcher_key_bytes_max = 256 << 20;
  // What is handed to one executor and not yet sent on; beyond it streams fall behind.
  uint64_t undelivered_bytes_max = 32 << 20;
  // A portion for one stream, counted once for each of its watchers, beyond which the stream gets
  // it in smaller ones; and what those are.
  uint64_t stream_portion_bytes_max = 4 << 20;
  uint64_t catch_up_bytes = 512 << 10;
  int64_t catch_up_revisions = 1000;  // Of one response.
  int64_t catch_up_rows = 1024;       // Of history, in one step.
  // The newest changes, kept for who is almost there.
  uint64_t recent_bytes_max = 4 << 20;
};

// How things stand, for metrics.
struct WatchCounts {
  uint64_t streams = 0;
  uint64_t watchers = 0;
  uint64_t catching_up = 0;     // Of the watchers.
  uint64_t pending_events = 0;  // Handed out, and not sent on yet.
  int64_t lag_revisions = 0;    // Of the stream that is farthest behind.
  uint64_t events_sent = 0;     // Since the start.
  uint64_t bytes_sent = 0;
};

class WatchStream;
class LocalWatch;

// What an in-process watcher is told.
struct WatchNews {
  // In order. Good for the length of the call.
  std::vector<const storage::KeyChange*> changes;
  // All that happened up to here has been told.
  storage::Revision revision = 0;
  // At least 0: nothing more will be told, because history below this revision is needed. Read
  // the state anew and watch from there.
  storage::Revision compacted = -1;
  // Not OK: nothing more will be told, because the engine failed.
  absl::Status failure;
  // Nothing will be told, because of WatchLimits::watchers_max.
  bool refused = false;
};

// Thread-safe. Call-backs run with no lock held.
class WatchHub {
 public:
  using Step = absl::AnyInvocable<bool()>;
  struct Surroundings {
    const Clock* clock = nullptr;
    // The newest published view.
    std::function<std::shared_ptr<const storage::ReadView>()> view;
    // Run a step until it returns false, other work in between; the second not before a time.
    std::function<void(Step)> run;
    std::function<void(MonotonicNs, Step)> run_at;
  };
  WatchHub(const WatchLimits& limits, Surroundings surroundings);
  // Nothing is told any more.
  ~WatchHub();

  // For apply, which is one thread.

  // Whether OnApplied wants to be told of changes. Asked before each batch.
  bool wants_changes() const;
  // A batch has been applied and its view published. `changes` are all it made, if they were
  // `asked` for.
  void OnApplied(std::vector<storage::KeyChange> changes, bool asked,
                 const storage::ReadView& view);
  // The state has been replaced by another that is further: everyone catches up.
  void OnInstalled(const storage::ReadView& view);

  // For consumers.

  // Begins a stream of watchers, which ends when the handle is destroyed.
  std::unique_ptr<WatchStream> Open(std::shared_ptr<WatchSink> sink,
                                    std::shared_ptr<Executor> executor);

  // Watches from within the process. `tell` runs like a WatchSink's functions: in order, on the
  // executor if there is one, else on any thread (apply among them: be quick, do not block). It
  // is not begun after the handle was destroyed, but may then still be under way on another
  // thread: give it what it needs by shared or weak pointers. Of `options`, id, prev_kv, progress
  // and fragment say nothing. A range that is empty, or a negative start, is a bug.
  using Tell = std::function<void(const WatchNews& news)>;
  std::unique_ptr<LocalWatch> Watch(WatchOptions options, Tell tell,
                                    std::shared_ptr<Executor> executor = nullptr);

  WatchCounts counts() const;

  class Impl;

 private:
  const std::shared_ptr<Impl> impl_;
};

// One consumer's watchers. Thread-safe. What is asked for is answered through the sink.
class WatchStream {
 public:
  ~WatchStream();
  WatchStream(const WatchStream&) = delete;
  WatchStream& operator=(const WatchStream&) = delete;

  void Create(const WatchOptions& options);
  // Of an unknown id: does nothing. The id of a watcher that ended because of a compaction is in
  // use until it is canceled, as etcd has it: clients rely on the answer.
  void Cancel(WatchId id);
  // Asks for OnProgress for the whole stream once all its watchers have been told everything; not
  // answered if there are none, or one of them begins in the future.
  void RequestProgress();
  // After a delivery that was `full`: there is room again.
  void OnWritable();

  struct State;

 private:
  friend class WatchHub;
  WatchStream(std::shared_ptr<WatchHub::Impl> hub, std::shared_ptr<State> state);

  const std::shared_ptr<WatchHub::Impl> hub_;
  const std::shared_ptr<State> state_;
};

// An in-process watcher; ends when it is destroyed.
class LocalWatch {
 public:
  explicit LocalWatch(std::unique_ptr<WatchStream> stream);
  ~LocalWatch();

 private:
  const std::unique_ptr<WatchStream> stream_;
};

}  // namespace gavel::server
