#include "tests/storage/engine/crash_file_system.h"

#include <algorithm>
#include <cstring>

#include "raft/check.h"

namespace gavel::storage {

using crash_fs::Node;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

namespace {

constexpr size_t kPage = 4096;

IOStatus NotFound(std::string_view path) {
  return IOStatus::PathNotFound(Slice(path.data(), path.size()), "No such file or directory");
}

std::vector<std::string_view> Parts(std::string_view path) {
  std::vector<std::string_view> parts;
  while (!path.empty()) {
    const size_t slash = path.find('/');
    const std::string_view part = path.substr(0, slash);
    if (!part.empty() && part != ".") parts.push_back(part);
    if (slash == std::string_view::npos) break;
    path.remove_prefix(slash + 1);
  }
  return parts;
}

struct CrashFileLock : rocksdb::FileLock {
  explicit CrashFileLock(std::string locked) : path(std::move(locked)) {}
  std::string path;
};

}  // namespace

// Appends and syncs; the file system's mutex guards the node.
class CrashWritableFile final : public rocksdb::FSWritableFile {
 public:
  CrashWritableFile(CrashFileSystem& files, std::string path, crash_fs::NodePtr node)
      : files_(files), path_(std::move(path)), node_(std::move(node)) {}

  using rocksdb::FSWritableFile::Append;
  IOStatus Append(const Slice& data, const IOOptions&, IODebugContext*) override {
    std::lock_guard lock(files_.mutex_);
    IOStatus status = files_.Begin(CrashFileSystem::Operation::kAppend, path_);
    if (!status.ok()) {
      // A write that fails may have written a part.
      node_->bytes.append(data.data(), data.size() / 2);
      return status;
    }
    node_->bytes.append(data.data(), data.size());
    files_.MaybeCapture();
    return IOStatus::OK();
  }
  IOStatus Truncate(uint64_t size, const IOOptions&, IODebugContext*) override {
    std::lock_guard lock(files_.mutex_);
    node_->bytes.resize(size);
    node_->synced = std::min<size_t>(node_->synced, size);
    return IOStatus::OK();
  }
  IOStatus Close(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
  IOStatus Flush(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
  IOStatus Sync(const IOOptions&, IODebugContext*) override {
    std::lock_guard lock(files_.mutex_);
    IOStatus status = files_.Begin(CrashFileSystem::Operation::kSync, path_);
    if (!status.ok()) {
      if (files_.fault_->failure == CrashFileSystem::Failure::kSyncLosesPages) {
        node_->lost.emplace_back(node_->synced, node_->bytes.size());
        node_->synced = node_->bytes.size();
      }
      return status;
    }
    node_->synced = node_->bytes.size();
    files_.MaybeCapture();
    return IOStatus::OK();
  }
  uint64_t GetFileSize(const IOOptions&, IODebugContext*) override {
    std::lock_guard lock(files_.mutex_);
    return node_->bytes.size();
  }

 private:
  CrashFileSystem& files_;
  const std::string path_;
  const crash_fs::NodePtr node_;
};

class CrashReadableFile final : public rocksdb::FSRandomAccessFile,
                                public rocksdb::FSSequentialFile {
 public:
  CrashReadableFile(CrashFileSystem& files, std::string path, crash_fs::NodePtr node)
      : files_(files), path_(std::move(path)), node_(std::move(node)) {}

  IOStatus Read(uint64_t offset, size_t size, const IOOptions&, Slice* result, char* scratch,
                IODebugContext*) const override {
    std::lock_guard lock(files_.mutex_);
    IOStatus status = files_.Begin(CrashFileSystem::Operation::kRead, path_);
    if (!status.ok()) return status;
    const size_t from = std::min<size_t>(offset, node_->bytes.size());
    const size_t length = std::min(size, node_->bytes.size() - from);
    std::memcpy(scratch, node_->bytes.data() + from, length);
    *result = Slice(scratch, length);
    return IOStatus::OK();
  }
  IOStatus Read(size_t size, const IOOptions& options, Slice* result, char* scratch,
                IODebugContext* debug) override {
    IOStatus status = Read(position_, size, options, result, scratch, debug);
    if (status.ok()) position_ += result->size();
    return status;
  }
  IOStatus Skip(uint64_t size) override {
    position_ += size;
    return IOStatus::OK();
  }
  bool use_direct_io() const override { return false; }
  size_t GetRequiredBufferAlignment() const override { return kPage; }
  IOStatus InvalidateCache(size_t, size_t) override { return IOStatus::OK(); }
  rocksdb::Temperature GetTemperature() const override { return rocksdb::Temperature::kUnknown; }

 private:
  CrashFileSystem& files_;
  const std::string path_;
  const crash_fs::NodePtr node_;
  uint64_t position_ = 0;
};

class CrashDirectory final : public rocksdb::FSDirectory {
 public:
  CrashDirectory(CrashFileSystem& files, std::string path, crash_fs::NodePtr node)
      : files_(files), path_(std::move(path)), node_(std::move(node)) {}

  IOStatus Fsync(const IOOptions&, IODebugContext*) override {
    std::lock_guard lock(files_.mutex_);
    IOStatus status = files_.Begin(CrashFileSystem::Operation::kSyncDirectory, path_);
    if (!status.ok()) return status;
    node_->durable_entries = node_->entries;
    node_->changes.clear();
    files_.MaybeCapture();
    return IOStatus::OK();
  }
  IOStatus Close(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }

 private:
  CrashFileSystem& files_;
  const std::string path_;
  const crash_fs::NodePtr node_;
};

CrashFileSystem::CrashFileSystem() : root_(std::make_shared<Node>(true)) {}
CrashFileSystem::~CrashFileSystem() = default;

std::shared_ptr<CrashFileSystem> CrashFileSystem::Crash(raft::Random& random) const {
  std::lock_guard lock(mutex_);
  return CrashLocked(random);
}

std::shared_ptr<CrashFileSystem> CrashFileSystem::CrashLocked(raft::Random& random) const {
  auto copy = std::make_shared<CrashFileSystem>();
  copy->root_ = crash_fs::CrashCopy(root_, random);
  return copy;
}

void CrashFileSystem::CaptureEvery(uint64_t every, uint64_t seed, std::function<uint64_t()> label) {
  std::lock_guard lock(mutex_);
  capture_every_ = every;
  capture_random_ = raft::Random(seed);
  capture_label_ = std::move(label);
}

std::vector<CrashFileSystem::Capture> CrashFileSystem::TakeCaptures() {
  std::lock_guard lock(mutex_);
  return std::exchange(captures_, {});
}

void CrashFileSystem::MaybeCapture() {
  if (capture_every_ == 0 || operations_ % capture_every_ != 0) return;
  captures_.push_back({CrashLocked(capture_random_), capture_label_(), operations_});
}

void CrashFileSystem::SetFault(Fault fault) {
  std::lock_guard lock(mutex_);
  fault_ = std::move(fault);
}

void CrashFileSystem::ClearFault() {
  std::lock_guard lock(mutex_);
  fault_.reset();
}

uint64_t CrashFileSystem::failures() const {
  std::lock_guard lock(mutex_);
  return failures_;
}

uint64_t CrashFileSystem::operations() const {
  std::lock_guard lock(mutex_);
  return operations_;
}

IOStatus CrashFileSystem::Begin(Operation operation, std::string_view path) {
  if (fault_ && fault_->operations.contains(operation) &&
      path.find(fault_->name_contains) != std::string_view::npos) {
    if (fault_->after > 0) {
      --fault_->after;
    } else if (fault_->count > 0) {
      --fault_->count;
      ++failures_;
      const Slice where(path.data(), path.size());
      return fault_->failure == Failure::kNoSpace ? IOStatus::NoSpace("injected", where)
                                                  : IOStatus::IOError("injected", where);
    }
  }
  if (operation != Operation::kRead) ++operations_;
  return IOStatus::OK();
}

crash_fs::NodePtr CrashFileSystem::Find(std::string_view path) const {
  NodePtr node = root_;
  for (const std::string_view part : Parts(path)) {
    if (!node->directory) return nullptr;
    const auto found = node->entries.find(std::string(part));
    if (found == node->entries.end()) return nullptr;
    node = found->second;
  }
  return node;
}

std::pair<crash_fs::NodePtr, std::string> CrashFileSystem::FindParent(std::string_view path) const {
  const std::vector<std::string_view> parts = Parts(path);
  GAVEL_CHECK(!parts.empty());
  NodePtr node = root_;
  for (size_t i = 0; i + 1 < parts.size() && node != nullptr; ++i) {
    const auto found = node->entries.find(std::string(parts[i]));
    node = found == node->entries.end() ? nullptr : found->second;
  }
  return {node, std::string(parts.back())};
}

bool CrashFileSystem::Link(std::string_view path, NodePtr node) {
  auto [parent, name] = FindParent(path);
  if (parent == nullptr) return false;
  parent->entries[name] = node;
  parent->changes.push_back({name, std::move(node), ""});
  return true;
}

std::vector<std::string> CrashFileSystem::List(const std::string& directory) const {
  std::lock_guard lock(mutex_);
  std::vector<std::string> names;
  if (const NodePtr node = Find(directory); node != nullptr) {
    for (const auto& [name, child] : node->entries) names.push_back(name);
  }
  return names;
}

bool CrashFileSystem::FlipByte(const std::string& path, size_t offset) {
  std::lock_guard lock(mutex_);
  const NodePtr node = Find(path);
  if (node == nullptr || offset >= node->bytes.size()) return false;
  node->bytes[offset] = static_cast<char>(node->bytes[offset] ^ 0x20);
  return true;
}

size_t CrashFileSystem::FileSize(const std::string& path) const {
  std::lock_guard lock(mutex_);
  const NodePtr node = Find(path);
  return node == nullptr ? 0 : node->bytes.size();
}

IOStatus CrashFileSystem::NewSequentialFile(const std::string& path, const rocksdb::FileOptions&,
                                            std::unique_ptr<rocksdb::FSSequentialFile>* result,
                                            IODebugContext*) {
  std::lock_guard lock(mutex_);
  NodePtr node = Find(path);
  if (node == nullptr) return NotFound(path);
  *result = std::make_unique<CrashReadableFile>(*this, path, std::move(node));
  return IOStatus::OK();
}

IOStatus CrashFileSystem::NewRandomAccessFile(const std::string& path, const rocksdb::FileOptions&,
                                              std::unique_ptr<rocksdb::FSRandomAccessFile>* result,
                                              IODebugContext*) {
  std::lock_guard lock(mutex_);
  NodePtr node = Find(path);
  if (node == nullptr) return NotFound(path);
  *result = std::make_unique<CrashReadableFile>(*this, path, std::move(node));
  return IOStatus::OK();
}

IOStatus CrashFileSystem::NewWritableFile(const std::string& path, const rocksdb::FileOptions&,
                                          std::unique_ptr<rocksdb::FSWritableFile>* result,
                                          IODebugContext*) {
  std::lock_guard lock(mutex_);
  IOStatus status = Begin(Operation::kCreate, path);
  if (!status.ok()) return status;
  auto node = std::make_shared<Node>(false);
  if (!Link(path, node)) return NotFound(path);
  *result = std::make_unique<CrashWritableFile>(*this, path, std::move(node));
  MaybeCapture();
  return IOStatus::OK();
}

IOStatus CrashFileSystem::ReopenWritableFile(const std::string& path, const rocksdb::FileOptions&,
                                             std::unique_ptr<rocksdb::FSWritableFile>* result,
                                             IODebugContext*) {
  std::lock_guard lock(mutex_);
  NodePtr node = Find(path);
  if (node == nullptr) return NotFound(path);
  *result = std::make_unique<CrashWritableFile>(*this, path, std::move(node));
  return IOStatus::OK();
}

IOStatus CrashFileSystem::NewDirectory(const std::string& path, const IOOptions&,
                                       std::unique_ptr<rocksdb::FSDirectory>* result,
                                       IODebugContext*) {
  std::lock_guard lock(mutex_);
  NodePtr node = Find(path);
  if (node == nullptr) return NotFound(path);
  *result = std::make_unique<CrashDirectory>(*this, path, std::move(node));
  return IOStatus::OK();
}

IOStatus CrashFileSystem::FileExists(const std::string& path, const IOOptions&, IODebugContext*) {
  std::lock_guard lock(mutex_);
  return Find(path) == nullptr ? IOStatus::NotFound(path) : IOStatus::OK();
}

IOStatus CrashFileSystem::GetChildren(const std::string& path, const IOOptions&,
                                      std::vector<std::string>* result, IODebugContext*) {
  {
    std::lock_guard lock(mutex_);
    const NodePtr node = Find(path);
    if (node == nullptr || !node->directory) return NotFound(path);
  }
  *result = List(path);
  return IOStatus::OK();
}

IOStatus CrashFileSystem::DeleteFile(const std::string& path, const IOOptions&, IODebugContext*) {
  std::lock_guard lock(mutex_);
  auto [parent, name] = FindParent(path);
  if (parent == nullptr || !parent->entries.contains(name)) return NotFound(path);
  IOStatus status = Begin(Operation::kDelete, path);
  if (!status.ok()) return status;
  parent->entries.erase(name);
  parent->changes.push_back({name, nullptr, ""});
  MaybeCapture();
  return IOStatus::OK();
}

IOStatus CrashFileSystem::CreateDir(const std::string& path, const IOOptions&, IODebugContext*) {
  std::lock_guard lock(mutex_);
  if (Find(path) != nullptr) return IOStatus::IOError("exists", path);
  IOStatus status = Begin(Operation::kCreate, path);
  if (!status.ok()) return status;
  if (!Link(path, std::make_shared<Node>(true))) return NotFound(path);
  MaybeCapture();
  return IOStatus::OK();
}

IOStatus CrashFileSystem::CreateDirIfMissing(const std::string& path, const IOOptions& options,
                                             IODebugContext* debug) {
  {
    std::lock_guard lock(mutex_);
    const NodePtr node = Find(path);
    if (node != nullptr && node->directory) return IOStatus::OK();
  }
  return CreateDir(path, options, debug);
}

IOStatus CrashFileSystem::DeleteDir(const std::string& path, const IOOptions& options,
                                    IODebugContext* debug) {
  if (!List(path).empty()) return IOStatus::IOError("not empty", path);
  return DeleteFile(path, options, debug);
}

IOStatus CrashFileSystem::GetFileSize(const std::string& path, const IOOptions&, uint64_t* size,
                                      IODebugContext*) {
  std::lock_guard lock(mutex_);
  const NodePtr node = Find(path);
  if (node == nullptr) return NotFound(path);
  *size = node->bytes.size();
  return IOStatus::OK();
}

IOStatus CrashFileSystem::GetFileModificationTime(const std::string& path, const IOOptions&,
                                                  uint64_t* time, IODebugContext*) {
  std::lock_guard lock(mutex_);
  if (Find(path) == nullptr) return NotFound(path);
  *time = 0;
  return IOStatus::OK();
}

IOStatus CrashFileSystem::RenameFile(const std::string& from, const std::string& to,
                                     const IOOptions&, IODebugContext*) {
  std::lock_guard lock(mutex_);
  auto [parent, name] = FindParent(from);
  auto [target, new_name] = FindParent(to);
  if (parent == nullptr || !parent->entries.contains(name) || target == nullptr) {
    return NotFound(from);
  }
  IOStatus status = Begin(Operation::kRename, to);
  if (!status.ok()) return status;
  NodePtr node = parent->entries[name];
  parent->entries.erase(name);
  target->entries[new_name] = node;
  if (parent == target) {
    target->changes.push_back({new_name, node, name});
  } else {
    target->changes.push_back({new_name, node, ""});
    parent->changes.push_back({name, nullptr, ""});
  }
  MaybeCapture();
  return IOStatus::OK();
}

IOStatus CrashFileSystem::LinkFile(const std::string& from, const std::string& to, const IOOptions&,
                                   IODebugContext*) {
  std::lock_guard lock(mutex_);
  NodePtr node = Find(from);
  if (node == nullptr) return NotFound(from);
  if (Find(to) != nullptr) return IOStatus::IOError("exists", to);
  IOStatus status = Begin(Operation::kCreate, to);
  if (!status.ok()) return status;
  if (!Link(to, std::move(node))) return NotFound(to);
  MaybeCapture();
  return IOStatus::OK();
}

IOStatus CrashFileSystem::LockFile(const std::string& path, const IOOptions&,
                                   rocksdb::FileLock** lock, IODebugContext*) {
  std::lock_guard lock_guard(mutex_);
  if (!locked_.insert(path).second) return IOStatus::IOError("lock ", path);
  if (Find(path) == nullptr && !Link(path, std::make_shared<Node>(false))) return NotFound(path);
  *lock = std::make_unique<CrashFileLock>(path).release();  // UnlockFile takes it back.
  return IOStatus::OK();
}

IOStatus CrashFileSystem::UnlockFile(rocksdb::FileLock* lock, const IOOptions&, IODebugContext*) {
  const std::unique_ptr<CrashFileLock> owned(static_cast<CrashFileLock*>(lock));
  std::lock_guard lock_guard(mutex_);
  locked_.erase(owned->path);
  return IOStatus::OK();
}

IOStatus CrashFileSystem::GetTestDirectory(const IOOptions&, std::string* path, IODebugContext*) {
  *path = "/test";
  return IOStatus::OK();
}

IOStatus CrashFileSystem::GetAbsolutePath(const std::string& path, const IOOptions&,
                                          std::string* result, IODebugContext*) {
  *result = path;
  return IOStatus::OK();
}

IOStatus CrashFileSystem::GetFreeSpace(const std::string&, const IOOptions&, uint64_t* bytes,
                                       IODebugContext*) {
  std::lock_guard lock(mutex_);
  *bytes = fault_ && fault_->failure == Failure::kNoSpace ? 0 : uint64_t{1} << 34;
  return IOStatus::OK();
}

IOStatus CrashFileSystem::IsDirectory(const std::string& path, const IOOptions&, bool* is_directory,
                                      IODebugContext*) {
  std::lock_guard lock(mutex_);
  const NodePtr node = Find(path);
  if (node == nullptr) return NotFound(path);
  *is_directory = node->directory;
  return IOStatus::OK();
}

}  // namespace gavel::storage
