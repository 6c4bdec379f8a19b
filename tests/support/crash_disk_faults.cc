// Crashes, armed faults and at-rest damage of CrashDisk.
#include <algorithm>
#include <utility>

#include "raft/check.h"
#include "storage/disk/path.h"
#include "tests/support/crash_disk.h"
#include "tests/support/crash_disk_inode.h"

namespace gavel::testing {

uint64_t CrashDisk::operations() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return operations_;
}

void CrashDisk::CrashAfter(uint64_t count) {
  const std::lock_guard<std::mutex> lock(mutex_);
  crash_at_ = operations_ + count + 1;
}

bool CrashDisk::crashed() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return crashed_;
}

void CrashDisk::Reboot(CrashMode mode, raft::Random& random) {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (Inode* inode : AllInodes()) inode->Crash(mode, random);
  CrashEntries(mode, random);
  locks_.clear();
  ++life_;
  crashed_ = false;
  crash_at_.reset();
  fail_sync_ = fail_write_ = fail_read_ = fail_directory_sync_ = 0;
  denied_.clear();
  free_bytes_.reset();
}

std::unique_ptr<CrashDisk> CrashDisk::CloneAfterCrash(CrashMode mode, raft::Random& random) const {
  auto clone = std::make_unique<CrashDisk>();
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    std::map<Inode*, InodePtr> copies;
    const auto copy = [&](const InodePtr& inode) {
      InodePtr& slot = copies[inode.get()];
      if (!slot) slot = std::make_shared<Inode>(*inode);
      return slot;
    };
    clone->directories_ = directories_;
    for (const auto& [path, inode] : visible_) clone->visible_[path] = copy(inode);
    for (const auto& [path, inode] : durable_) clone->durable_[path] = copy(inode);
    for (EntryChange change : changes_) {
      change.inode = copy(change.inode);
      clone->changes_.push_back(std::move(change));
    }
  }
  clone->Reboot(mode, random);
  return clone;
}

std::vector<CrashDisk::Inode*> CrashDisk::AllInodes() const {
  std::set<Inode*> seen;
  std::vector<Inode*> inodes;
  const auto add = [&](const InodePtr& inode) {
    if (seen.insert(inode.get()).second) inodes.push_back(inode.get());
  };
  for (const auto& [path, inode] : visible_) add(inode);
  for (const auto& [path, inode] : durable_) add(inode);
  for (const EntryChange& change : changes_) add(change.inode);
  return inodes;
}

void CrashDisk::CrashEntries(CrashMode mode, raft::Random& random) {
  if (mode == CrashMode::kKeepAll) return;
  if (mode != CrashMode::kLoseAll && !changes_.empty()) {
    // Half the time a journal that kept a prefix, else any subset.
    const bool in_order = random.OneIn(2);
    const uint64_t kept = random.Between(0, changes_.size());
    for (size_t i = 0; i < changes_.size(); ++i) {
      if (in_order ? i < kept : random.OneIn(2)) Apply(changes_[i], durable_);
    }
  }
  changes_.clear();
  visible_ = durable_;
}

void CrashDisk::FailSync(uint64_t nth) {
  const std::lock_guard<std::mutex> lock(mutex_);
  fail_sync_ = nth;
  sync_reverts_ = false;
}

void CrashDisk::FailSyncAndRevert(uint64_t nth) {
  const std::lock_guard<std::mutex> lock(mutex_);
  fail_sync_ = nth;
  sync_reverts_ = true;
}

void CrashDisk::FailWrite(uint64_t nth) {
  const std::lock_guard<std::mutex> lock(mutex_);
  fail_write_ = nth;
}

void CrashDisk::FailDirectorySync(uint64_t nth) {
  const std::lock_guard<std::mutex> lock(mutex_);
  fail_directory_sync_ = nth;
}

void CrashDisk::Disarm() {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!crashed_) crash_at_.reset();
  fail_sync_ = fail_write_ = fail_read_ = fail_directory_sync_ = 0;
}

void CrashDisk::FailRead(uint64_t nth) {
  const std::lock_guard<std::mutex> lock(mutex_);
  fail_read_ = nth;
}

void CrashDisk::SetUnreadable(const std::string& path, uint64_t offset, uint64_t count) {
  const std::lock_guard<std::mutex> lock(mutex_);
  unreadable_path_ = path;
  unreadable_offset_ = offset;
  unreadable_count_ = count;
}

bool CrashDisk::IsUnreadable(const std::string& path, uint64_t offset, uint64_t count) const {
  return unreadable_count_ > 0 && path == unreadable_path_ &&
         offset < unreadable_offset_ + unreadable_count_ && unreadable_offset_ < offset + count;
}

void CrashDisk::DenyAccess(const std::string& prefix) {
  const std::lock_guard<std::mutex> lock(mutex_);
  denied_ = prefix;
}

void CrashDisk::SetFreeBytes(uint64_t bytes) {
  const std::lock_guard<std::mutex> lock(mutex_);
  free_bytes_ = bytes;
}

void CrashDisk::SetUnlimitedSpace() {
  const std::lock_guard<std::mutex> lock(mutex_);
  free_bytes_.reset();
}

void CrashDisk::FlipBits(const std::string& path, uint64_t offset, uint8_t mask) {
  const std::string contents = Contents(path);
  GAVEL_CHECK(offset < contents.size()) << path << " " << offset;
  const char flipped = static_cast<char>(contents[offset] ^ mask);
  Overwrite(path, offset, {&flipped, 1});
}

void CrashDisk::Overwrite(const std::string& path, uint64_t offset, std::string_view bytes) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = visible_.find(path);
  GAVEL_CHECK(found != visible_.end()) << path;
  found->second->visible.Write(offset, bytes);
  found->second->durable.Write(offset, bytes);
}

std::string CrashDisk::Contents(const std::string& path) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = visible_.find(path);
  GAVEL_CHECK(found != visible_.end()) << path;
  std::string contents(found->second->visible.size(), '\0');
  found->second->visible.Read(0, contents);
  return contents;
}

size_t CrashDisk::ReadDurable(const std::string& path, uint64_t offset,
                              std::span<char> buffer) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = durable_.find(path);
  if (found == durable_.end()) return 0;
  return ReadPages(found->second->durable, offset, buffer);
}

size_t CrashDisk::ReadVisible(const std::string& path, uint64_t offset,
                              std::span<char> buffer) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = visible_.find(path);
  if (found == visible_.end()) return 0;
  return ReadPages(found->second->visible, offset, buffer);
}

size_t CrashDisk::ReadPages(const Pages& pages, uint64_t offset, std::span<char> buffer) {
  if (offset >= pages.size()) return 0;
  const size_t count = std::min<uint64_t>(buffer.size(), pages.size() - offset);
  pages.Read(offset, buffer.subspan(0, count));
  return count;
}

std::vector<std::string> CrashDisk::ListDurable(const std::string& directory) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::vector<std::string> names;
  for (auto it = durable_.lower_bound(directory + "/"); it != durable_.end(); ++it) {
    if (storage::ParentPath(it->first) != directory) {
      if (it->first.compare(0, directory.size() + 1, directory + "/") != 0) break;
      continue;
    }
    names.push_back(it->first.substr(directory.size() + 1));
  }
  return names;
}

}  // namespace gavel::testing
