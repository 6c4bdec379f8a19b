#include "server/node/new_cluster.h"

#include <algorithm>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "server/node/cluster_ids.h"
#include "storage/disk/double_block.h"
#include "storage/disk/little_endian.h"
#include "storage/disk/path.h"
#include "storage/state/found_anew.h"
#include "storage/status_macros.h"

namespace gavel::server {
namespace {

// Body: the id of the cluster, eight bytes, and one that says whether all is done.
constexpr storage::BlockFormat kFormat{.magic = "GVLNEWCL", .version = 1};
constexpr size_t kBodyBytes = 9;

// Entries of the log that are applied together.
constexpr size_t kBatchEntriesMax = 256;
// How often a batch is tried that the engine does not take yet.
constexpr int kTriesMax = 100;

std::string Encode(const NewCluster& cluster) {
  std::string body;
  storage::AppendLittleEndian(body, cluster.id);
  body.push_back(cluster.done ? 1 : 0);
  return body;
}

absl::Status Write(const NewClusterStep::Parts& parts, const NewCluster& cluster) {
  return storage::DoubleBlock::Create(parts.disk, parts.directory.new_cluster_path(), kFormat,
                                      Encode(cluster))
      .status();
}

absl::Status ApplyBatch(const NewClusterStep::Parts& parts, std::span<const raft::Entry> entries) {
  absl::Status status;
  for (int i = 0; i < kTriesMax; ++i) {
    status = parts.machine->Apply(entries, {}).status();
    if (!absl::IsResourceExhausted(status)) return status;
    GAVEL_RETURN_IF_ERROR(parts.engine->Flush());
  }
  return status;
}

absl::Status ApplyLog(const NewClusterStep::Parts& parts) {
  const std::vector<raft::Entry>& entries = parts.contents.entries;
  auto next = std::find_if(entries.begin(), entries.end(), [&parts](const raft::Entry& entry) {
    return entry.index > parts.machine->applied();
  });
  while (next != entries.end()) {
    const size_t size =
        std::min<size_t>(kBatchEntriesMax, static_cast<size_t>(entries.end() - next));
    GAVEL_RETURN_IF_ERROR(ApplyBatch(parts, {&*next, size}));
    next += static_cast<std::ptrdiff_t>(size);
  }
  return absl::OkStatus();
}

// This member alone, a voter.
absl::StatusOr<storage::InitialState> Alone(const storage::StateMachine& machine,
                                            raft::NodeId self) {
  storage::InitialState alone;
  const auto members = machine.members();
  for (storage::MemberRecord member : *members) {
    if (member.id != self) continue;
    member.learner = false;
    alone.configuration.members.push_back({self, member.peer_urls});
    alone.configuration.voters.push_back(self);
    alone.members.push_back(std::move(member));
  }
  if (!alone.members.empty()) return alone;
  return absl::FailedPreconditionError(
      "this member is none of those that its state names, so --force-new-cluster cannot make it "
      "the only one: restore a snapshot with gavelutl snapshot restore");
}

absl::Status BeginLogAnew(const NewClusterStep::Parts& parts) {
  const std::shared_ptr<const storage::ReadView> view = parts.machine->view();
  storage::WalContents& contents = parts.contents;
  storage::WalBatch batch;
  batch.mark =
      raft::SnapshotMeta{view->applied, view->applied_term, *parts.machine->configuration()};
  contents.hard_state.commit = view->applied;
  batch.hard_state = contents.hard_state;
  GAVEL_RETURN_IF_ERROR(parts.wal.Append(batch));
  GAVEL_RETURN_IF_ERROR(parts.wal.Sync());
  contents.start = *batch.mark;
  contents.entries.clear();
  contents.first_index = raft::Index();
  return absl::OkStatus();
}

absl::Status NothingThere(const std::string& data_dir) {
  return absl::FailedPreconditionError(absl::StrCat(
      "--force-new-cluster needs the data of a member that has been part of a cluster, "
      "and there is none in ",
      data_dir, ": check --data-dir"));
}

std::string Hex(uint64_t id) { return absl::StrFormat("%x", id); }

}  // namespace

absl::StatusOr<std::optional<NewCluster>> ReadNewCluster(storage::Disk& disk,
                                                         const storage::DataDirectory& directory) {
  const std::string path = directory.new_cluster_path();
  GAVEL_ASSIGN_OR_RETURN(const bool exists, disk.Exists(path));
  if (!exists) return std::nullopt;
  GAVEL_ASSIGN_OR_RETURN(const storage::DoubleBlock block,
                         storage::DoubleBlock::Open(disk, path, kFormat));
  const std::string& body = block.body();
  if (body.size() != kBodyBytes) {
    return absl::DataLossError(absl::StrCat(path, ": ", body.size(), " bytes instead of ",
                                            kBodyBytes, ": the file is damaged"));
  }
  return NewCluster{storage::LoadLittleEndian<uint64_t>(body.data()), body.back() != 0};
}

absl::Status CheckThereIsData(storage::Disk& disk, const std::string& data_dir) {
  GAVEL_ASSIGN_OR_RETURN(const bool exists, disk.Exists(data_dir));
  return exists ? absl::OkStatus() : NothingThere(data_dir);
}

absl::StatusOr<NewClusterStep> NewClusterStep::Decide(storage::Disk& disk,
                                                      const storage::DataDirectory& directory,
                                                      bool forced, Logger& logger) {
  NewClusterStep step;
  if (directory.is_new() || directory.identity().incarnation.is_none()) {
    if (!forced) return step;
    return NothingThere(directory.path());
  }
  GAVEL_ASSIGN_OR_RETURN(step.begun_, ReadNewCluster(disk, directory));
  const bool done = step.begun_.has_value() && step.begun_->done;
  step.as_stored_ = forced || (step.begun_.has_value() && !done);
  if (forced && done) {
    logger.Warn("a new cluster has been founded already: start without --force-new-cluster");
  } else if (step.as_stored_) {
    step.kind_ = Kind::kFound;
  } else if (done) {
    step.kind_ = Kind::kForget;
  }
  return step;
}

absl::Status NewClusterStep::Carry(const Parts& parts, Logger& logger) const {
  switch (kind_) {
    case Kind::kNone:
      return absl::OkStatus();
    case Kind::kFound:
      return Found(parts, logger);
    case Kind::kForget:
      GAVEL_RETURN_IF_ERROR(parts.disk.Remove(parts.directory.new_cluster_path()));
      return parts.disk.SyncDirectory(storage::ParentPath(parts.directory.new_cluster_path()));
  }
  return absl::OkStatus();
}

absl::Status NewClusterStep::Found(const Parts& parts, Logger& logger) const {
  const raft::Index committed =
      std::max(parts.contents.hard_state.commit, parts.machine->applied());
  const uint64_t old_cluster = parts.identity.cluster_id;
  NewCluster cluster;
  if (begun_.has_value()) {
    cluster = *begun_;
  } else {
    GAVEL_RETURN_IF_ERROR(Alone(*parts.machine, parts.identity.id).status());
    const uint64_t life = parts.directory.identity().incarnation.value();
    cluster.id = ClusterIdOf({parts.identity.id, raft::NodeId(old_cluster), raft::NodeId(life)});
    GAVEL_RETURN_IF_ERROR(Write(parts, cluster));
  }
  GAVEL_RETURN_IF_ERROR(ApplyLog(parts));
  GAVEL_ASSIGN_OR_RETURN(const storage::InitialState alone,
                         Alone(*parts.machine, parts.identity.id));
  parts.machine.reset();
  GAVEL_RETURN_IF_ERROR(storage::FoundAnew(*parts.engine, alone, {}));
  GAVEL_ASSIGN_OR_RETURN(parts.machine,
                         storage::StateMachine::Open(parts.engine, alone, parts.options));
  GAVEL_RETURN_IF_ERROR(BeginLogAnew(parts));
  GAVEL_RETURN_IF_ERROR(parts.log_owner.ChangeCluster(cluster.id));
  GAVEL_RETURN_IF_ERROR(parts.directory.ChangeCluster(cluster.id));
  parts.identity.cluster_id = cluster.id;
  cluster.done = true;
  GAVEL_RETURN_IF_ERROR(Write(parts, cluster));
  logger.Warn("this member has founded a new cluster, of which it is the only member",
              {{"old cluster", Hex(old_cluster)},
               {"new cluster", Hex(cluster.id)},
               {"last entry", parts.machine->applied().value()},
               {"last entry known to be committed", committed.value()},
               {"what may be lost",
                "writes that other members have acknowledged and this one had not received"},
               {"what to do",
                "start it without --force-new-cluster, never start the old members on their data "
                "again, and add new ones with gavelctl member add"}});
  return absl::OkStatus();
}

}  // namespace gavel::server
