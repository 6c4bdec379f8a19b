// From a data directory, empty or not, to the parts a member runs on.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "raft/raft.h"
#include "server/logging.h"
#include "server/node/member_gate.h"
#include "server/options.h"
#include "server/peer/cluster_view.h"
#include "server/snapshot/engine_stores.h"
#include "storage/disk/data_directory.h"
#include "storage/disk/disk.h"
#include "storage/engine/engine.h"
#include "storage/state/state_machine.h"
#include "storage/wal/log_owner.h"
#include "storage/wal/wal.h"

namespace gavel::server {

// Which member of which cluster to be, and where its data is.
struct MemberPlace {
  std::string name;
  std::string data_dir;
  std::string wal_dir;  // Empty: inside data_dir.
  std::vector<InitialMember> initial_cluster;
  std::string token;
  // False: nobody named a cluster, so a member that has started before is who its directory says.
  bool initial_cluster_given = true;
  // The cluster runs: a member that has not started before asks it who it is.
  bool join = false;
  // Asks the members at these peer URLs, again and again for a while, for a view that `accept`
  // takes. Blocks.
  using Accept = std::function<absl::Status(const ClusterView& view)>;
  std::function<absl::StatusOr<ClusterView>(const std::vector<std::string>& peer_urls,
                                            const Accept& accept)>
      ask_cluster = nullptr;
  // Asks them once; what one of them says, if one answers at once.
  std::function<std::optional<ClusterView>(const std::vector<std::string>& peer_urls)>
      peek_cluster = nullptr;
  // Make a cluster of this member alone; see new_cluster.h.
  bool force_new_cluster = false;
  storage::StateMachineOptions state;
  uint64_t wal_segment_bytes = storage::WalOptions().segment_bytes;
};

// The parts of one member, in the state that its disk holds.
struct MemberParts {
  storage::DataDirectory directory;  // Locked.
  storage::LogOwner log_owner;       // The same.
  MemberIdentity identity;           // With the new incarnation.
  std::shared_ptr<storage::Engine> engine;
  std::unique_ptr<storage::StateMachine> machine;
  std::unique_ptr<storage::Wal> wal;
  raft::Restored restored;
  raft::SnapshotMeta log_start;            // The mark before restored.entries.
  std::vector<raft::MemberAddress> known;  // Members that a joining one was told of.
  bool log_end_cut = false;                // A batch that a crash had left unfinished was cut off.
};

// Opens what is there, or lays out a new member; a crash at any point of the first start is made
// good by the next one. A snapshot that was received and marked takes the place of the state.
//
// Errors say what to do. FailedPrecondition: the directory belongs to another member or cluster,
// is in use, or is of a newer version. DataLoss: part of what this member had promised is gone.
absl::StatusOr<MemberParts> RecoverMember(storage::Disk& disk, const EngineStores& stores,
                                          const MemberPlace& place, Logger& logger);

// Why a member does not start that was removed from its cluster.
absl::Status RemovedError(raft::NodeId member);
bool IsRemovedError(const absl::Status& status);

// An error of reading the state in `path`, whose text begins with the column family: with the path,
// and what to do.
absl::Status AtState(const std::string& path, const absl::Status& status);

// What the flags of gaveld and gavelutl say of it.
MemberPlace PlaceOf(const ServerOptions& options);

// Who `place` is among those that found its cluster, without an incarnation. InvalidArgument: they
// do not name it.
absl::StatusOr<MemberIdentity> FoundingIdentity(const MemberPlace& place,
                                                const storage::InitialState& initial);

// What a fresh store holds on every member of `cluster`.
storage::InitialState InitialStateOf(const std::vector<InitialMember>& cluster,
                                     std::string_view token);

}  // namespace gavel::server
