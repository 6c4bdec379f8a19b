// Reads stored entries back from segments, for followers that lag.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "raft/types.h"
#include "storage/disk/disk.h"
#include "storage/wal/log_index.h"

namespace gavel::storage::wal {

struct EntryRange {
  raft::Index from;
  raft::Index end;  // The index after the last that `runs` cover.
  size_t bytes_max = 0;
};

// Reads the entries of `range`, at least one, until their payloads reach bytes_max. `runs` cover
// the range; segments are in `directory`. NotFound: a segment has been removed meanwhile.
// DataLoss: an entry is damaged.
absl::StatusOr<std::vector<raft::Entry>> ReadEntries(Disk& disk, const std::string& directory,
                                                     const std::vector<Run>& runs,
                                                     const EntryRange& range);

}  // namespace gavel::storage::wal
