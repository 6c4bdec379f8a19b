#include "storage/disk/data_directory.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

#include "raft/check.h"
#include "storage/disk/advice.h"
#include "storage/disk/little_endian.h"
#include "storage/disk/path.h"
#include "storage/status_macros.h"

namespace gavel::storage {
namespace {

constexpr BlockFormat kFormat = {.magic = "GAVELMBR", .version = 1};
constexpr size_t kFixedBytes = 28;

std::string Encode(const Identity& identity) {
  std::string body;
  AppendLittleEndian(body, identity.cluster_id);
  AppendLittleEndian(body, identity.member_id.value());
  AppendLittleEndian(body, identity.incarnation.value());
  AppendLittleEndian(body, static_cast<uint32_t>(identity.member_name.size()));
  return body + identity.member_name;
}

std::optional<Identity> Decode(const std::string& body) {
  if (body.size() < kFixedBytes) return std::nullopt;
  Identity identity;
  identity.cluster_id = LoadLittleEndian<uint64_t>(body.data());
  identity.member_id = raft::NodeId(LoadLittleEndian<uint64_t>(body.data() + 8));
  identity.incarnation = raft::Incarnation(LoadLittleEndian<uint64_t>(body.data() + 16));
  if (LoadLittleEndian<uint32_t>(body.data() + 24) != body.size() - kFixedBytes) {
    return std::nullopt;
  }
  identity.member_name = body.substr(kFixedBytes);
  return identity;
}

// Ids are shown in hexadecimal, as everywhere a person meets them.
std::string Id(uint64_t id) { return absl::StrCat(absl::Hex(id)); }

// Adds to an error of the disk what a person can do about it.
absl::Status Explain(const std::string& path, const absl::Status& status) {
  const char* advice = AdviceOn(status.code());
  if (absl::IsFailedPrecondition(status)) advice = "choose a --data-dir that can be a directory";
  if (absl::IsNotFound(status)) {
    advice = "choose a --data-dir in a place where directories can be made";
  }
  if (advice == nullptr) advice = "check the file system";
  return absl::Status(status.code(),
                      absl::StrCat("data directory ", path, ": ", status.message(), ": ", advice));
}

}  // namespace

absl::StatusOr<DataDirectory> DataDirectory::Open(Disk& disk, const std::string& path) {
  DataDirectory directory(disk, path);
  const absl::Status created = disk.CreateDirectories(directory.member_path());
  if (!created.ok()) return Explain(path, created);
  auto lock = disk.Lock(JoinPath(directory.member_path(), "lock"));
  if (absl::IsFailedPrecondition(lock.status())) {
    return absl::FailedPreconditionError(
        absl::StrCat("data directory ", path, " is in use: ", lock.status().message(),
                     ": stop that process, or choose another --data-dir"));
  }
  if (!lock.ok()) return Explain(path, lock.status());
  directory.lock_ = *std::move(lock);
  GAVEL_RETURN_IF_ERROR(directory.ReadIdentity());
  return directory;
}

absl::Status DataDirectory::ReadIdentity() {
  auto block = DoubleBlock::Open(*disk_, identity_path(), kFormat);
  if (absl::IsNotFound(block.status())) return CheckEmpty();
  if (absl::IsFailedPrecondition(block.status())) {
    return absl::FailedPreconditionError(
        absl::StrCat("data directory ", path_, ": ", block.status().message()));
  }
  std::optional<Identity> identity;
  if (block.ok()) identity = Decode(block->body());
  if (absl::IsDataLoss(block.status()) || (block.ok() && !identity)) {
    return absl::DataLossError(
        absl::StrCat(identity_path(),
                     " is damaged, so nobody can say whose data this is: restore "
                     "it from a copy of the same member, or ",
                     kReplaceMember));
  }
  if (!block.ok()) return Explain(path_, block.status());
  // Whoever made the file may have ended before its name was durable. What follows promises by it.
  const absl::Status named = disk_->SyncDirectory(member_path());
  if (!named.ok()) return Explain(path_, named);
  identity_ = *std::move(identity);
  block_ = *std::move(block);
  return absl::OkStatus();
}

absl::Status DataDirectory::CheckEmpty() const {
  auto names = disk_->List(member_path());
  if (!names.ok()) return Explain(path_, names.status());
  for (const std::string& name : *names) {
    if (name == "lock" || name == "identity.tmp") continue;
    if (name == "snap") {
      return absl::FailedPreconditionError(
          absl::StrCat("data directory ", path_,
                       " is one of etcd (it holds member/snap), which "
                       "gaveld cannot read: choose another --data-dir"));
    }
    return absl::FailedPreconditionError(
        absl::StrCat("data directory ", path_, " holds member/", name,
                     " but no member/identity: "
                     "restore the file from a copy of the same member, or choose an empty "
                     "--data-dir"));
  }
  return absl::OkStatus();
}

const Identity& DataDirectory::identity() const {
  GAVEL_CHECK(!is_new());
  return identity_;
}

absl::Status DataDirectory::Create(const Identity& identity) {
  GAVEL_CHECK(is_new() && identity.member_name.size() <= kNameBytesMax);
  auto block = DoubleBlock::Create(*disk_, identity_path(), kFormat, Encode(identity));
  if (!block.ok()) return Explain(path_, block.status());
  block_ = *std::move(block);
  identity_ = identity;
  return absl::OkStatus();
}

absl::Status DataDirectory::CheckOwner(uint64_t cluster_id, raft::NodeId member_id) const {
  GAVEL_CHECK(!is_new());
  if (identity_.cluster_id != cluster_id) {
    return absl::FailedPreconditionError(absl::StrCat(
        "data directory ", path_, " belongs to cluster ", Id(identity_.cluster_id), " (member ",
        identity_.member_name, "), but this member is configured for cluster ", Id(cluster_id),
        ": check --initial-cluster and --initial-cluster-token, or choose another --data-dir"));
  }
  if (identity_.member_id != member_id) {
    return absl::FailedPreconditionError(absl::StrCat(
        "data directory ", path_, " belongs to member ", Id(identity_.member_id.value()), " (",
        identity_.member_name, "), but this member is ", Id(member_id.value()),
        ": check --name and --initial-advertise-peer-urls, or choose another --data-dir"));
  }
  return absl::OkStatus();
}

absl::StatusOr<raft::Incarnation> DataDirectory::BumpIncarnation() {
  GAVEL_CHECK(!is_new());
  Identity next = identity_;
  // A lost slot may have held the incarnation after this one.
  const uint64_t step = block_->slot_lost() ? 2 : 1;
  next.incarnation = raft::Incarnation(identity_.incarnation.value() + step);
  const absl::Status written = block_->Write(Encode(next));
  if (!written.ok()) return Explain(path_, written);
  identity_ = std::move(next);
  return identity_.incarnation;
}

absl::Status DataDirectory::ChangeCluster(uint64_t cluster_id) {
  GAVEL_CHECK(!is_new());
  Identity next = identity_;
  next.cluster_id = cluster_id;
  if (absl::Status written = block_->Write(Encode(next)); !written.ok()) {
    return Explain(path_, written);
  }
  identity_ = std::move(next);
  return absl::OkStatus();
}

std::string DataDirectory::member_path() const { return JoinPath(path_, "member"); }
std::string DataDirectory::identity_path() const { return JoinPath(member_path(), "identity"); }
std::string DataDirectory::wal_path() const { return JoinPath(member_path(), "wal"); }
std::string DataDirectory::state_path() const { return JoinPath(member_path(), "state"); }
std::string DataDirectory::snapshots_path() const { return JoinPath(member_path(), "snapshots"); }
std::string DataDirectory::new_cluster_path() const {
  return JoinPath(member_path(), "new-cluster");
}

}  // namespace gavel::storage
