#include "tests/support/powercut/shadow.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <utility>

namespace gavel::powercut {
namespace {

constexpr uint64_t kBlockBytes = 4096;

struct stat StatOf(const std::string& path) {
  struct stat info = {};
  if (lstat(path.c_str(), &info) != 0) Die("cannot stat " + path);
  return info;
}

// Copies the bytes of `ranges` from one file to the other, as far as the source has them.
void CopyRanges(int from, int to, const Ranges& ranges) {
  std::string buffer(1 << 20, '\0');
  for (const auto& [offset, end] : ranges) {
    uint64_t at = offset;
    while (at < end) {
      const size_t count = static_cast<size_t>(std::min<uint64_t>(buffer.size(), end - at));
      const ssize_t read = pread(from, buffer.data(), count, static_cast<off_t>(at));
      if (read < 0) Die("cannot read back what was written");
      if (read == 0) break;
      if (pwrite(to, buffer.data(), static_cast<size_t>(read), static_cast<off_t>(at)) != read) {
        Die("cannot write to the shadow");
      }
      at += static_cast<uint64_t>(read);
    }
  }
}

bool Covers(const Ranges& ranges, uint64_t offset, uint64_t end) {
  return std::any_of(ranges.begin(), ranges.end(), [&](const auto& range) {
    return range.first <= offset && end <= range.second;
  });
}

void AddRange(Ranges& ranges, uint64_t offset, uint64_t end) {
  // Appending is the common case.
  if (!ranges.empty() && ranges.back().first <= offset && offset <= ranges.back().second) {
    ranges.back().second = std::max(ranges.back().second, end);
    return;
  }
  ranges.emplace_back(offset, end);
}

}  // namespace

Shadow::Shadow(std::string directory, const std::string& shadow)
    : directory_(std::move(directory)), image_(shadow) {
  const struct stat root = StatOf(directory_);
  device_ = root.st_dev;
  if (image_.exists()) {
    for (const std::string& name : ListDirectory(shadow)) {
      if (name[0] != 'f' && name[0] != 'd') continue;
      next_id_ = std::max<uint64_t>(next_id_, strtoull(name.c_str() + 1, nullptr, 10) + 1);
    }
    nodes_[root.st_ino].object = {true, kRootId};
    Adopt(directory_);
    return;
  }
  if (mkdir(shadow.c_str(), 0700) != 0 && errno != EEXIST) Die("cannot make " + shadow);
  const ObjectId object{true, next_id_++};
  nodes_[root.st_ino].object = object;
  image_.Assign(directory_, root.st_ino, object);
  Scan(directory_, object.id);
}

void Shadow::Scan(const std::string& path, uint64_t id) {
  Entries entries;
  for (const std::string& name : ListDirectory(path)) {
    const std::string child = path + "/" + name;
    const struct stat info = StatOf(child);
    if (!S_ISDIR(info.st_mode) && !S_ISREG(info.st_mode)) continue;
    if (Node* known = Find(info)) {
      entries[name] = known->object;  // Another name of a file that was met before.
      continue;
    }
    const ObjectId object = Add(child, S_ISDIR(info.st_mode));
    entries[name] = object;
    if (object.directory) {
      Scan(child, object.id);
    } else {
      ReplaceFile(image_.FilePath(object.id), ReadFile(child).value_or(""));
    }
  }
  // Last, so that a shadow whose root is there is whole.
  image_.WriteEntries(id, entries);
}

void Shadow::Adopt(const std::string& path) {
  for (const std::string& name : ListDirectory(path)) {
    const std::string child = path + "/" + name;
    const struct stat info = StatOf(child);
    if ((!S_ISDIR(info.st_mode) && !S_ISREG(info.st_mode)) || Find(info) != nullptr) continue;
    const std::optional<ObjectId> object = image_.Identify(child);
    if (object) {
      nodes_[info.st_ino].object = *object;
    } else {
      Add(child, S_ISDIR(info.st_mode));  // The process died before it could tell of it.
    }
    Node& node = nodes_[info.st_ino];
    if (node.object.directory) {
      Adopt(child);
    } else {
      MarkDifferences(child, node);
    }
  }
}

void Shadow::MarkDifferences(const std::string& path, Node& node) {
  const std::string live = ReadFile(path).value_or("");
  const std::string durable = ReadFile(image_.FilePath(node.object.id)).value_or("");
  const Ranges lost = image_.ReadLost(node.object.id);
  node.resized = live.size() != durable.size();
  for (uint64_t at = 0; at < live.size(); at += kBlockBytes) {
    const uint64_t end = std::min<uint64_t>(at + kBlockBytes, live.size());
    if (durable.size() >= end && memcmp(&live[at], &durable[at], end - at) == 0) continue;
    if (!Covers(lost, at, end)) AddRange(node.dirty, at, end);
  }
}

Shadow::Node* Shadow::Find(const struct stat& info) {
  if (info.st_dev != device_) return nullptr;
  const auto found = nodes_.find(info.st_ino);
  return found == nodes_.end() ? nullptr : &found->second;
}

bool Shadow::Follows(const struct stat& info) {
  if (info.st_dev != device_) return false;
  const std::lock_guard<std::mutex> lock(mutex_);
  return Find(info) != nullptr;
}

ObjectId Shadow::Add(const std::string& path, bool directory) {
  const struct stat info = StatOf(path);
  const ObjectId object{directory, next_id_++};
  nodes_[info.st_ino] = Node{object, false, {}};
  if (directory) {
    image_.WriteEntries(object.id, {});
  } else {
    ReplaceFile(image_.FilePath(object.id), "");
  }
  image_.Assign(path, info.st_ino, object);
  return object;
}

void Shadow::Created(const std::string& path, bool directory) {
  const std::lock_guard<std::mutex> lock(mutex_);
  Add(path, directory);
}

void Shadow::Written(const struct stat& info, uint64_t offset, uint64_t count) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (Node* node = Find(info)) AddRange(node->dirty, offset, offset + count);
}

