#include "storage/disk/posix_disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"

#include "storage/disk/path.h"
#include "storage/status_macros.h"

namespace gavel::storage {
namespace {

// Closes its descriptor.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }

 private:
  int fd_;
};

Descriptor OpenDescriptor(const std::string& path, int flags) {
  int fd;
  do {
    fd = ::open(path.c_str(), flags | O_CLOEXEC, 0600);
  } while (fd < 0 && errno == EINTR);
  return Descriptor(fd);
}

class PosixFile final : public File {
 public:
  PosixFile(Descriptor fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  absl::StatusOr<size_t> ReadAt(uint64_t offset, std::span<char> buffer) const override {
    size_t done = 0;
    while (done < buffer.size()) {
      const ssize_t n = ::pread(fd_.get(), buffer.data() + done, buffer.size() - done,
                                static_cast<off_t>(offset + done));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return SystemError(errno, "read", path_);
      if (n == 0) break;
      done += static_cast<size_t>(n);
    }
    return done;
  }

  absl::Status WriteAt(uint64_t offset, std::string_view bytes) override {
    while (!bytes.empty()) {
      const ssize_t n = ::pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return SystemError(errno, "write", path_);
      offset += static_cast<uint64_t>(n);
      bytes.remove_prefix(static_cast<size_t>(n));
    }
    return absl::OkStatus();
  }

  absl::Status SyncData() override {
    // Not even an interrupted call is repeated: what a second one reports is worth nothing.
    if (::fdatasync(fd_.get()) != 0) return SystemError(errno, "fdatasync", path_);
    return absl::OkStatus();
  }

  absl::StatusOr<uint64_t> Size() const override {
    struct stat info;
    if (::fstat(fd_.get(), &info) != 0) return SystemError(errno, "stat", path_);
    return static_cast<uint64_t>(info.st_size);
  }

  absl::Status Truncate(uint64_t size) override {
    int result;
    do {
      result = ::ftruncate(fd_.get(), static_cast<off_t>(size));
    } while (result != 0 && errno == EINTR);
    if (result != 0) return SystemError(errno, "truncate", path_);
    return absl::OkStatus();
  }

 private:
  const Descriptor fd_;
  const std::string path_;
};

// The lock lives in the open file description, so it ends with the process however that dies.
class PosixLock final : public FileLock {
 public:
  explicit PosixLock(Descriptor fd) : fd_(std::move(fd)) {}

 private:
  const Descriptor fd_;
};

std::string HolderOf(int fd) {
  char text[32] = {};
  const ssize_t n = ::pread(fd, text, sizeof(text) - 1, 0);
  std::string pid(text, n > 0 ? static_cast<size_t>(n) : 0);
  pid.erase(std::find_if_not(pid.begin(), pid.end(), [](char c) { return c >= '0' && c <= '9'; }),
            pid.end());
  return pid.empty() ? "unknown" : pid;
}

absl::Status SyncOpenDirectory(const std::string& directory) {
  const Descriptor fd = OpenDescriptor(directory, O_RDONLY | O_DIRECTORY);
  if (!fd.valid()) return SystemError(errno, "open directory", directory);
  if (::fsync(fd.get()) != 0) return SystemError(errno, "fsync directory", directory);
  return absl::OkStatus();
}

}  // namespace

absl::Status SystemError(int error, std::string_view call, std::string_view path) {
  const std::string message = absl::StrCat(std::string(call), " ", std::string(path), ": ",
                                           std::generic_category().message(error));
  switch (error) {
    case ENOENT:
      return absl::NotFoundError(message);
    case EEXIST:
      return absl::AlreadyExistsError(message);
    case ENOSPC:
    case EDQUOT:
      return absl::ResourceExhaustedError(message);
    case EACCES:
    case EPERM:
    case EROFS:
      return absl::PermissionDeniedError(message);
    case ENOTDIR:
      return absl::FailedPreconditionError(message);
    default:
      return absl::InternalError(message);
  }
}

absl::StatusOr<std::unique_ptr<File>> PosixDisk::Open(const std::string& path, OpenMode mode) {
  int flags = O_RDONLY;
  if (mode == OpenMode::kReadWrite) flags = O_RDWR;
  if (mode == OpenMode::kCreate) flags = O_RDWR | O_CREAT | O_EXCL;
  Descriptor fd = OpenDescriptor(path, flags);
  if (!fd.valid()) return SystemError(errno, "open", path);
  return std::make_unique<PosixFile>(std::move(fd), path);
}

absl::StatusOr<std::vector<std::string>> PosixDisk::List(const std::string& directory) {
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::opendir(directory.c_str()), ::closedir);
  if (stream == nullptr) return SystemError(errno, "open directory", directory);
  std::vector<std::string> names;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(stream.get());
    if (entry == nullptr) break;
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  if (errno != 0) return SystemError(errno, "read directory", directory);
  std::sort(names.begin(), names.end());
  return names;
}

