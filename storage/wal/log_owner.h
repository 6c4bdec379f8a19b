// Whose write-ahead log a directory holds. The log may lie apart from the data directory, whose own
// lock and identity then say nothing of it.
//
//   <directory>/lock   held while a process uses the log
//   <directory>/owner  cluster, member and its name, in a double block
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "raft/types.h"
#include "storage/disk/disk.h"
#include "storage/disk/double_block.h"

namespace gavel::storage {

// FailedPrecondition, saying what to do, if there is a log in `directory`, or one has been: a
// member without data of its own must not go on with it.
absl::Status CheckNoLog(Disk& disk, const std::string& directory);

// The directory is locked for as long as the object lives. Used by one thread.
class LogOwner {
 public:
  struct Claim {
    std::vector<uint64_t> clusters;  // The owner's may be any of them; the first is written.
    raft::NodeId member;
    std::string name;
    // Of a log that says nothing: it lies in the member's own data directory.
    bool own_place = false;
    // Else a directory without a log is left as it is, for the log itself to be missed.
    bool first_start = false;
  };

  // Locks the directory and makes the log the claimant's, or checks that it is; durable on return.
  //
  // Every error says what to do. FailedPrecondition: used by another process (with its pid),
  // another member's, nobody's. DataLoss: the owner's name is damaged. Others are the disk's.
  static absl::StatusOr<LogOwner> Take(Disk& disk, const std::string& directory,
                                       const Claim& claim);

  LogOwner(LogOwner&&) = default;
  LogOwner& operator=(LogOwner&&) = default;

  // The member has another cluster now; durable on return. After an error the object must not be
  // used again.
  absl::Status ChangeCluster(uint64_t cluster);

 private:
  LogOwner() = default;

  absl::Status ReadOrMake(Disk& disk, const std::string& directory, const Claim& claim);

  std::string directory_;
  std::unique_ptr<FileLock> lock_;
  std::optional<DoubleBlock> block_;
};

}  // namespace gavel::storage
