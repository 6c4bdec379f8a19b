// When to compact by itself, as etcd's --auto-compaction flags say. Passive.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "server/clock.h"
#include "storage/mvcc/revision.h"

namespace gavel::server {

struct AutoCompactionOptions {
  enum class Mode : uint8_t { kOff, kPeriodic, kRevision };
  Mode mode = Mode::kOff;
  MonotonicNs retention = 0;  // kPeriodic: the history of this time is kept.
  int64_t revisions = 0;      // kRevision: so many of the newest revisions are kept.
};

// Every member looks, so that whoever comes to lead knows what the past was; only a leader acts.
//
// Periodic: once in a retention, but at least once an hour, to the revision of a retention ago;
// the first time after a whole retention. By revisions: every five minutes. Those are etcd's
// rules. Used by one thread at a time.
class AutoCompaction {
 public:
  // `now`: when this process began, with `newest` as its newest revision.
  AutoCompaction(const AutoCompactionOptions& options, MonotonicNs now, storage::Revision newest);

  // Time from one look to the next. Requires: the mode is not kOff.
  MonotonicNs interval() const { return interval_; }
  // Takes note of the newest revision, and says to which one to compact, if it is time.
  std::optional<storage::Revision> Look(MonotonicNs now, storage::Revision newest);
  // The history below `revision`, of the last Look, has been given up.
  void OnCompacted(storage::Revision revision, MonotonicNs now);

 private:
  std::optional<storage::Revision> LookPeriodic(MonotonicNs now, storage::Revision newest);

  const AutoCompactionOptions options_;
  MonotonicNs interval_ = 0;
  MonotonicNs due_after_ = 0;  // kPeriodic: time between two compactions.
  size_t looks_max_ = 0;       // kPeriodic: the first of so many is a retention ago.
  std::deque<storage::Revision> looks_;
  MonotonicNs last_success_;
  storage::Revision last_ = 0;
};

}  // namespace gavel::server
