// An immutable ordered map from bytes to bytes: every change returns a new map that shares what
// did not change with the old one, so that keeping old states costs only their differences.
//
// A treap (Seidel, Aragon 1996) whose priorities are a hash of the key: its shape depends on its
// contents alone, never on chance or on the order of changes. Any thread may read any map.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gavel::storage {

class PersistentMap {
 public:
  struct Entry {
    std::string key;
    std::string value;
  };
  class Cursor;

  PersistentMap() = default;

  // Each returns the changed map; a missing key or an empty range changes nothing.
  PersistentMap Put(std::string_view key, std::string_view value) const;
  PersistentMap Erase(std::string_view key) const;
  PersistentMap EraseRange(std::string_view from, std::string_view to) const;

  // Null if the key is missing. Lives as long as any map that contains it.
  const Entry* Find(std::string_view key) const;
  // Bytes of all keys and values.
  uint64_t bytes() const;

 private:
  struct Node;
  using NodePtr = std::shared_ptr<const Node>;

  explicit PersistentMap(NodePtr root) : root_(std::move(root)) {}
  static NodePtr Join(const std::shared_ptr<const Entry>& entry, uint64_t priority, NodePtr left,
                      NodePtr right);
  static NodePtr Insert(const NodePtr& node, const std::shared_ptr<const Entry>& entry,
                        uint64_t priority);
  static NodePtr Erased(const NodePtr& node, std::string_view key);
  // Splits into keys before `key`, and the rest.
  static std::pair<NodePtr, NodePtr> Split(const NodePtr& node, std::string_view key);
  // Requires: every key of `left` is before every key of `right`.
  static NodePtr Merge(const NodePtr& left, const NodePtr& right);

  NodePtr root_;
};

// Walks one map, which it keeps alive.
class PersistentMap::Cursor {
 public:
  explicit Cursor(PersistentMap map) : map_(std::move(map)) {}

  void SeekToFirst();
  void SeekToLast();
  void SeekAtOrAfter(std::string_view key);
  void SeekAtOrBefore(std::string_view key);
  // Requires: Valid().
  void Next();
  void Prev();

  bool Valid() const { return !path_.empty(); }
  // Requires: Valid().
  const Entry& entry() const;

 private:
  void DescendLeft(const Node* node);
  void DescendRight(const Node* node);

  PersistentMap map_;
  std::vector<const Node*> path_;  // From the root to the current node.
};

}  // namespace gavel::storage
