// Which term and which configuration belong to each index of the stored log.
//
// Passive. Kept beside the log so that a mark (index, term, configuration) can be made for any
// index without reading entries back.
#pragma once

#include <map>
#include <vector>

#include "absl/status/statusor.h"

#include "raft/configuration.h"
#include "raft/types.h"

namespace gavel::server {

// Invariant: covers every index from the start's on, up to the last entry appended.
class LogHistory {
 public:
  explicit LogHistory(const raft::SnapshotMeta& start);

  // Takes entries that follow, or that replace the suffix from their first index on.
  // InvalidArgument: a configuration entry cannot be decoded.
  absl::Status Append(const std::vector<raft::Entry>& entries);

  // The mark for `index`. OutOfRange if it is before the start or after the last entry.
  absl::StatusOr<raft::SnapshotMeta> MarkAt(raft::Index index) const;

  // Forgets what only indexes below `index` need.
  void CutTo(raft::Index index);

  raft::Index last() const { return last_; }

 private:
  void Truncate(raft::Index first_gone);

  raft::Index start_;
  raft::Index last_;
  std::map<raft::Index, raft::Term> terms_;                    // From the first index of each term.
  std::map<raft::Index, raft::Configuration> configurations_;  // From where it was adopted.
};

}  // namespace gavel::server
