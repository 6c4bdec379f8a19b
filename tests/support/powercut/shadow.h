// Keeps the durable image of a data directory up to date while a process changes the directory.
//
// The real files take every write at once, as the page cache does; a sync copies what is dirty
// into the shadow, and the sync of a directory copies its entries. What the two differ in is
// what a power cut may take away. A process that dies in the middle of a sync leaves that sync
// half done, as it would be on a disk.
//
// Thread-safe. Knows files by inode, so descriptors may be duplicated and files renamed.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "tests/support/powercut/image.h"

namespace gavel::powercut {

class Shadow {
 public:
  // Follows `directory`, which must exist, into the folder `shadow`. A shadow that is there
  // already is that of a process that ended while the machine went on: what it had not synced
  // is still dirty, except what a failed sync dropped. Otherwise all of `directory` is durable.
  Shadow(std::string directory, const std::string& shadow);

  // Held while entries of directories change, so that a sync sees them before or after.
  std::mutex& entries_mutex() { return entries_mutex_; }

  // True if `info` is of a file or directory that is followed.
  bool Follows(const struct stat& info);

  // Tells of a new file or directory at `path`. Requires entries_mutex() for a file.
  void Created(const std::string& path, bool directory);
  // Tells that bytes may have changed, and the size with them.
  void Written(const struct stat& info, uint64_t offset, uint64_t count);
  void Resized(const struct stat& info, uint64_t before, uint64_t after);

  // Makes the file or directory open at `fd` durable.
  void Sync(int fd, const struct stat& info);
  // What a failed sync does: what is dirty is clean from now on, yet not durable.
  void Drop(const struct stat& info);

 private:
  struct Node {
    ObjectId object;
    bool resized = false;
    Ranges dirty;
  };

  void Scan(const std::string& path, uint64_t id);
  void Adopt(const std::string& path);
  // Marks what of the live file at `path` differs from the durable one, but was not dropped.
  void MarkDifferences(const std::string& path, Node& node);
  Node* Find(const struct stat& info);
  ObjectId Add(const std::string& path, bool directory);
  void SyncFile(int fd, uint64_t id, const Ranges& dirty);
  void SyncDirectory(int fd, uint64_t id);

  const std::string directory_;
  Image image_;
  dev_t device_ = 0;

  std::mutex entries_mutex_;  // Before mutex_.
  std::mutex mutex_;          // Guards what follows.
  std::map<ino_t, Node> nodes_;
  uint64_t next_id_ = kRootId;
};

}  // namespace gavel::powercut
