// Watches that start at the compacted revision, and what they receive of it.
//
// etcd 3.4 has dropped some of that (WatchHistory::IsDropped). Gavel has it all, so that a watch
// which lacks any of it has lost it, whether etcd has it or not.
//
// Pure functions of messages.
#pragma once

#include <cstdint>
#include <set>
#include <vector>

#include "tests/conformance/watch_history.h"
#include "tests/conformance/watch_story.h"

namespace gavel::conformance {

struct CompactedStart {
  int64_t id = 0;
  size_t index = 0;         // Among the watches that were created with this id in the segment.
  bool may_be_cut = false;  // It was canceled without waiting for its events.
  // What happened at that revision that it is about, in order, as items of a story. Never empty.
  std::vector<etcdserverpb::WatchResponse> owed;
  std::vector<bool> dropped;  // Of each, whether etcd drops it.
};

// Of the watches of one segment, those that are owed something of that revision. Events of those in
// `cut` may not all have come.
std::vector<CompactedStart> FindCompactedStarts(const CreatedWatches& created,
                                                const WatchHistory& history,
                                                const std::set<int64_t>& cut);

// Whether the watch has received what it is owed, exactly, but for what it may lack: with
// `may_lack_dropped`, any of what etcd drops.
bool HasOwed(const CompactedStart& start, const WatchStory& story, bool may_lack_dropped);

// Gives the watch in `to` what it has received of that revision in `from`; both must have the
// watch. Returns whether that changes anything.
bool CopyOwed(const CompactedStart& start, const WatchStory& from, WatchStory* to);

}  // namespace gavel::conformance