void Shadow::Resized(const struct stat& info, uint64_t before, uint64_t after) {
  const std::lock_guard<std::mutex> lock(mutex_);
  Node* node = Find(info);
  if (node == nullptr || before == after) return;
  node->resized = true;
  // What was cut off must read as zeros if the file grows again before the next sync.
  if (after < before) AddRange(node->dirty, after, before);
}

void Shadow::Sync(int fd, const struct stat& info) {
  std::unique_lock<std::mutex> entries(entries_mutex_, std::defer_lock);
  if (S_ISDIR(info.st_mode)) entries.lock();
  const std::lock_guard<std::mutex> lock(mutex_);
  Node* node = Find(info);
  if (node == nullptr) return;
  if (node->object.directory) return SyncDirectory(fd, node->object.id);
  if (node->dirty.empty() && !node->resized) return;
  // A write that returns during the copy is marked after it, and waits for the next sync.
  SyncFile(fd, node->object.id, node->dirty);
  node->dirty.clear();
  node->resized = false;
}

void Shadow::SyncFile(int fd, uint64_t id, const Ranges& dirty) {
  // The descriptor may be for writing only.
  const int live = open(("/proc/self/fd/" + std::to_string(fd)).c_str(), O_RDONLY | O_CLOEXEC);
  const int durable = open(image_.FilePath(id).c_str(), O_WRONLY | O_CLOEXEC);
  struct stat info;
  if (live < 0 || durable < 0 || fstat(live, &info) != 0) Die("cannot open a file for its sync");
  CopyRanges(live, durable, dirty);
  if (ftruncate(durable, info.st_size) != 0) Die("cannot resize a file of the shadow");
  close(live);
  close(durable);
}

void Shadow::SyncDirectory(int fd, uint64_t id) {
  const std::string path = "/proc/self/fd/" + std::to_string(fd);
  Entries entries;
  for (const std::string& name : ListDirectory(path)) {
    struct stat info;
    if (fstatat(fd, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (const Node* node = Find(info)) entries[name] = node->object;
  }
  image_.WriteEntries(id, entries);
}

void Shadow::Drop(const struct stat& info) {
  const std::lock_guard<std::mutex> lock(mutex_);
  Node* node = Find(info);
  if (node == nullptr || node->object.directory) return;
  // The kernel forgets whole pages.
  Ranges pages = node->dirty;
  for (auto& [offset, end] : pages) {
    offset -= offset % kBlockBytes;
    end += (kBlockBytes - end % kBlockBytes) % kBlockBytes;
  }
  image_.AddLost(node->object.id, pages);
  node->dirty.clear();
  node->resized = false;
}

}  // namespace gavel::powercut
