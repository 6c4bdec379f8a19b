// --force-new-cluster: a survivor of a lost quorum becomes a cluster of its own, under a new id.
//
// A file beside the data says that it is to be, or has been, done. It is durable before anything
// else changes, and every start goes on where a crash has left off, so that the directory never
// belongs to both clusters. While the flag stays, it is not done twice; a start without it forgets.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "server/logging.h"
#include "server/node/member_gate.h"
#include "storage/disk/data_directory.h"
#include "storage/disk/disk.h"
#include "storage/engine/engine.h"
#include "storage/state/state_machine.h"
#include "storage/wal/log_owner.h"
#include "storage/wal/wal.h"

namespace gavel::server {

struct NewCluster {
  uint64_t id = 0;
  bool done = false;
};

// Nothing if there is no file. DataLoss: it is damaged.
absl::StatusOr<std::optional<NewCluster>> ReadNewCluster(storage::Disk& disk,
                                                         const storage::DataDirectory& directory);

// FailedPrecondition: there is nothing at `data_dir` that a cluster could be made of. Changes
// nothing.
absl::Status CheckThereIsData(storage::Disk& disk, const std::string& data_dir);

// What the start of a member does about it.
class NewClusterStep {
 public:
  enum class Kind : uint8_t { kNone, kFound, kForget };

  // `forced`: the flag is set. FailedPrecondition: the directory has never been a member's.
  static absl::StatusOr<NewClusterStep> Decide(storage::Disk& disk,
                                               const storage::DataDirectory& directory, bool forced,
                                               Logger& logger);

  // True if the member is who its directory says, whatever the flags name.
  bool as_stored() const { return as_stored_; }
  // The cluster that is being founded, or was.
  std::optional<uint64_t> begun_cluster() const {
    return begun_ ? std::optional(begun_->id) : std::nullopt;
  }

  struct Parts {
    storage::Disk& disk;
    storage::DataDirectory& directory;
    const std::shared_ptr<storage::Engine>& engine;
    std::unique_ptr<storage::StateMachine>& machine;  // Opened anew.
    const storage::StateMachineOptions& options;
    storage::LogOwner& log_owner;
    storage::Wal& wal;
    storage::WalContents& contents;
    MemberIdentity& identity;
  };
  // Applies all that the log holds, makes this member the only one, has the log begin behind that,
  // and gives the directory to the new cluster. Nothing if there is nothing to do.
  absl::Status Carry(const Parts& parts, Logger& logger) const;

 private:
  absl::Status Found(const Parts& parts, Logger& logger) const;

  Kind kind_ = Kind::kNone;
  bool as_stored_ = false;
  std::optional<NewCluster> begun_;
};

}  // namespace gavel::server