absl::Status PosixDisk::CreateDirectories(const std::string& directory) {
  if (::mkdir(directory.c_str(), 0700) == 0) return SyncOpenDirectory(ParentPath(directory));
  const int error = errno;
  if (error == ENOENT) {
    const std::string parent = ParentPath(directory);
    struct stat info;
    // With the parent in place (in /proc, or in a working directory that was removed) a second try
    // would end as the first did.
    if (parent == directory || ::stat(parent.c_str(), &info) == 0) {
      return SystemError(error, "create directory", directory);
    }
    GAVEL_RETURN_IF_ERROR(CreateDirectories(parent));
    return CreateDirectories(directory);
  }
  if (error != EEXIST) return SystemError(error, "create directory", directory);
  struct stat info;
  if (::stat(directory.c_str(), &info) != 0) return SystemError(errno, "stat", directory);
  if (!S_ISDIR(info.st_mode)) return SystemError(ENOTDIR, "create directory", directory);
  return absl::OkStatus();
}

absl::Status PosixDisk::Remove(const std::string& path) {
  if (::unlink(path.c_str()) != 0) return SystemError(errno, "remove", path);
  return absl::OkStatus();
}

absl::Status PosixDisk::Rename(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) return SystemError(errno, "rename", from);
  return absl::OkStatus();
}

absl::Status PosixDisk::SyncDirectory(const std::string& directory) {
  return SyncOpenDirectory(directory);
}

absl::StatusOr<bool> PosixDisk::Exists(const std::string& path) {
  struct stat info;
  if (::stat(path.c_str(), &info) == 0) return true;
  if (errno == ENOENT) return false;
  return SystemError(errno, "stat", path);
}

absl::StatusOr<std::unique_ptr<FileLock>> PosixDisk::Lock(const std::string& path) {
  Descriptor fd = OpenDescriptor(path, O_RDWR | O_CREAT);
  if (!fd.valid()) return SystemError(errno, "open", path);
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return SystemError(errno, "lock", path);
    return absl::FailedPreconditionError(
        absl::StrCat("lock ", path, ": held by another process, pid ", HolderOf(fd.get())));
  }
  // The number is only for the message above; the lock itself is the kernel's.
  const std::string pid = absl::StrCat(::getpid(), "\n");
  if (::ftruncate(fd.get(), 0) != 0 ||
      ::pwrite(fd.get(), pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
    return SystemError(errno, "write", path);
  }
  return std::make_unique<PosixLock>(std::move(fd));
}

absl::StatusOr<uint64_t> PosixDisk::FreeBytes(const std::string& path) {
  struct statvfs info;
  if (::statvfs(path.c_str(), &info) != 0) return SystemError(errno, "statvfs", path);
  return static_cast<uint64_t>(info.f_bavail) * info.f_frsize;
}

}  // namespace gavel::storage
