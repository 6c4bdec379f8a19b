#include "storage/wal/log_owner.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

#include "storage/disk/advice.h"
#include "storage/disk/little_endian.h"
#include "storage/disk/path.h"
#include "storage/status_macros.h"
#include "storage/wal/high_water.h"
#include "storage/wal/recovery.h"

namespace gavel::storage {
namespace {

constexpr BlockFormat kFormat = {.magic = "GAVELLOG", .version = 1};
constexpr size_t kFixedBytes = 16;

struct Owner {
  uint64_t cluster = 0;
  raft::NodeId member;
  std::string name;
};

std::string Encode(const Owner& owner) {
  std::string body;
  AppendLittleEndian(body, owner.cluster);
  AppendLittleEndian(body, owner.member.value());
  return body + owner.name;
}

std::optional<Owner> Decode(const std::string& body) {
  if (body.size() < kFixedBytes) return std::nullopt;
  return Owner{LoadLittleEndian<uint64_t>(body.data()),
               raft::NodeId(LoadLittleEndian<uint64_t>(body.data() + 8)), body.substr(kFixedBytes)};
}

std::string OwnerPath(const std::string& directory) { return JoinPath(directory, "owner"); }

std::string Describe(const Owner& owner) {
  return absl::StrCat("member ", owner.name, " (", absl::Hex(owner.member.value()), ", of cluster ",
                      absl::Hex(owner.cluster), ")");
}

absl::Status Explain(const std::string& directory, const absl::Status& status) {
  const char* const advice = AdviceOn(status.code());
  return absl::Status(status.code(),
                      absl::StrCat("the directory of the log, ", directory, ": ", status.message(),
                                   advice == nullptr ? "" : ": ", advice == nullptr ? "" : advice));
}

absl::StatusOr<Owner> Read(const std::string& directory, const absl::StatusOr<DoubleBlock>& block) {
  std::optional<Owner> owner;
  if (block.ok()) owner = Decode(block->body());
  if (owner) return *std::move(owner);
  if (!block.ok() && !absl::IsDataLoss(block.status())) return Explain(directory, block.status());
  return absl::DataLossError(absl::StrCat(
      OwnerPath(directory),
      " is damaged, so nobody can say whose log this is: restore it from a copy; or, if it is "
      "certainly this member's, remove the file, move the log to member/wal in its data directory "
      "and start it without --wal-dir"));
}

// Requires: the directory exists.
absl::StatusOr<bool> HoldsLog(Disk& disk, const std::string& directory) {
  GAVEL_ASSIGN_OR_RETURN(const std::vector<uint64_t> ids, wal::ListSegments(disk, directory));
  if (!ids.empty()) return true;
  return disk.Exists(JoinPath(directory, wal::kHighWaterName));
}

absl::Status Ownerless(const std::string& directory) {
  return absl::FailedPreconditionError(absl::StrCat(
      directory,
      " holds a write-ahead log that does not say whose it is: choose another --wal-dir; or, if it "
      "is certainly this member's, move it to member/wal in its data directory and start it "
      "without "
      "--wal-dir"));
}

}  // namespace

absl::Status CheckNoLog(Disk& disk, const std::string& directory) {
  const absl::StatusOr<bool> exists = disk.Exists(directory);
  if (!exists.ok()) return Explain(directory, exists.status());
  if (!*exists) return absl::OkStatus();
  const absl::StatusOr<DoubleBlock> block = DoubleBlock::Open(disk, OwnerPath(directory), kFormat);
  if (!absl::IsNotFound(block.status())) {
    GAVEL_ASSIGN_OR_RETURN(const Owner owner, Read(directory, block));
    return absl::FailedPreconditionError(
        absl::StrCat("the write-ahead log in ", directory, " belongs to ", Describe(owner),
                     ", but the data directory is new: name that member's --data-dir, or choose an "
                     "empty --wal-dir"));
  }
  const absl::StatusOr<bool> holds = HoldsLog(disk, directory);
  if (!holds.ok()) return Explain(directory, holds.status());
  return *holds ? Ownerless(directory) : absl::OkStatus();
}

absl::StatusOr<LogOwner> LogOwner::Take(Disk& disk, const std::string& directory,
                                        const Claim& claim) {
  LogOwner taken;
  taken.directory_ = directory;
  const absl::StatusOr<bool> exists = disk.Exists(directory);
  if (!exists.ok()) return Explain(directory, exists.status());
  if (!*exists && !claim.first_start) return taken;
  const absl::Status made = disk.CreateDirectories(directory);
  if (!made.ok()) return Explain(directory, made);
  auto lock = disk.Lock(JoinPath(directory, "lock"));
  if (absl::IsFailedPrecondition(lock.status())) {
    return absl::FailedPreconditionError(
        absl::StrCat("the write-ahead log in ", directory, " is in use: ", lock.status().message(),
                     ": stop that process, or choose another --wal-dir"));
  }
  if (!lock.ok()) return Explain(directory, lock.status());
  taken.lock_ = *std::move(lock);
  GAVEL_RETURN_IF_ERROR(taken.ReadOrMake(disk, directory, claim));
  return taken;
}

absl::Status LogOwner::ReadOrMake(Disk& disk, const std::string& directory, const Claim& claim) {
  absl::StatusOr<DoubleBlock> block = DoubleBlock::Open(disk, OwnerPath(directory), kFormat);
  if (absl::IsNotFound(block.status())) {
    const absl::StatusOr<bool> holds = HoldsLog(disk, directory);
    if (!holds.ok()) return Explain(directory, holds.status());
    if (*holds && !claim.own_place) return Ownerless(directory);
    if (!*holds && !claim.first_start) return absl::OkStatus();
    block = DoubleBlock::Create(disk, OwnerPath(directory), kFormat,
                                Encode({claim.clusters.front(), claim.member, claim.name}));
    if (!block.ok()) return Explain(directory, block.status());
  }
  GAVEL_ASSIGN_OR_RETURN(const Owner owner, Read(directory, block));
  // Whoever made the file may have ended before its name was durable.
  const absl::Status named = disk.SyncDirectory(directory);
  if (!named.ok()) return Explain(directory, named);
  const bool known = std::find(claim.clusters.begin(), claim.clusters.end(), owner.cluster) !=
                     claim.clusters.end();
  if (!known || owner.member != claim.member) {
    return absl::FailedPreconditionError(
        absl::StrCat("the write-ahead log in ", directory, " belongs to ", Describe(owner),
                     ", but this is ", Describe({claim.clusters.front(), claim.member, claim.name}),
                     ": check --wal-dir and --data-dir"));
  }
  block_ = *std::move(block);
  return absl::OkStatus();
}

absl::Status LogOwner::ChangeCluster(uint64_t cluster) {
  if (!block_) return absl::OkStatus();
  std::optional<Owner> owner = Decode(block_->body());
  owner->cluster = cluster;
  const absl::Status written = block_->Write(Encode(*owner));
  return written.ok() ? written : Explain(directory_, written);
}

}  // namespace gavel::storage
