// The commands of gavelutl: what each prints, or why it failed.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "server/util/printing.h"
#include "storage/disk/disk.h"

namespace gavel::server {

// What commands need of the process.
struct UtilSurroundings {
  storage::Disk& disk;
  // One line for people, on standard error.
  std::function<void(const std::string&)> tell;
  // The same, but written over the next time; never called unless people read along.
  std::function<void(const std::string&)> tell_progress;
};

absl::StatusOr<std::string> SnapshotStatus(const UtilSurroundings& surroundings,
                                           const std::string& path, PrintFormat format);

struct RestoreFlags {
  std::string snapshot;
  // Flags of gaveld as they were given, "--name=a"; the others have gaveld's defaults.
  std::vector<std::string> member;
  int64_t bump_revision = 0;
  bool mark_compacted = false;
  bool skip_hash_check = false;
};
absl::StatusOr<std::string> SnapshotRestore(const UtilSurroundings& surroundings,
                                            const RestoreFlags& flags);

// Of the data directory of a member that does not run; revision 0: the newest that is on disk.
absl::StatusOr<std::string> HashKvOffline(const UtilSurroundings& surroundings,
                                          const std::string& data_dir, int64_t revision,
                                          PrintFormat format);

}  // namespace gavel::server
