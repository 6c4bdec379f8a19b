// A rocksdb::FileSystem in memory that can be copied as a power cut would leave it.
//
// Strict model: bytes are durable once their file was synced after they were written; an entry of
// a directory (created, renamed, linked or deleted) once that directory was synced after it. Of
// the rest a crash keeps what chance decides: for each directory a prefix of its changes, as a
// journal does; for each file a prefix of the unsynced bytes, whose pages may be zeros.
//
// Thread-safe: one mutex guards everything, so that a copy is one moment of all files.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "raft/random.h"
#include "rocksdb/file_system.h"
#include "tests/storage/engine/crash_node.h"

namespace gavel::storage {

class CrashFileSystem final : public rocksdb::FileSystem {
 public:
  enum class Operation { kCreate, kAppend, kSync, kRename, kDelete, kSyncDirectory, kRead };
  enum class Failure {
    kIoError,
    kNoSpace,
    // A sync fails, and the system takes the pages for clean: the next sync succeeds, and the
    // bytes are not there after a crash.
    kSyncLosesPages,
  };
  struct Fault {
    Failure failure = Failure::kIoError;
    std::set<Operation> operations = {};
    std::string name_contains = {};  // Of the file or directory; empty: any.
    uint64_t after = 0;              // So many matching operations succeed first.
    uint64_t count = UINT64_MAX;     // And so many fail.
  };
  // A copy taken in the middle of things, and what the test said at that moment.
  struct Capture {
    std::shared_ptr<CrashFileSystem> files;
    uint64_t label = 0;
    uint64_t operation = 0;
  };

  CrashFileSystem();
  ~CrashFileSystem() override;

  // What a power cut at this moment leaves. Everything in the copy is durable.
  std::shared_ptr<CrashFileSystem> Crash(raft::Random& random) const;

  // Takes a copy after every `every`-th changing operation, on the thread that does it; `label` is
  // called with the file system locked.
  void CaptureEvery(uint64_t every, uint64_t seed, std::function<uint64_t()> label);
  std::vector<Capture> TakeCaptures();

  void SetFault(Fault fault);
  void ClearFault();
  // Operations that the fault made fail.
  uint64_t failures() const;
  // Changing operations so far.
  uint64_t operations() const;

  // Names in `directory`.
  std::vector<std::string> List(const std::string& directory) const;
  // Changes one byte of a file, durably. False if there is no such byte.
  bool FlipByte(const std::string& path, size_t offset);
  size_t FileSize(const std::string& path) const;

  // rocksdb::FileSystem.
  const char* Name() const override { return "gavel.CrashFileSystem"; }
  rocksdb::IOStatus NewSequentialFile(const std::string& path, const rocksdb::FileOptions&,
                                      std::unique_ptr<rocksdb::FSSequentialFile>* result,
                                      rocksdb::IODebugContext*) override;
  rocksdb::IOStatus NewRandomAccessFile(const std::string& path, const rocksdb::FileOptions&,
                                        std::unique_ptr<rocksdb::FSRandomAccessFile>* result,
                                        rocksdb::IODebugContext*) override;
  rocksdb::IOStatus NewWritableFile(const std::string& path, const rocksdb::FileOptions&,
                                    std::unique_ptr<rocksdb::FSWritableFile>* result,
                                    rocksdb::IODebugContext*) override;
  rocksdb::IOStatus ReopenWritableFile(const std::string& path, const rocksdb::FileOptions&,
                                       std::unique_ptr<rocksdb::FSWritableFile>* result,
                                       rocksdb::IODebugContext*) override;
  rocksdb::IOStatus NewDirectory(const std::string& path, const rocksdb::IOOptions&,
                                 std::unique_ptr<rocksdb::FSDirectory>* result,
                                 rocksdb::IODebugContext*) override;
  rocksdb::IOStatus FileExists(const std::string& path, const rocksdb::IOOptions&,
                               rocksdb::IODebugContext*) override;
  rocksdb::IOStatus GetChildren(const std::string& path, const rocksdb::IOOptions&,
                                std::vector<std::string>* result,
                                rocksdb::IODebugContext*) override;
  rocksdb::IOStatus DeleteFile(const std::string& path, const rocksdb::IOOptions&,
                               rocksdb::IODebugContext*) override;
  rocksdb::IOStatus CreateDir(const std::string& path, const rocksdb::IOOptions&,
                              rocksdb::IODebugContext*) override;
  rocksdb::IOStatus CreateDirIfMissing(const std::string& path, const rocksdb::IOOptions&,
                                       rocksdb::IODebugContext*) override;
  rocksdb::IOStatus DeleteDir(const std::string& path, const rocksdb::IOOptions&,
                              rocksdb::IODebugContext*) override;
  rocksdb::IOStatus GetFileSize(const std::string& path, const rocksdb::IOOptions&, uint64_t* size,
                                rocksdb::IODebugContext*) override;
  rocksdb::IOStatus GetFileModificationTime(const std::string& path, const rocksdb::IOOptions&,
                                            uint64_t* time, rocksdb::IODebugContext*) override;
  rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to,
                               const rocksdb::IOOptions&, rocksdb::IODebugContext*) override;
  rocksdb::IOStatus LinkFile(const std::string& from, const std::string& to,
                             const rocksdb::IOOptions&, rocksdb::IODebugContext*) override;
  rocksdb::IOStatus LockFile(const std::string& path, const rocksdb::IOOptions&,
                             rocksdb::FileLock** lock, rocksdb::IODebugContext*) override;
  rocksdb::IOStatus UnlockFile(rocksdb::FileLock* lock, const rocksdb::IOOptions&,
                               rocksdb::IODebugContext*) override;
  rocksdb::IOStatus GetTestDirectory(const rocksdb::IOOptions&, std::string* path,
                                     rocksdb::IODebugContext*) override;
  rocksdb::IOStatus GetAbsolutePath(const std::string& path, const rocksdb::IOOptions&,
                                    std::string* result, rocksdb::IODebugContext*) override;
  rocksdb::IOStatus GetFreeSpace(const std::string& path, const rocksdb::IOOptions&,
                                 uint64_t* bytes, rocksdb::IODebugContext*) override;
  rocksdb::IOStatus IsDirectory(const std::string& path, const rocksdb::IOOptions&,
                                bool* is_directory, rocksdb::IODebugContext*) override;

 private:
  friend class CrashWritableFile;
  friend class CrashReadableFile;
  friend class CrashDirectory;
  using NodePtr = crash_fs::NodePtr;

  // All with mutex_ held.
  NodePtr Find(std::string_view path) const;
  // The directory of `path`, and the name in it. Null if there is none.
  std::pair<NodePtr, std::string> FindParent(std::string_view path) const;
  // Returns the fault's error if it strikes this operation; counts it otherwise.
  rocksdb::IOStatus Begin(Operation operation, std::string_view path);
  void MaybeCapture();
  std::shared_ptr<CrashFileSystem> CrashLocked(raft::Random& random) const;
  bool Link(std::string_view path, NodePtr node);

  mutable std::mutex mutex_;  // Guards all below.
  NodePtr root_;
  std::set<std::string> locked_;
  std::optional<Fault> fault_;
  uint64_t failures_ = 0;
  uint64_t operations_ = 0;
  uint64_t capture_every_ = 0;
  raft::Random capture_random_{0};
  std::function<uint64_t()> capture_label_;
  std::vector<Capture> captures_;
};

}  // namespace gavel::storage
