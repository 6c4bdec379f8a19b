// Where the live entries of the log are: a sparse index from entry to file offset.
//
// Not thread-safe.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "raft/types.h"

namespace gavel::storage::wal {

// Entries that follow each other in one segment, with other records between them at most. A run
// ends before the first entry of the next run, so records of truncated entries are never reached.
struct Run {
  raft::Index first;
  uint64_t segment = 0;
  uint64_t offset = 0;  // Of the record of `first`.
};

// Invariants: runs ascend in index, segment and offset; together they cover every entry from
// first_index() to last_index() without a gap.
class LogIndex {
 public:
  // Nothing is stored; the next entry is last + 1.
  void Reset(raft::Index last);
  // Drops the entries at or above `from`.
  void Truncate(raft::Index from);
  // Requires: index is last_index() + 1.
  void Add(raft::Index index, uint64_t segment, uint64_t offset);
  // Forgets the entries in segments below `segment`.
  void DropSegmentsBelow(uint64_t segment);

  bool empty() const { return runs_.empty(); }
  // The lowest stored entry; last_index() + 1 if there is none.
  raft::Index first_index() const { return empty() ? last_.Next() : runs_.front().first; }
  // The last stored entry, or what the next one follows.
  raft::Index last_index() const { return last_; }

  // The segment that holds the first stored entry at or above `index`; nullopt if there is none.
  std::optional<uint64_t> SegmentOf(raft::Index index) const;
  // At most `count` runs from the one with `index` on. Requires: `index` is stored.
  std::vector<Run> RunsFrom(raft::Index index, size_t count) const;

 private:
  // The run that holds `index`. Requires: it is stored.
  std::deque<Run>::const_iterator Find(raft::Index index) const;

  std::deque<Run> runs_;
  raft::Index last_;
  bool start_run_ = true;  // The next entry starts a run wherever it is.
};

}  // namespace gavel::storage::wal
