// Opens the directory of a log: reads and checks all of it, cuts an unconfirmed torn batch.
//
// The rule: damage below the high-water mark is reported and nothing is touched; above it lies
// at most one batch, which is cut.
#pragma once

#include <memory>
#include <vector>

#include "absl/status/statusor.h"

#include "raft/types.h"
#include "storage/disk/disk.h"
#include "storage/wal/format.h"
#include "storage/wal/high_water.h"
#include "storage/wal/log_index.h"
#include "storage/wal/wal.h"

namespace gavel::storage::wal {

struct SegmentInfo {
  uint64_t id = 0;
  uint64_t file_bytes = 0;
};

// Where the log stands: what the next batch continues.
struct Tail {
  Position position;
  raft::Term last_term;
  raft::HardState hard_state;
  raft::SnapshotMeta mark;
};

struct Recovered {
  Tail tail;
  bool segment_empty = true;   // The last segment has no batch yet.
  std::unique_ptr<File> file;  // The last segment.
  std::vector<SegmentInfo> segments;
  LogIndex index;
  HighWater high_water;
  WalContents contents;
};

// See Wal::Open. What is returned is durable and covered by the high-water mark.
absl::StatusOr<Recovered> Recover(Disk& disk, const WalOptions& options, raft::Index keep_from);

// Ids of the segments in `directory`, ascending.
absl::StatusOr<std::vector<uint64_t>> ListSegments(Disk& disk, const std::string& directory);

// Removes files that a crash left half made; their names end in ".tmp".
absl::Status RemoveTemporaries(Disk& disk, const std::string& directory);

}  // namespace gavel::storage::wal
