#include "server/node/member_log.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

#include "raft/sim_point.h"
#include "server/options.h"
#include "storage/disk/advice.h"
#include "storage/status_macros.h"

namespace gavel::server {
namespace {

static_assert(kRequestBytesMax + kRequestBytesSpare <= storage::WalOptions().payload_bytes_max,
              "a request that is accepted can be logged");

absl::Status AtLog(const absl::Status& status) {
  const char* const advice = storage::AdviceOn(status.code());
  if (advice == nullptr) return status;
  return absl::Status(status.code(), absl::StrCat(status.message(), ": ", advice,
                                                  ", then start this member again"));
}

}  // namespace

std::string Rejoin() {
  return absl::StrCat("Do not start it again on this directory: ", storage::kReplaceMember,
                      "; or put the whole directory back from before the loss");
}

storage::LogOwner::Claim LogClaim(const storage::Identity& member,
                                  std::optional<uint64_t> begun_cluster, bool own_place) {
  storage::LogOwner::Claim claim;
  claim.clusters.push_back(member.cluster_id);
  if (begun_cluster) claim.clusters.push_back(*begun_cluster);
  claim.member = member.member_id;
  claim.name = member.member_name;
  claim.own_place = own_place;
  claim.first_start = member.incarnation.is_none();
  return claim;
}

absl::StatusOr<OpenedLog> OpenLog(storage::Disk& disk, const storage::WalOptions& options,
                                  const storage::InitialState& initial, raft::Index applied,
                                  bool first_start) {
  absl::StatusOr<storage::Wal::Opened> opened = storage::Wal::Open(disk, options, applied);
  if (opened.ok()) return OpenedLog{std::move(opened->wal), std::move(opened->contents)};
  if (!absl::IsNotFound(opened.status())) return AtLog(opened.status());
  if (!first_start || !applied.is_none()) {
    return absl::DataLossError(
        absl::StrCat("the write-ahead log in ", options.directory,
                     " is gone, and with it what this member confirmed. If --wal-dir "
                     "was changed, name the former folder again. Else: ",
                     Rejoin()));
  }
  OpenedLog log;
  log.contents.start.configuration = initial.configuration;
  absl::StatusOr<std::unique_ptr<storage::Wal>> created =
      storage::Wal::Create(disk, options, log.contents.start);
  if (!created.ok()) return AtLog(created.status());
  log.wal = *std::move(created);
  return log;
}

absl::Status InstallInLog(const raft::SnapshotMeta& start, OpenedLog* log) {
  storage::WalContents& contents = log->contents;
  if (contents.start == start) return absl::OkStatus();
  if (contents.hard_state.term < start.term || GAVEL_PLANTED_BUG(29)) {
    contents.hard_state = raft::HardState{start.term, std::nullopt, start.index};
  }
  storage::WalBatch batch;
  batch.mark = start;
  batch.hard_state = contents.hard_state;
  GAVEL_RETURN_IF_ERROR(log->wal->Append(batch));
  GAVEL_RETURN_IF_ERROR(log->wal->Sync());
  contents.start = start;
  contents.entries.clear();
  contents.first_index = raft::Index();
  return absl::OkStatus();
}

absl::Status CheckAgreement(const storage::WalContents& contents, raft::Index applied,
                            const std::string& wal_path, const std::string& state_path) {
  if (contents.start.index > applied) {
    return absl::DataLossError(
        absl::StrCat("the log in ", wal_path, " begins after index ", contents.start.index.value(),
                     " but the state in ", state_path, " ends at ", applied.value(),
                     ": the state was lost or is a different member's. ", Rejoin()));
  }
  if (contents.start.index < applied) {
    return absl::DataLossError(
        absl::StrCat("the log in ", wal_path, " ends at index ", contents.start.index.value(),
                     " before the state in ", state_path, " which holds ", applied.value(),
                     ": the log was cut off or is a different member's. ", Rejoin()));
  }
  return absl::OkStatus();
}

raft::Restored RestoredFrom(storage::WalContents contents, raft::Index applied) {
  raft::Restored restored;
  restored.hard_state = contents.hard_state;
  // The commit index is written lazily; what is applied was committed.
  restored.hard_state.commit = std::max(restored.hard_state.commit, applied);
  restored.start = std::move(contents.start);
  restored.entries = std::move(contents.entries);
  restored.applied = applied;
  restored.first_stored =
      contents.first_index.is_none() ? restored.start.index.Next() : contents.first_index;
  return restored;
}

}  // namespace gavel::server
