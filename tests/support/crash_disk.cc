#include "tests/support/crash_disk.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "raft/check.h"
#include "storage/disk/path.h"
#include "tests/support/crash_disk_inode.h"

namespace gavel::testing {

using storage::OpenMode;
using storage::ParentPath;

namespace {

constexpr uint64_t kUnlimitedBytes = uint64_t{1} << 40;

bool AllZero(std::string_view bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](char c) { return c == '\0'; });
}

absl::Status Crashed(const std::string& path) {
  return absl::InternalError(absl::StrCat(path, ": the machine has crashed"));
}

}  // namespace

class CrashDiskFile final : public storage::File {
 public:
  CrashDiskFile(CrashDisk& disk, std::string path, CrashDisk::InodePtr inode, bool writable)
      : disk_(disk),
        path_(std::move(path)),
        inode_(std::move(inode)),
        life_(disk.life_),
        writable_(writable) {}

  absl::StatusOr<size_t> ReadAt(uint64_t offset, std::span<char> buffer) const override {
    const std::lock_guard<std::mutex> lock(disk_.mutex_);
    if (absl::Status status = Check(); !status.ok()) return status;
    if (disk_.fail_read_ > 0 && --disk_.fail_read_ == 0) return Error("read");
    if (disk_.IsUnreadable(path_, offset, buffer.size())) return Error("read");
    const uint64_t size = inode_->visible.size();
    const size_t count = offset >= size ? 0 : std::min<uint64_t>(buffer.size(), size - offset);
    if (count > 0) inode_->visible.Read(offset, buffer.subspan(0, count));
    return count;
  }

  absl::Status WriteAt(uint64_t offset, std::string_view bytes) override {
    if (bytes.empty()) return absl::OkStatus();
    const std::lock_guard<std::mutex> lock(disk_.mutex_);
    CrashDisk::Inode::Change change{.offset = offset, .bytes = {}, .zeros = 0};
    if (AllZero(bytes)) {
      change.zeros = bytes.size();
    } else {
      change.bytes = bytes;
    }
    return Apply(std::move(change));
  }

  absl::Status Truncate(uint64_t size) override {
    const std::lock_guard<std::mutex> lock(disk_.mutex_);
    return Apply({.offset = size, .bytes = {}, .zeros = 0});
  }

  absl::Status SyncData() override {
    {
      const std::lock_guard<std::mutex> lock(disk_.mutex_);
      if (absl::Status status = Check(); !status.ok()) return status;
      if (absl::Status status = disk_.BeginChange(path_).status; !status.ok()) return status;
      if (disk_.fail_sync_ > 0 && --disk_.fail_sync_ == 0) {
        inode_->changes.clear();
        if (disk_.sync_reverts_) inode_->visible = inode_->durable;
        return Error("fdatasync");
      }
      inode_->Sync();
    }
    if (disk_.on_synced_) disk_.on_synced_();
    return absl::OkStatus();
  }

  absl::StatusOr<uint64_t> Size() const override {
    const std::lock_guard<std::mutex> lock(disk_.mutex_);
    if (absl::Status status = Check(); !status.ok()) return status;
    return inode_->visible.size();
  }

 private:
  absl::Status Check() const {
    if (life_ != disk_.life_) return Crashed(path_);
    return disk_.CheckAccess(path_);
  }

  absl::Status Error(const char* call) const {
    return absl::InternalError(absl::StrCat(call, " ", path_, ": Input/output error"));
  }

  absl::Status Apply(CrashDisk::Inode::Change change) {
    if (absl::Status status = Check(); !status.ok()) return status;
    GAVEL_CHECK(writable_) << path_;
    CrashDisk::Begun begun = disk_.BeginChange(path_);
    if (!begun.happens) return begun.status;
    if (!change.truncation()) {
      if (disk_.fail_write_ > 0 && --disk_.fail_write_ == 0) return Error("write");
      const absl::Status space =
          disk_.Reserve(path_, *inode_, change.offset, change.end() - change.offset);
      if (!space.ok()) return space;
    }
    if (disk_.IsUnreadable(path_, change.offset, change.end() - change.offset)) {
      disk_.unreadable_count_ = 0;
    }
    change.ApplyTo(inode_->visible);
    inode_->changes.push_back(std::move(change));
    return begun.status;
  }

