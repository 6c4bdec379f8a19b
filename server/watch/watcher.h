// One watcher, as the hub keeps it.
#pragma once

#include <atomic>
#include <cstddef>
#include <string>

#include "server/watch/watch_batch.h"
#include "server/watch/watch_hub.h"
#include "server/watch/watch_index.h"

namespace gavel::server {

// Constant once it is in the index, but for what the hub's lock guards.
struct Watcher : WatchIndexEntry {
  // True for a change of a key that it watches.
  bool Wants(bool tombstone) const { return tombstone ? !no_delete : !no_put; }
  uint64_t key_bytes() const { return key.size() + range_end.size(); }
  storage::KeyRange range() const { return storage::KeyRange::FromRequest(key, range_end); }

  WatchStream::State* stream = nullptr;
  // Guarded by the hub's lock: it is told of nothing before, by apply or by a walk that begins.
  storage::Revision start = 0;
  bool no_put = false;
  bool no_delete = false;
  bool prev_kv = false;
  bool fragment = false;
  bool progress = false;
  // Guarded by the hub's lock: it catches up by itself, while its stream need not.
  bool lagging = false;
  std::atomic<bool> canceled = false;  // Set under the hub's lock.
  // Guarded by the hub's lock. The batch is the last that it was told of.
  BatchBuilder::Marks marks;
  WatchId id = 0;

  // The first revision that may be told as its progress: the start that was asked for, or what it
  // was created at.
  storage::Revision settled = 0;
  bool from_now = false;      // No start was asked for.
  size_t place = 0;           // In its stream's list, guarded by the hub's lock.
  size_t progress_place = 0;  // The same for the list of those who want progress.
  std::string key;
  std::string range_end;
};

}  // namespace gavel::server
