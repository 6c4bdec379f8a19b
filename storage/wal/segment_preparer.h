// Writes the next segment's file with zeros ahead of its use, in small steps.
//
// A write into a file that was written before changes no file system metadata, so its sync costs
// half as much; and the log thread never meets a full disk in the middle of a segment.
//
// Thread-safe: one thread calls Step, another Take; neither waits for the other's I/O.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "storage/disk/disk.h"
#include "storage/mutex.h"
#include "storage/wal/wal.h"

namespace gavel::storage::wal {

// A file whose zeros are durable, under a temporary name.
struct PreparedFile {
  std::unique_ptr<File> file;
  std::string path;
  uint64_t bytes = 0;
};

class SegmentPreparer {
 public:
  SegmentPreparer(Disk& disk, const WalOptions& options);

  // Does one step. Returns true while there is more to do. ResourceExhausted: no space; what was
  // begun is removed again.
  absl::StatusOr<bool> Step();

  // Hands over the prepared file if it is complete; nullopt otherwise.
  std::optional<PreparedFile> Take();

  // Bytes of a complete file waiting to be taken.
  uint64_t ready_bytes() const;

 private:
  absl::Status Extend(PreparedFile& prepared);

  Disk& disk_;
  const uint64_t segment_bytes_;
  const uint64_t step_bytes_;
  const std::string directory_;
  // A file that has been taken keeps its name until the log thread has renamed it, so the next
  // one gets another.
  uint64_t files_ = 0;  // Used by Step only.

  mutable Mutex mutex_;
  // Absent while a step is under way.
  std::optional<PreparedFile> prepared_ ABSL_GUARDED_BY(mutex_);
  bool stepping_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace gavel::storage::wal
