// Rebuilds what a log holds from its records, in order, and checks that they make sense.
//
// Pure; every rule broken by records whose checksums are right is a bug or a forgery, and is
// reported as damage.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"

#include "raft/configuration.h"
#include "raft/types.h"
#include "storage/wal/format.h"
#include "storage/wal/log_index.h"
#include "storage/wal/segment_reader.h"
#include "storage/wal/wal.h"

namespace gavel::storage::wal {

class Replay {
 public:
  // Entries above `keep_from` are kept, the others only checked.
  explicit Replay(raft::Index keep_from) : keep_from_(keep_from) {}

  // Begins with the oldest segment. DataLoss: no log starts like this.
  absl::Status Begin(const SegmentStartBody& start);
  // Takes the start of a later segment. Errors are as for Apply.
  absl::Status Continue(const SegmentStartBody& start) const;
  // Takes one record of a whole batch, found at `offset` of `segment`. DataLoss: it contradicts
  // the records before it.
  absl::Status Apply(const Record& record, uint64_t segment, uint64_t offset);

  // DataLoss: the last entry has a term that this member never entered. Whatever is written, no
  // batch ends like this.
  absl::Status CheckLastTerm() const;

  // DataLoss: entries between the newest mark and the first stored entry are missing. Otherwise
  // fills all of `contents` but the torn tail; Apply must not be called again.
  absl::Status Finish(WalContents& contents);

  raft::EntryId last() const { return {index_.last_index(), last_term_}; }
  const raft::HardState& hard_state() const { return hard_state_; }
  const raft::SnapshotMeta& mark() const { return mark_; }
  LogIndex& index() { return index_; }

 private:
  absl::Status ApplyEntry(const Record& record, uint64_t segment, uint64_t offset);
  absl::Status ApplyTruncate(raft::Index from);
  absl::Status ApplyMark(raft::SnapshotMeta mark, bool starts_anew);
  absl::Status ApplyHardState(const raft::HardState& state);

  // The term of a stored entry; none if it is unknown.
  raft::Term TermAt(raft::Index index) const;
  // The configuration in force at `index`. Requires: mark().index <= index <= last().index.
  absl::StatusOr<raft::Configuration> ConfigurationAt(raft::Index index) const;

  const raft::Index keep_from_;
  LogIndex index_;
  raft::Term last_term_;
  raft::HardState hard_state_;
  raft::SnapshotMeta mark_;
  std::vector<raft::Entry> entries_;                                 // Above keep_from_.
  std::vector<std::pair<raft::Index, raft::Term>> terms_;            // First stored index of each.
  std::vector<std::pair<raft::Index, std::string>> configurations_;  // Above mark_.
};

}  // namespace gavel::storage::wal
