// Work that may wait: long reads, hashes, history collection, zeroing of segments.
//
// A job is a step that is called again until it returns false; all jobs take turns, so that none
// holds up the others for longer than one step.
#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <optional>

#include "absl/functional/any_invocable.h"

#include "server/clock.h"
#include "storage/mutex.h"

namespace gavel::server {

// Thread-safe. Any number of threads may run jobs; one job is run by one thread at a time.
class Background {
 public:
  using Step = absl::AnyInvocable<bool()>;

  explicit Background(const Clock& clock) : clock_(clock) {}

  // Adds a job behind the others. Dropped after Close.
  void Add(Step step);
  // The same, not to be begun before `at`.
  void AddAt(MonotonicNs at, Step step);

  // Runs one step of the next job; false if none is due.
  bool RunOnce();
  // Jobs that wait for their next step.
  size_t due();
  // When RunOnce has something to do: now or earlier if a job waits, nothing if none ever will.
  std::optional<MonotonicNs> NextDue();
  // Jobs that are there, due or not, but for those that run.
  size_t size();
  // Returns once a job is due, or Close was called (then false).
  bool Wait();
  // Drops all jobs; those running end after their step.
  void Close();

 private:
  // Moves what is due by now to jobs_.
  void TakeDue() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Clock& clock_;
  Mutex mutex_;  // Not held while a step runs.
  std::condition_variable ready_;
  std::deque<Step> jobs_ ABSL_GUARDED_BY(mutex_);
  std::multimap<MonotonicNs, Step> later_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace gavel::server
