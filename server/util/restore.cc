#include "server/util/restore.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"

#include "server/node/member_log.h"
#include "storage/disk/data_directory.h"
#include "storage/disk/path.h"
#include "storage/snapshot/archive_file.h"
#include "storage/snapshot/installer.h"
#include "storage/state/found_anew.h"
#include "storage/status_macros.h"
#include "storage/wal/wal.h"

namespace gavel::server {
namespace {

std::string WithoutSlashes(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

// A directory that is missing or empty.
absl::Status CheckUnused(storage::Disk& disk, const std::string& flag, const std::string& path) {
  GAVEL_ASSIGN_OR_RETURN(const bool exists, disk.Exists(path));
  if (!exists) return absl::OkStatus();
  const auto names = disk.List(path);
  if (names.ok() && names->empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(flag, " \"", path,
                   "\" not empty or could not be read: a snapshot is only restored into a new "
                   "directory; name another one, or move this one away"));
}

absl::Status CheckPlaces(storage::Disk& disk, const RestoreRequest& request,
                         const std::string& part) {
  GAVEL_RETURN_IF_ERROR(CheckUnused(disk, "data-dir", request.place.data_dir));
  if (!request.place.wal_dir.empty()) {
    GAVEL_RETURN_IF_ERROR(CheckUnused(disk, "wal-dir", request.place.wal_dir));
  }
  GAVEL_ASSIGN_OR_RETURN(const bool left, disk.Exists(part));
  if (!left) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(part,
                   " is there: an earlier restore did not finish, or is still at work; if "
                   "none is, remove it and try again"));
}

absl::StatusOr<storage::ArchiveSummary> FillState(storage::Disk& disk,
                                                  const EngineOpener& open_engine,
                                                  const RestoreRequest& request,
                                                  const storage::InitialState& initial,
                                                  const std::string& path,
                                                  const RestoreProgress& progress) {
  GAVEL_ASSIGN_OR_RETURN(const std::shared_ptr<storage::Engine> engine, open_engine(path));
  GAVEL_ASSIGN_OR_RETURN(
      const std::unique_ptr<storage::ArchiveInstaller> installer,
      storage::ArchiveInstaller::Create(*engine, {.skip_digest = request.skip_digest}));
  uint64_t bytes = 0;
  GAVEL_RETURN_IF_ERROR(
      storage::ForEachPiece(disk, request.snapshot, [&](std::string_view piece) -> absl::Status {
        bytes += piece.size();
        if (progress) progress(bytes);
        return installer->Feed(piece);
      }));
  absl::StatusOr<storage::ArchiveSummary> summary = installer->Finish();
  if (!summary.ok()) {
    return absl::Status(summary.status().code(),
                        absl::StrCat(request.snapshot, ": ", summary.status().message()));
  }
  GAVEL_RETURN_IF_ERROR(
      storage::FoundAnew(*engine, initial, {.bump_revision = request.bump_revision}));
  // What a start would find wrong is found here.
  auto machine = storage::StateMachine::Open(engine, initial, {});
  if (!machine.ok()) return machine.status();
  return summary;
}

// The log begins where the state ends.
absl::Status BeginLog(storage::Disk& disk, const std::string& path, const storage::MetaState& state,
                      const raft::Configuration& configuration) {
  storage::WalOptions options;
  options.directory = path;
  const raft::SnapshotMeta start{state.applied, state.applied_term, configuration};
  GAVEL_ASSIGN_OR_RETURN(const std::unique_ptr<storage::Wal> log,
                         storage::Wal::Create(disk, options, start));
  storage::WalBatch batch;
  batch.hard_state = raft::HardState{state.applied_term, std::nullopt, state.applied};
  GAVEL_RETURN_IF_ERROR(log->Append(batch));
  GAVEL_RETURN_IF_ERROR(log->Sync());
  return log->WriteMark();
}

}  // namespace

absl::StatusOr<Restored> Restore(storage::Disk& disk, const EngineOpener& open_engine,
                                 const RestoreRequest& request, const RestoreProgress& progress) {
  const std::string data_dir = WithoutSlashes(request.place.data_dir);
  const std::string part = data_dir + ".part";
  // A name that is mistyped should not leave a directory behind.
  GAVEL_ASSIGN_OR_RETURN(const bool snapshot_exists, disk.Exists(request.snapshot));
  if (!snapshot_exists) {
    return absl::NotFoundError(absl::StrCat(request.snapshot, ": there is no such file"));
  }
  GAVEL_RETURN_IF_ERROR(CheckPlaces(disk, request, part));

  const MemberPlace& place = request.place;
  const storage::InitialState initial = InitialStateOf(place.initial_cluster, place.token);
  Restored restored;
  GAVEL_ASSIGN_OR_RETURN(restored.member, FoundingIdentity(place, initial));
  {
    GAVEL_ASSIGN_OR_RETURN(storage::DataDirectory directory,
                           storage::DataDirectory::Open(disk, part));
    GAVEL_ASSIGN_OR_RETURN(restored.snapshot, FillState(disk, open_engine, request, initial,
                                                        directory.state_path(), progress));
    const std::string log = place.wal_dir.empty() ? directory.wal_path() : place.wal_dir;
    const storage::Identity identity{restored.member.cluster_id, restored.member.id, place.name,
                                     raft::Incarnation()};
    GAVEL_ASSIGN_OR_RETURN(
        const storage::LogOwner owner,
        storage::LogOwner::Take(disk, log, LogClaim(identity, std::nullopt, false)));
    GAVEL_RETURN_IF_ERROR(
        BeginLog(disk, log, restored.snapshot.header.state, initial.configuration));
    GAVEL_RETURN_IF_ERROR(directory.Create(identity));
    GAVEL_RETURN_IF_ERROR(disk.SyncDirectory(storage::JoinPath(part, "member")));
    GAVEL_RETURN_IF_ERROR(disk.SyncDirectory(part));
  }
  GAVEL_RETURN_IF_ERROR(disk.Rename(part, data_dir));
  GAVEL_RETURN_IF_ERROR(disk.SyncDirectory(storage::ParentPath(data_dir)));
  return restored;
}

}  // namespace gavel::server
