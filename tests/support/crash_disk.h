// A disk in memory with a strict model of what a crash takes away.
//
// What was not synced may be lost, kept, torn or reordered: bytes and sizes of files until their
// SyncData, created, renamed and removed entries until SyncDirectory of their directory. Faults
// are armed by number, so a test can put one at every operation of a workload.
//
// Directories themselves are durable when created, as the Disk interface promises. Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "raft/random.h"
#include "storage/disk/disk.h"

namespace gavel::testing {

class CrashDiskFile;
class Pages;

// What becomes of unsynced changes at a crash.
enum class CrashMode {
  kLoseAll,    // Power cut: nothing unsynced survives.
  kKeepAll,    // The process dies, the machine does not.
  kTearBy512,  // Each 512-byte sector shows any of its unsynced states; sizes and entries likewise.
  kTearBy4096,  // The same with 4 KiB pages.
};

class CrashDisk : public storage::Disk {
 public:
  CrashDisk();
  ~CrashDisk() override;

  // --- Disk ---
  absl::StatusOr<std::unique_ptr<storage::File>> Open(const std::string& path,
                                                      storage::OpenMode mode) override;
  absl::StatusOr<std::vector<std::string>> List(const std::string& directory) override;
  absl::Status CreateDirectories(const std::string& directory) override;
  absl::Status Remove(const std::string& path) override;
  absl::Status Rename(const std::string& from, const std::string& to) override;
  absl::Status SyncDirectory(const std::string& directory) override;
  absl::StatusOr<bool> Exists(const std::string& path) override;
  absl::StatusOr<std::unique_ptr<storage::FileLock>> Lock(const std::string& path) override;
  absl::StatusOr<uint64_t> FreeBytes(const std::string& path) override;

  // --- Crashes ---
  // Operations that change something, so far: opens that create, writes, syncs, truncations,
  // removals, renames and directory changes.
  uint64_t operations() const;
  // Makes the operation after `count` more fail, and every call after it until Reboot. A write
  // that is hit counts as begun: a torn crash may show parts of it.
  void CrashAfter(uint64_t count);
  bool crashed() const;
  // Ends this life of the machine: open files and locks are dead, unsynced changes go the way
  // of `mode`, and armed faults are off.
  void Reboot(CrashMode mode, raft::Random& random);
  // The disk that a crash at this moment would leave, while this one goes on.
  std::unique_ptr<CrashDisk> CloneAfterCrash(CrashMode mode, raft::Random& random) const;

  // --- Faults; all numbers count from the next call on, 1 is the next ---
  // The nth SyncData fails and drops what it should have written, yet reads still show it, and
  // later syncs succeed without it (as Linux does).
  void FailSync(uint64_t nth);
  // The same, but reads show the old content at once (as Btrfs does).
  void FailSyncAndRevert(uint64_t nth);
  void FailWrite(uint64_t nth);
  void FailRead(uint64_t nth);
  // The nth SyncDirectory fails and makes nothing durable; later ones do.
  void FailDirectorySync(uint64_t nth);
  // Reads of any of these bytes fail, also after reboots, until a write strikes one of them (a
  // disk then takes another sector) or the next call. No bytes: all can be read.
  void SetUnreadable(const std::string& path, uint64_t offset, uint64_t count);
  // Nothing armed by number strikes any more, a crash neither.
  void Disarm();
  // Every call on a path with this prefix fails with PermissionDenied; "" turns it off.
  void DenyAccess(const std::string& prefix);
  // Writes that need new space fail with ResourceExhausted once `bytes` more are in use.
  void SetFreeBytes(uint64_t bytes);
  void SetUnlimitedSpace();
  // Called with the path of every operation that is refused for lack of space, by the thread that
  // asked for it, which holds the disk. Before the disk is used.
  void SetOnFull(std::function<void(const std::string& path)> on_full) {
    on_full_ = std::move(on_full);
  }

  // --- At-rest damage and inspection; on the durable and the visible bytes alike ---
  void FlipBits(const std::string& path, uint64_t offset, uint8_t mask);
  void Overwrite(const std::string& path, uint64_t offset, std::string_view bytes);
  // Everything in the file at `path`. Requires: it exists.
  std::string Contents(const std::string& path) const;

  // --- What a power cut would certainly leave ---
  // Called after every sync that succeeded, of a file or of a directory, by the thread that
  // asked for it. Before the disk is used.
  void SetOnSynced(std::function<void()> on_synced) { on_synced_ = std::move(on_synced); }
  // Reads durable bytes of a file whose entry is durable; how many there were.
  size_t ReadDurable(const std::string& path, uint64_t offset, std::span<char> buffer) const;
  // The same of what reads show.
  size_t ReadVisible(const std::string& path, uint64_t offset, std::span<char> buffer) const;
  // Names of durable entries that are files in `directory`, sorted.
  std::vector<std::string> ListDurable(const std::string& directory) const;

 private:
  friend class CrashDiskFile;
  friend class CrashDiskLock;

  struct Inode;
  using InodePtr = std::shared_ptr<Inode>;
  using Entries = std::map<std::string, InodePtr>;  // By full path.

  // An unsynced change of directory entries.
  struct EntryChange {
    std::string directory;
    std::string remove;  // Empty if nothing goes away.
    std::string add;     // Empty if nothing comes.
    InodePtr inode;      // Of `add`, or of what is removed.
  };

  // How far an operation gets, and what its caller is told.
  struct Begun {
    absl::Status status;
    bool happens = false;  // The crash may show it although `status` is an error.
  };

  // All private functions require mutex_.
  absl::Status CheckAccess(const std::string& path) const;
  // Counts an operation on `path`.
  Begun BeginChange(const std::string& path);
  bool IsUnreadable(const std::string& path, uint64_t offset, uint64_t count) const;
  static size_t ReadPages(const Pages& pages, uint64_t offset, std::span<char> buffer);
  absl::Status Reserve(const std::string& path, const Inode& inode, uint64_t offset,
                       uint64_t count);
  // Applies `change` to `entries`.
  static void Apply(const EntryChange& change, Entries& entries);
  void Change(EntryChange change);
  void CrashEntries(CrashMode mode, raft::Random& random);
  // In an order that depends on names only, so that a seed replays.
  std::vector<Inode*> AllInodes() const;

  mutable std::mutex mutex_;
  std::set<std::string> directories_;
  Entries visible_;
  Entries durable_;
  std::vector<EntryChange> changes_;  // From durable_ to visible_.
  std::set<std::string> locks_;
  uint64_t life_ = 1;  // Files and locks of earlier lives are dead.

  uint64_t operations_ = 0;
  std::optional<uint64_t> crash_at_;
  bool crashed_ = false;
  uint64_t fail_sync_ = 0;
  bool sync_reverts_ = false;
  uint64_t fail_write_ = 0;
  mutable uint64_t fail_read_ = 0;
  uint64_t fail_directory_sync_ = 0;
  uint64_t unreadable_count_ = 0;
  uint64_t unreadable_offset_ = 0;
  std::string unreadable_path_;
  std::string denied_;
  std::optional<uint64_t> free_bytes_;
  std::function<void()> on_synced_;
  std::function<void(const std::string& path)> on_full_;
};

}  // namespace gavel::testing