  CrashDisk& disk_;
  const std::string path_;
  const CrashDisk::InodePtr inode_;
  const uint64_t life_;
  const bool writable_;
};

class CrashDiskLock final : public storage::FileLock {
 public:
  CrashDiskLock(CrashDisk& disk, std::string path)
      : disk_(disk), path_(std::move(path)), life_(disk.life_) {}
  ~CrashDiskLock() override {
    const std::lock_guard<std::mutex> lock(disk_.mutex_);
    if (life_ == disk_.life_) disk_.locks_.erase(path_);
  }

 private:
  CrashDisk& disk_;
  const std::string path_;
  const uint64_t life_;
};

CrashDisk::CrashDisk() : directories_{"/", "."} {}
CrashDisk::~CrashDisk() = default;

absl::StatusOr<std::unique_ptr<storage::File>> CrashDisk::Open(const std::string& path,
                                                               OpenMode mode) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (absl::Status status = CheckAccess(path); !status.ok()) return status;
  const auto found = visible_.find(path);
  if (mode != OpenMode::kCreate) {
    if (found == visible_.end()) {
      return absl::NotFoundError(absl::StrCat("open ", path, ": No such file or directory"));
    }
    return std::make_unique<CrashDiskFile>(*this, path, found->second, mode != OpenMode::kReadOnly);
  }
  if (found != visible_.end()) {
    return absl::AlreadyExistsError(absl::StrCat("open ", path, ": File exists"));
  }
  if (!directories_.contains(ParentPath(path))) {
    return absl::NotFoundError(absl::StrCat("open ", path, ": No such file or directory"));
  }
  Begun begun = BeginChange(path);
  if (!begun.happens) return begun.status;
  if (free_bytes_ && *free_bytes_ == 0) {
    if (on_full_) on_full_(path);
    return absl::ResourceExhaustedError(absl::StrCat("open ", path, ": No space left on device"));
  }
  auto inode = std::make_shared<Inode>();
  Change({.directory = ParentPath(path), .remove = {}, .add = path, .inode = inode});
  if (!begun.status.ok()) return begun.status;
  return std::make_unique<CrashDiskFile>(*this, path, std::move(inode), /*writable=*/true);
}

absl::StatusOr<std::vector<std::string>> CrashDisk::List(const std::string& directory) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (absl::Status status = CheckAccess(directory); !status.ok()) return status;
  if (!directories_.contains(directory)) {
    return absl::NotFoundError(
        absl::StrCat("open directory ", directory, ": No such file or directory"));
  }
  std::set<std::string> names;
  const auto add = [&](const std::string& path) {
    if (path != directory && ParentPath(path) == directory) {
      names.insert(path.substr(path.rfind('/') + 1));
    }
  };
  for (const auto& [path, inode] : visible_) add(path);
  for (const std::string& path : directories_) add(path);
  return std::vector<std::string>(names.begin(), names.end());
}

absl::Status CrashDisk::CreateDirectories(const std::string& directory) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (absl::Status status = CheckAccess(directory); !status.ok()) return status;
  std::vector<std::string> missing;
  for (std::string path = directory; !directories_.contains(path); path = ParentPath(path)) {
    if (visible_.contains(path)) {
      return absl::FailedPreconditionError(
          absl::StrCat("create directory ", path, ": Not a directory"));
    }
    missing.push_back(path);
  }
  if (missing.empty()) return absl::OkStatus();
  Begun begun = BeginChange(directory);
  if (begun.status.ok()) directories_.insert(missing.begin(), missing.end());
  return begun.status;
}

absl::Status CrashDisk::Remove(const std::string& path) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (absl::Status status = CheckAccess(path); !status.ok()) return status;
  const auto found = visible_.find(path);
  if (found == visible_.end()) {
    return absl::NotFoundError(absl::StrCat("remove ", path, ": No such file or directory"));
  }
  Begun begun = BeginChange(path);
  if (!begun.happens) return begun.status;
  if (free_bytes_) *free_bytes_ += found->second->visible.allocated_bytes();
  Change({.directory = ParentPath(path), .remove = path, .add = {}, .inode = found->second});
  return begun.status;
}

