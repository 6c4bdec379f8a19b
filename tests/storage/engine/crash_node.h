// Files and directories of the crashable file system, and what a power cut leaves of them.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "raft/random.h"

namespace gavel::storage {

namespace crash_fs {

struct Node;
using NodePtr = std::shared_ptr<Node>;

// A file or a directory.
struct Node {
  explicit Node(bool is_directory) : directory(is_directory) {}

  const bool directory;

  // Of a file.
  std::string bytes;
  size_t synced = 0;  // Bytes before this are durable, but for `lost`.
  // Ranges whose sync failed: readable, never written again by a later sync, gone after a crash.
  std::vector<std::pair<size_t, size_t>> lost;

  // Of a directory.
  struct Change {
    std::string name;
    NodePtr node;          // Null: the name is gone.
    std::string old_name;  // Of a rename inside the directory: gone in the same moment.
  };
  std::map<std::string, NodePtr> entries;
  std::map<std::string, NodePtr> durable_entries;
  std::vector<Change> changes;  // Since the last sync.
};

// What a power cut leaves of a tree, all of it durable.
NodePtr CrashCopy(const NodePtr& root, raft::Random& random);

}  // namespace crash_fs

}  // namespace gavel::storage
