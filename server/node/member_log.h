// The write-ahead log at a member's start: opened or begun, and compared with the state.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "raft/raft.h"
#include "storage/disk/data_directory.h"
#include "storage/disk/disk.h"
#include "storage/state/state_machine.h"
#include "storage/wal/log_owner.h"
#include "storage/wal/wal.h"

namespace gavel::server {

// What to do with a member that has lost what it promised.
std::string Rejoin();

struct OpenedLog {
  std::unique_ptr<storage::Wal> wal;
  storage::WalContents contents;
};

// Whose the log must be. `begun_cluster`: the one that --force-new-cluster is at, if it is.
storage::LogOwner::Claim LogClaim(const storage::Identity& member,
                                  std::optional<uint64_t> begun_cluster, bool own_place);

// Opens the log, or begins it behind `initial` at a first start. DataLoss: it is damaged, or gone
// though the member has started before. Errors say what to do.
absl::StatusOr<OpenedLog> OpenLog(storage::Disk& disk, const storage::WalOptions& options,
                                  const storage::InitialState& initial, raft::Index applied,
                                  bool first_start);

// The log begins anew behind the snapshot, unless it did so before a crash. What the member has
// promised stays.
absl::Status InstallInLog(const raft::SnapshotMeta& start, OpenedLog* log);

// DataLoss, saying what to do: log and state do not meet.
absl::Status CheckAgreement(const storage::WalContents& contents, raft::Index applied,
                            const std::string& wal_path, const std::string& state_path);

// What the core begins with.
raft::Restored RestoredFrom(storage::WalContents contents, raft::Index applied);

}  // namespace gavel::server