absl::Status CrashDisk::Rename(const std::string& from, const std::string& to) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (absl::Status status = CheckAccess(from); !status.ok()) return status;
  GAVEL_CHECK(ParentPath(from) == ParentPath(to)) << from << " " << to;
  const auto found = visible_.find(from);
  if (found == visible_.end()) {
    return absl::NotFoundError(absl::StrCat("rename ", from, ": No such file or directory"));
  }
  Begun begun = BeginChange(from);
  if (!begun.happens) return begun.status;
  Change({.directory = ParentPath(to), .remove = from, .add = to, .inode = found->second});
  return begun.status;
}

absl::Status CrashDisk::SyncDirectory(const std::string& directory) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (absl::Status status = CheckAccess(directory); !status.ok()) return status;
    if (!directories_.contains(directory)) {
      return absl::NotFoundError(
          absl::StrCat("open directory ", directory, ": No such file or directory"));
    }
    if (absl::Status status = BeginChange(directory).status; !status.ok()) return status;
    if (fail_directory_sync_ > 0 && --fail_directory_sync_ == 0) {
      return absl::InternalError(absl::StrCat("fsync ", directory, ": Input/output error"));
    }
    std::erase_if(changes_, [&](const EntryChange& change) {
      if (change.directory != directory) return false;
      Apply(change, durable_);
      return true;
    });
  }
  if (on_synced_) on_synced_();
  return absl::OkStatus();
}

absl::StatusOr<bool> CrashDisk::Exists(const std::string& path) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (absl::Status status = CheckAccess(path); !status.ok()) return status;
  return visible_.contains(path) || directories_.contains(path);
}

absl::StatusOr<std::unique_ptr<storage::FileLock>> CrashDisk::Lock(const std::string& path) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (absl::Status status = CheckAccess(path); !status.ok()) return status;
  if (!locks_.insert(path).second) {
    return absl::FailedPreconditionError(
        absl::StrCat("lock ", path, ": held by another process, pid 1"));
  }
  return std::make_unique<CrashDiskLock>(*this, path);
}

absl::StatusOr<uint64_t> CrashDisk::FreeBytes(const std::string& path) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (absl::Status status = CheckAccess(path); !status.ok()) return status;
  return free_bytes_.value_or(kUnlimitedBytes);
}

absl::Status CrashDisk::CheckAccess(const std::string& path) const {
  if (crashed_) return Crashed(path);
  if (!denied_.empty() && absl::StartsWith(path, denied_)) {
    return absl::PermissionDeniedError(absl::StrCat("open ", path, ": Permission denied"));
  }
  return absl::OkStatus();
}

CrashDisk::Begun CrashDisk::BeginChange(const std::string& path) {
  if (crashed_) return {Crashed(path), false};
  ++operations_;
  if (crash_at_ && operations_ >= *crash_at_) {
    crashed_ = true;
    return {Crashed(path), true};
  }
  return {absl::OkStatus(), true};
}

absl::Status CrashDisk::Reserve(const std::string& path, const Inode& inode, uint64_t offset,
                                uint64_t count) {
  if (!free_bytes_) return absl::OkStatus();
  uint64_t needed = 0;
  for (uint64_t page = offset / Pages::kPageBytes; page * Pages::kPageBytes < offset + count;
       ++page) {
    if (!inode.visible.Allocated(page)) needed += Pages::kPageBytes;
  }
  if (needed > *free_bytes_) {
    if (on_full_) on_full_(path);
    return absl::ResourceExhaustedError("write: No space left on device");
  }
  *free_bytes_ -= needed;
  return absl::OkStatus();
}

void CrashDisk::Apply(const EntryChange& change, Entries& entries) {
  if (!change.remove.empty()) entries.erase(change.remove);
  if (!change.add.empty()) entries[change.add] = change.inode;
}

void CrashDisk::Change(EntryChange change) {
  Apply(change, visible_);
  changes_.push_back(std::move(change));
}

}  // namespace gavel::testing
