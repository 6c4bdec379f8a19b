// A member's data directory: who owns it, in which life, and where its parts are.
//
//   <data-dir>/member/lock       held while a process uses the directory
//   <data-dir>/member/identity   cluster, member, name and incarnation, in a double block
//   <data-dir>/member/wal        the write-ahead log
//   <data-dir>/member/state      the state engine
//   <data-dir>/member/snapshots  snapshots being received or sent
//   <data-dir>/member/new-cluster  a new cluster is being founded, or was
//   (server/node/new_cluster.h)
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "raft/types.h"
#include "storage/disk/disk.h"
#include "storage/disk/double_block.h"

namespace gavel::storage {

// Whose directory it is. The incarnation is 0 until the member has started once.
struct Identity {
  uint64_t cluster_id = 0;
  raft::NodeId member_id;
  std::string member_name;
  raft::Incarnation incarnation;

  friend bool operator==(const Identity&, const Identity&) = default;
};

// The directory is locked for as long as the object lives. Used by one thread.
//
// A member starts in this order: Open; if is_new(), Create(identity), else CheckOwner; while the
// incarnation is 0, create the log and the state if they are missing; BumpIncarnation. So a
// directory with an incarnation above 0 and without a log has lost it.
class DataDirectory {
 public:
  // Longest name of a member.
  static constexpr size_t kNameBytesMax = 1024;

  // Creates the directory if it is missing (mode 0700), locks it and reads its identity.
  //
  // Every error says what to do. FailedPrecondition: used by another process (with its pid), of a
  // newer format version, not a directory, or data without an identity. DataLoss: the identity is
  // damaged. PermissionDenied: not ours to read or write.
  static absl::StatusOr<DataDirectory> Open(Disk& disk, const std::string& path);

  DataDirectory(DataDirectory&&) = default;
  DataDirectory& operator=(DataDirectory&&) = default;

  // True until Create: the directory belongs to nobody yet.
  bool is_new() const { return !block_.has_value(); }
  // Requires: !is_new().
  const Identity& identity() const;

  // Makes `identity` the owner; durable on return. Requires: is_new(), a name of at most
  // kNameBytesMax bytes.
  absl::Status Create(const Identity& identity);

  // FailedPrecondition, saying what to do, if the directory belongs to another cluster or member.
  // Requires: !is_new().
  absl::Status CheckOwner(uint64_t cluster_id, raft::NodeId member_id) const;

  // Counts the incarnation up and returns the new one, never returned before and durable.
  // Requires: !is_new(). After an error the object must not be used again.
  absl::StatusOr<raft::Incarnation> BumpIncarnation();

  // Gives the directory to another cluster; durable on return. Requires: !is_new(). After an error
  // the object must not be used again.
  absl::Status ChangeCluster(uint64_t cluster_id);

  const std::string& path() const { return path_; }
  std::string wal_path() const;
  std::string state_path() const;
  std::string snapshots_path() const;
  std::string new_cluster_path() const;

 private:
  DataDirectory(Disk& disk, std::string path) : disk_(&disk), path_(std::move(path)) {}

  std::string member_path() const;
  std::string identity_path() const;
  absl::Status ReadIdentity();
  // Refuses a directory without identity that is not empty.
  absl::Status CheckEmpty() const;

  Disk* disk_;
  std::string path_;
  std::unique_ptr<FileLock> lock_;
  std::optional<DoubleBlock> block_;
  Identity identity_;
};

}  // namespace gavel::storage
