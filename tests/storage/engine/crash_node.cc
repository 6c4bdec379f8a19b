#include "tests/storage/engine/crash_node.h"

#include <algorithm>
#include <cstdint>

namespace gavel::storage::crash_fs {
namespace {

constexpr size_t kPage = 4096;

// The bytes of `file` after a power cut.
std::string Survivors(const Node& file, raft::Random& random) {
  const size_t unsynced = file.bytes.size() - file.synced;
  const uint64_t draw = random.Below(4);
  const size_t any = random.Below(unsynced + 1);
  std::string bytes = file.bytes.substr(0, file.synced + (draw == 0   ? 0
                                                          : draw == 1 ? unsynced
                                                                      : any));
  for (size_t at = file.synced; at < bytes.size();) {
    const size_t end = std::min(bytes.size(), (at / kPage + 1) * kPage);
    if (random.OneIn(4)) std::fill(bytes.begin() + at, bytes.begin() + end, '\0');
    at = end;
  }
  for (const auto& [from, to] : file.lost) {
    if (from < bytes.size()) {
      std::fill(bytes.begin() + from, bytes.begin() + std::min(to, bytes.size()), '\0');
    }
  }
  return bytes;
}

// `copies` keeps hard links to one file together.
NodePtr CrashNode(const NodePtr& node, raft::Random& random,
                  std::map<const Node*, NodePtr>& copies) {
  NodePtr& copy = copies[node.get()];
  if (copy != nullptr) return copy;
  copy = std::make_shared<Node>(node->directory);
  NodePtr result = copy;  // `copy` may move when the map grows.
  if (!node->directory) {
    result->bytes = Survivors(*node, random);
    result->synced = result->bytes.size();
    return result;
  }
  auto entries = node->durable_entries;
  const uint64_t draw = random.Below(3);
  const size_t any = random.Below(node->changes.size() + 1);
  const size_t kept = draw == 0 ? 0 : draw == 1 ? node->changes.size() : any;
  for (size_t i = 0; i < kept; ++i) {
    const Node::Change& change = node->changes[i];
    if (!change.old_name.empty()) entries.erase(change.old_name);
    if (change.node == nullptr) {
      entries.erase(change.name);
    } else {
      entries[change.name] = change.node;
    }
  }
  for (const auto& [name, child] : entries) {
    result->entries[name] = CrashNode(child, random, copies);
  }
  result->durable_entries = result->entries;
  return result;
}

}  // namespace

NodePtr CrashCopy(const NodePtr& root, raft::Random& random) {
  std::map<const Node*, NodePtr> copies;
  return CrashNode(root, random, copies);
}

}  // namespace gavel::storage::crash_fs
