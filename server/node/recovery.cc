#include "server/node/recovery.h"

#include <algorithm>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

#include "raft/sim_point.h"
#include "server/node/cluster_ids.h"
#include "server/node/member_log.h"
#include "server/node/new_cluster.h"
#include "server/peer/frame_exchange.h"
#include "server/snapshot/snapshot_sink.h"
#include "server/url.h"
#include "storage/disk/advice.h"
#include "storage/snapshot/install_mark.h"
#include "storage/status_macros.h"

namespace gavel::server {
namespace {

// Who the member is that `directory` belongs to, where the options do not say.
absl::StatusOr<MemberIdentity> StoredIdentity(const storage::DataDirectory& directory,
                                              const storage::Engine& engine,
                                              const MemberPlace& place) {
  const storage::Identity& stored = directory.identity();
  if (stored.member_name != place.name) {
    return absl::FailedPreconditionError(absl::StrCat(
        "data directory ", place.data_dir, " belongs to the member named ", stored.member_name,
        ", but this one is named ", place.name, ": check --name, or choose another --data-dir"));
  }
  GAVEL_ASSIGN_OR_RETURN(const bool exists, storage::StateMachine::Exists(engine));
  if (!exists) {
    return absl::DataLossError(
        absl::StrCat("the state in ", directory.state_path(),
                     " is gone. It is built again from the log if this member is started with the "
                     "--initial-cluster and --initial-cluster-token of its first start"));
  }
  MemberIdentity identity;
  identity.cluster_id = stored.cluster_id;
  identity.id = stored.member_id;
  return identity;
}

// Puts a snapshot that was received and marked in the place of the state; says what it holds. One
// that was not marked is thrown away.
absl::StatusOr<std::optional<raft::EntryId>> InstallState(storage::Disk& disk,
                                                          const EngineStores& stores,
                                                          const SnapshotPlaces& places,
                                                          const std::string& state_path) {
  GAVEL_ASSIGN_OR_RETURN(const std::optional<raft::EntryId> installed,
                         storage::ReadInstallMark(disk, places.mark));
  if (!installed.has_value()) {
    GAVEL_RETURN_IF_ERROR(stores.remove(places.store));
    return installed;
  }
  GAVEL_SIM_POINT("snapshot marked, not installed");
  GAVEL_RETURN_IF_ERROR(stores.replace(places.store, state_path));
  GAVEL_SIM_POINT("snapshot installed, the log not");
  return installed;
}

constexpr char kRemovedPayload[] = "gavel.removed";

// Who the member is, and what its cluster began with.
struct Origin {
  storage::InitialState initial;
  MemberIdentity identity;
  std::vector<raft::MemberAddress> known;  // Told by the cluster.
};

std::vector<std::string> OwnUrls(const MemberPlace& place) {
  for (const InitialMember& member : place.initial_cluster) {
    if (member.name == place.name) return UrlTexts(member.peer_urls);
  }
  return {};
}

bool SameUrls(std::vector<std::string> a, std::vector<std::string> b) {
  std::sort(a.begin(), a.end());
  std::sort(b.begin(), b.end());
  return a == b;
}

// A member that is replaced may have had the same URLs; the newcomer has no name yet.
const KnownMember* FindByUrls(const ClusterView& view, const std::vector<std::string>& urls) {
  const KnownMember* found = nullptr;
  for (const KnownMember& member : view.members) {
    if (!SameUrls(member.peer_urls, urls)) continue;
    if (found == nullptr || member.name.empty()) found = &member;
  }
  return found;
}

// This member must have been added, and every member that --initial-cluster names must be one of
// the cluster's.
absl::Status CheckNamed(const MemberPlace& place, const ClusterView& view) {
  const std::vector<std::string> own = OwnUrls(place);
  if (FindByUrls(view, own) == nullptr) {
    return absl::FailedPreconditionError(
        absl::StrCat("no member of the cluster has the peer URLs ", absl::StrJoin(own, ","),
                     ": add this one first, gavelctl member add ", place.name,
                     " --peer-urls=", absl::StrJoin(own, ",")));
  }
  for (const InitialMember& member : place.initial_cluster) {
    const std::vector<std::string> urls = UrlTexts(member.peer_urls);
    if (FindByUrls(view, urls) != nullptr) continue;
    std::string known;
    for (const KnownMember& of_cluster : view.members) {
      absl::StrAppend(&known, known.empty() ? "" : ", ",
                      of_cluster.name.empty() ? "(not started)" : of_cluster.name, "=",
                      absl::StrJoin(of_cluster.peer_urls, ","));
    }
    return absl::FailedPreconditionError(absl::StrCat(
        "the members in --initial-cluster do not match the members of the cluster: ", member.name,
        "=", absl::StrJoin(urls, ","), " is none of them; the cluster has ", known,
        ". Give --initial-cluster as gavelctl member add printed it"));
  }
  return absl::OkStatus();
}

storage::InitialState Founded(const std::vector<KnownMember>& founders) {
  storage::InitialState initial;
  for (const KnownMember& member : founders) {
    initial.configuration.members.push_back({member.id, member.peer_urls});
    initial.configuration.voters.push_back(member.id);
    initial.members.push_back({member.id, member.name, member.peer_urls, {}, false});
  }
  return initial;
}

std::vector<std::string> UrlsOfOthers(const MemberPlace& place) {
  std::vector<std::string> others;
  for (const InitialMember& member : place.initial_cluster) {
    if (member.name == place.name) continue;
    for (std::string& url : UrlTexts(member.peer_urls)) others.push_back(std::move(url));
  }
  return others;
}

// What it had confirmed is gone with its data; to go on under its name could lose what the cluster
// has acknowledged.
absl::Status StartedBefore(const MemberPlace& place, raft::NodeId id) {
  const std::string hex = absl::StrFormat("%x", id.value());
  return absl::FailedPreconditionError(absl::StrCat(
      "member ", hex, " of this cluster has started before, but its data directory ",
      place.data_dir, " is empty. Put the directory back; or, if it is lost, replace the member: ",
      "gavelctl member replace ", hex, " ", place.name,
      " --peer-urls=", absl::StrJoin(OwnUrls(place), ","), ", and start it as that says"));
}

// A founder whose cluster runs, and knows it.
absl::Status CheckNeverStarted(const MemberPlace& place, const MemberIdentity& identity) {
  const std::vector<std::string> others = UrlsOfOthers(place);
  if (others.empty() || !place.peek_cluster) return absl::OkStatus();
  const std::optional<ClusterView> view = place.peek_cluster(others);
  if (!view.has_value() || view->cluster_id != identity.cluster_id) return absl::OkStatus();
  for (const KnownMember& member : view->members) {
    if (member.id == identity.id && member.started) return StartedBefore(place, member.id);
  }
  return absl::OkStatus();
}

// Asks the running cluster.
absl::StatusOr<Origin> Join(const MemberPlace& place, bool is_new, Logger& logger) {
  const std::vector<std::string> own = OwnUrls(place);
  const std::vector<std::string> others = UrlsOfOthers(place);
  if (others.empty() || !place.ask_cluster) {
    return absl::InvalidArgumentError(
        "--initial-cluster-state=existing needs the members of the running cluster in "
        "--initial-cluster: give it as gavelctl member add printed it");
  }
  GAVEL_ASSIGN_OR_RETURN(const ClusterView view,
                         place.ask_cluster(others, [&place](const ClusterView& view) {
                           return CheckNamed(place, view);
                         }));
  const KnownMember* const self = FindByUrls(view, own);
  if (is_new && self->started) return StartedBefore(place, self->id);
  Origin origin;
  origin.initial = Founded(view.founders);
  if (absl::Status sound = raft::CheckConfiguration(origin.initial.configuration);
      !sound.ok() || view.founders.empty()) {
    return absl::FailedPreconditionError(
        "the cluster does not say who founded it: run the same version on all members");
  }
  origin.identity.cluster_id = view.cluster_id;
  origin.identity.id = self->id;
  for (const KnownMember& member : view.members) {
    if (member.id != self->id) origin.known.push_back({member.id, member.peer_urls});
  }
  logger.Info("joining a running cluster", {{"cluster", absl::StrFormat("%x", view.cluster_id)},
                                            {"member", absl::StrFormat("%x", self->id.value())},
                                            {"members", view.members.size()}});
  return origin;
}

absl::StatusOr<Origin> OriginOf(const storage::DataDirectory& directory, const MemberPlace& place,
                                bool as_stored, Logger& logger) {
  const bool started = !directory.is_new() && !directory.identity().incarnation.is_none();
  Origin origin;
  // Its directory says everything.
  if (started && (place.join || as_stored)) return origin;
  if (place.join) return Join(place, directory.is_new(), logger);
  origin.initial = InitialStateOf(place.initial_cluster, place.token);
  GAVEL_ASSIGN_OR_RETURN(origin.identity, FoundingIdentity(place, origin.initial));
  if (directory.is_new()) GAVEL_RETURN_IF_ERROR(CheckNeverStarted(place, origin.identity));
  return origin;
}

absl::Status CheckOwner(const storage::DataDirectory& directory, const MemberIdentity& identity,
                        bool first_start) {
  const absl::Status status = directory.CheckOwner(identity.cluster_id, identity.id);
  if (status.ok() || first_start) return status;
  return absl::Status(
      status.code(),
      absl::StrCat(
          status.message(),
          ". A member that joined later, whose peer URLs were changed, or "
          "that has founded a new cluster, is started with --initial-cluster-state=existing"));
}

}  // namespace

storage::InitialState InitialStateOf(const std::vector<InitialMember>& cluster,
                                     std::string_view token) {
  storage::InitialState initial;
  for (const InitialMember& member : cluster) {
    std::vector<std::string> urls = UrlTexts(member.peer_urls);
    const raft::NodeId id = MemberIdOf(urls, token);
    initial.configuration.members.push_back({id, urls});
    initial.configuration.voters.push_back(id);
    initial.members.push_back({id, member.name, std::move(urls), {}, false});
  }
  const auto by_id = [](const auto& a, const auto& b) { return a.id < b.id; };
  std::sort(initial.configuration.members.begin(), initial.configuration.members.end(), by_id);
  std::sort(initial.configuration.voters.begin(), initial.configuration.voters.end());
  std::sort(initial.members.begin(), initial.members.end(), by_id);
  return initial;
}

absl::StatusOr<MemberIdentity> FoundingIdentity(const MemberPlace& place,
                                                const storage::InitialState& initial) {
  MemberIdentity identity;
  std::vector<raft::NodeId> ids;
  for (const storage::MemberRecord& member : initial.members) {
    ids.push_back(member.id);
    if (member.name == place.name) identity.id = member.id;
  }
  if (identity.id.is_none()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--initial-cluster does not name this member (--name ", place.name, ")"));
  }
  identity.cluster_id = ClusterIdOf(ids);
  return identity;
}

MemberPlace PlaceOf(const ServerOptions& options) {
  MemberPlace place;
  place.name = options.name;
  place.data_dir = options.data_dir;
  place.wal_dir = options.wal_dir;
  place.initial_cluster = options.initial_cluster;
  place.token = options.initial_cluster_token;
  place.initial_cluster_given = options.initial_cluster_given;
  place.join = options.initial_cluster_existing;
  place.force_new_cluster = options.force_new_cluster;
  return place;
}

absl::Status AtState(const std::string& path, const absl::Status& status) {
  if (!absl::IsDataLoss(status)) {
    return absl::Status(status.code(), absl::StrCat("the state in ", path, ": ", status.message()));
  }
  return absl::DataLossError(absl::StrCat("the state in ", path,
                                          " is damaged, in the column family ", status.message(),
                                          ". ", Rejoin()));
}

absl::Status RemovedError(raft::NodeId member) {
  absl::Status status = absl::FailedPreconditionError(absl::StrCat(
      RemovedText(member),
      ": its data directory is of no more use. To have it back, add it as a new member "
      "and start it with an empty data directory"));
  status.SetPayload(kRemovedPayload, absl::Cord());
  return status;
}

bool IsRemovedError(const absl::Status& status) {
  return status.GetPayload(kRemovedPayload).has_value();
}

absl::StatusOr<MemberParts> RecoverMember(storage::Disk& disk, const EngineStores& stores,
                                          const MemberPlace& place, Logger& logger) {
  if (place.force_new_cluster) {
    GAVEL_RETURN_IF_ERROR(CheckThereIsData(disk, place.data_dir));
  }
  GAVEL_ASSIGN_OR_RETURN(storage::DataDirectory directory,
                         storage::DataDirectory::Open(disk, place.data_dir));
  GAVEL_ASSIGN_OR_RETURN(const NewClusterStep new_cluster,
                         NewClusterStep::Decide(disk, directory, place.force_new_cluster, logger));
  GAVEL_ASSIGN_OR_RETURN(Origin origin,
                         OriginOf(directory, place, new_cluster.as_stored(), logger));
  storage::InitialState& initial = origin.initial;
  MemberIdentity& identity = origin.identity;
  const std::string wal_path = place.wal_dir.empty() ? directory.wal_path() : place.wal_dir;
  if (directory.is_new()) {
    GAVEL_RETURN_IF_ERROR(storage::CheckNoLog(disk, wal_path));
    GAVEL_RETURN_IF_ERROR(
        directory.Create({identity.cluster_id, identity.id, place.name, raft::Incarnation()}));
    GAVEL_SIM_POINT("directory made, no log yet");
  }
  // A directory that never finished its first start has promised nothing yet.
  const bool first_start = directory.identity().incarnation.is_none();
  const bool as_stored =
      !first_start && (place.join || !place.initial_cluster_given || new_cluster.as_stored());
  if (!as_stored) GAVEL_RETURN_IF_ERROR(CheckOwner(directory, identity, first_start));

  GAVEL_ASSIGN_OR_RETURN(
      storage::LogOwner log_owner,
      storage::LogOwner::Take(
          disk, wal_path,
          LogClaim(directory.identity(), new_cluster.begun_cluster(), place.wal_dir.empty())));

  const std::string state_path = directory.state_path();
  storage::WalOptions wal_options;
  wal_options.directory = wal_path;
  wal_options.segment_bytes = place.wal_segment_bytes;
  const SnapshotPlaces places(directory.snapshots_path());
  GAVEL_ASSIGN_OR_RETURN(const std::optional<raft::EntryId> installed,
                         InstallState(disk, stores, places, state_path));
  GAVEL_ASSIGN_OR_RETURN(std::shared_ptr<storage::Engine> engine, stores.open(state_path));
  if (as_stored) {
    GAVEL_ASSIGN_OR_RETURN(identity, StoredIdentity(directory, *engine, place));
  }
  absl::StatusOr<std::unique_ptr<storage::StateMachine>> opened =
      storage::StateMachine::Open(engine, initial, place.state);
  if (!opened.ok()) return AtState(state_path, opened.status());
  std::unique_ptr<storage::StateMachine> machine = *std::move(opened);
  // What a joining member begins from it could not work out again.
  if (place.join && first_start) GAVEL_RETURN_IF_ERROR(engine->Flush());
  raft::Index applied = machine->applied();
  GAVEL_SIM_POINT("state opened, log not");
  GAVEL_ASSIGN_OR_RETURN(OpenedLog log, OpenLog(disk, wal_options, initial, applied, first_start));
  if (GAVEL_PLANTED_BUG(85) && installed.has_value()) {
    GAVEL_RETURN_IF_ERROR(storage::RemoveInstallMark(disk, places.mark));
    GAVEL_SIM_POINT("mark gone, the log does not begin anew");
  }
  if (installed.has_value() && installed->index == applied) {
    GAVEL_RETURN_IF_ERROR(InstallInLog(
        raft::SnapshotMeta{installed->index, installed->term, *machine->configuration()}, &log));
    GAVEL_SIM_POINT("snapshot installed, still marked");
  }
  if (installed.has_value() && !GAVEL_PLANTED_BUG(85)) {
    GAVEL_RETURN_IF_ERROR(storage::RemoveInstallMark(disk, places.mark));
    logger.Info("a snapshot has taken the place of the state", {{"index", applied.value()}});
  }
  GAVEL_RETURN_IF_ERROR(CheckAgreement(log.contents, applied, wal_path, state_path));
  const bool log_end_cut = log.contents.torn_tail.has_value();
  if (log_end_cut) {
    const storage::TornTail& torn = *log.contents.torn_tail;
    logger.Warn("cut the end of the log, which a crash had left unfinished and unconfirmed",
                {{"file", torn.file},
                 {"offset", torn.offset},
                 {"last index kept", torn.last_index.value()},
                 {"reason", torn.reason}});
  }
  GAVEL_RETURN_IF_ERROR(new_cluster.Carry(
      {disk, directory, engine, machine, place.state, log_owner, *log.wal, log.contents, identity},
      logger));
  applied = machine->applied();
  GAVEL_SIM_POINT("recovered, life not counted");
  if (GAVEL_PLANTED_BUG(34) && !first_start) {
    identity.incarnation = directory.identity().incarnation;
  } else {
    GAVEL_ASSIGN_OR_RETURN(identity.incarnation, directory.BumpIncarnation());
  }

  GAVEL_SIM_POINT("life counted");
  raft::SnapshotMeta log_start = log.contents.start;
  raft::Restored restored = RestoredFrom(std::move(log.contents), applied);
  logger.Info("recovered", {{"life", identity.incarnation.value()},
                            {"applied", applied.value()},
                            {"log entries to apply again", restored.entries.size()},
                            {"first index of the log", restored.first_stored.value()},
                            {"term", restored.hard_state.term.value()}});
  return MemberParts{std::move(directory), std::move(log_owner), identity,
                     std::move(engine),    std::move(machine),   std::move(log.wal),
                     std::move(restored),  std::move(log_start), std::move(origin.known),
                     log_end_cut};
}

}  // namespace gavel::server
