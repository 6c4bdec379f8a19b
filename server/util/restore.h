// From a snapshot to a data directory that gaveld starts a new cluster from.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/statusor.h"

#include "server/node/recovery.h"
#include "storage/disk/disk.h"
#include "storage/snapshot/archive_reader.h"

namespace gavel::server {

struct RestoreRequest {
  std::string snapshot;  // Path of the file.
  MemberPlace place;     // Of the member to be.
  // Above 0: see storage::FoundAnewOptions.
  int64_t bump_revision = 0;
  bool skip_digest = false;
};

struct Restored {
  storage::ArchiveSummary snapshot;
  MemberIdentity member;  // It has had no life yet.
};

// Told how many bytes of the snapshot have been read.
using RestoreProgress = std::function<void(uint64_t bytes)>;

// Works in `data_dir`.part, which takes the name of the data directory when it is whole and
// durable: a crash leaves the one or the other. Members that are restored from one snapshot, for
// one cluster and token, agree on cluster, state and where the log begins.
//
// FailedPrecondition: the directory is used already, or what an earlier attempt left is in the way.
// DataLoss: the snapshot is damaged, and where. Every message says what to do.
absl::StatusOr<Restored> Restore(storage::Disk& disk, const EngineOpener& open_engine,
                                 const RestoreRequest& request,
                                 const RestoreProgress& progress = nullptr);

}  // namespace gavel::server
