// Holds what one watcher is told against the log of all changes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tests/chaos/change_log.h"

namespace gavel::chaos {

// What a watcher is interested in.
struct Interest {
  int first_key = 0;
  int end_key = kWatchKeys;
  bool no_put = false;
  bool no_delete = false;
  bool previous = false;  // It asks for what was there before.

  bool Wants(const Change& change) const {
    return change.key >= first_key && change.key < end_key &&
           !(change.deleted ? no_delete : no_put);
  }
};

// One event as a watcher was told of it.
struct SeenEvent {
  int64_t revision = 0;
  Change change;
  // What was there before, if it was told.
  std::optional<uint64_t> previous_write;
};

// Follows one watcher, over all the streams that it takes. Each call returns the violation, or
// nothing. The log must reach the revisions that are told. Used by one thread.
class WatchCheck {
 public:
  // `start` is the first revision of interest.
  WatchCheck(const ChangeLog& log, Interest interest, int64_t start)
      : log_(log), interest_(interest), next_(start), after_events_(start) {}

  // One batch: exactly what the log has for this watcher, from next() to the last event's revision,
  // and all of each revision. `compacted` is the highest revision that anybody has asked to compact
  // to: what was before may be missing up to there.
  std::optional<std::string> OnEvents(int64_t header_revision, const std::vector<SeenEvent>& events,
                                      int64_t compacted);
  // Everything up to `revision` is said to have been delivered.
  std::optional<std::string> OnProgress(int64_t revision);
  // The watcher ended, since history begins at `revision`. It is right only if there is a gap after
  // the last event, and if somebody has asked for it. Progress that was asked for is nothing that a
  // client of old servers can rely on, so it does not count here. next() is `revision` at least
  // then.
  std::optional<std::string> OnCompacted(int64_t revision, int64_t compacted);

  // The first revision that was not checked.
  int64_t next() const { return next_; }
  // The same, if progress did not count.
  int64_t after_events() const { return after_events_; }
  int64_t events() const { return events_; }

 private:
  std::optional<std::string> CheckEvent(const ChangeLog::Entry& expected, const SeenEvent& seen,
                                        int64_t compacted) const;

  const ChangeLog& log_;
  const Interest interest_;
  int64_t next_;
  int64_t after_events_;
  int64_t events_ = 0;
};

}  // namespace gavel::chaos
