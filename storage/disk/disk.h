// The seam to the file system: everything the write-ahead log and the snapshots do to a disk.
//
// `PosixDisk` is the real one; tests and the simulator put their own behind the same interface.
// Paths are plain strings with '/' between parts. Implementations are thread-safe as long as no
// two threads use one File at the same time (ReadAt excepted, which any number may call).
//
// Errors: NotFound, AlreadyExists, ResourceExhausted (no space), PermissionDenied,
// FailedPrecondition (locked by another process; a part of the path is not a directory) and
// Internal (any other I/O error). The message names the path, the call and the system's reason.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace gavel::storage {

// An open file. Closed by the destructor, which syncs nothing. It stays usable when its path is
// renamed or removed.
class File {
 public:
  virtual ~File() = default;

  // Reads up to buffer.size() bytes; returns how many, which is less only at the end.
  virtual absl::StatusOr<size_t> ReadAt(uint64_t offset, std::span<char> buffer) const = 0;
  // Writes all of `bytes`, growing the file if needed. Not durable until SyncData returns.
  virtual absl::Status WriteAt(uint64_t offset, std::string_view bytes) = 0;
  // Makes the file's bytes and its size durable (fdatasync). After an error the state of earlier
  // unsynced writes is unknown: the caller must stop using the file and never retry.
  virtual absl::Status SyncData() = 0;
  virtual absl::StatusOr<uint64_t> Size() const = 0;
  virtual absl::Status Truncate(uint64_t size) = 0;
};

// Held for as long as the process uses a directory; the lock ends with the object.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

enum class OpenMode {
  kReadOnly,   // Must exist.
  kReadWrite,  // Must exist.
  kCreate,     // Must not exist.
};

class Disk {
 public:
  virtual ~Disk() = default;

  virtual absl::StatusOr<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) = 0;
  // Names in `directory`, sorted, without "." and "..".
  virtual absl::StatusOr<std::vector<std::string>> List(const std::string& directory) = 0;
  // Creates the directory and missing parents, for the owner only (mode 0700); what it created
  // is durable on return.
  virtual absl::Status CreateDirectories(const std::string& directory) = 0;
  virtual absl::Status Remove(const std::string& path) = 0;
  // Atomically replaces `to`.
  virtual absl::Status Rename(const std::string& from, const std::string& to) = 0;
  // Makes created, removed and renamed entries of `directory` durable.
  virtual absl::Status SyncDirectory(const std::string& directory) = 0;
  virtual absl::StatusOr<bool> Exists(const std::string& path) = 0;
  // Takes an exclusive lock on `path` (created if missing). FailedPrecondition if another process
  // holds it; the message names its pid.
  virtual absl::StatusOr<std::unique_ptr<FileLock>> Lock(const std::string& path) = 0;
  // Bytes a process may still write to the file system that holds `path`.
  virtual absl::StatusOr<uint64_t> FreeBytes(const std::string& path) = 0;
};

}  // namespace gavel::storage
