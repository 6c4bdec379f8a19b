#include "storage/engine/persistent_map.h"

namespace gavel::storage {
namespace {

// FNV-1a, finished as SplitMix64 does: near keys need far priorities.
uint64_t Priority(std::string_view key) {
  uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : key) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3ULL;
  hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9ULL;
  hash = (hash ^ (hash >> 27)) * 0x94d049bb133111ebULL;
  return hash ^ (hash >> 31);
}

}  // namespace

struct PersistentMap::Node {
  std::shared_ptr<const Entry> entry;
  uint64_t priority = 0;
  uint64_t bytes = 0;  // Of the whole subtree.
  NodePtr left;
  NodePtr right;

  std::string_view key() const { return entry->key; }
  // Equal priorities are told apart by key, or the shape would depend on the order of changes.
  bool Above(uint64_t other_priority, std::string_view other_key) const {
    return priority != other_priority ? priority > other_priority : key() < other_key;
  }
};

PersistentMap::NodePtr PersistentMap::Join(const std::shared_ptr<const Entry>& entry,
                                           uint64_t priority, NodePtr left, NodePtr right) {
  auto node = std::make_shared<Node>();
  node->entry = entry;
  node->priority = priority;
  node->bytes = entry->key.size() + entry->value.size() + (left ? left->bytes : 0) +
                (right ? right->bytes : 0);
  node->left = std::move(left);
  node->right = std::move(right);
  return node;
}

std::pair<PersistentMap::NodePtr, PersistentMap::NodePtr> PersistentMap::Split(
    const NodePtr& node, std::string_view key) {
  if (node == nullptr) return {};
  if (node->key() < key) {
    auto [before, rest] = Split(node->right, key);
    return {Join(node->entry, node->priority, node->left, std::move(before)), std::move(rest)};
  }
  auto [before, rest] = Split(node->left, key);
  return {std::move(before), Join(node->entry, node->priority, std::move(rest), node->right)};
}

PersistentMap::NodePtr PersistentMap::Merge(const NodePtr& left, const NodePtr& right) {
  if (left == nullptr) return right;
  if (right == nullptr) return left;
  if (left->Above(right->priority, right->key())) {
    return Join(left->entry, left->priority, left->left, Merge(left->right, right));
  }
  return Join(right->entry, right->priority, Merge(left, right->left), right->right);
}

PersistentMap::NodePtr PersistentMap::Insert(const NodePtr& node,
                                             const std::shared_ptr<const Entry>& entry,
                                             uint64_t priority) {
  if (node == nullptr) return Join(entry, priority, nullptr, nullptr);
  if (node->key() == entry->key) return Join(entry, priority, node->left, node->right);
  if (!node->Above(priority, entry->key)) {
    auto [before, rest] = Split(node, entry->key);
    return Join(entry, priority, std::move(before), std::move(rest));
  }
  if (entry->key < node->key()) {
    return Join(node->entry, node->priority, Insert(node->left, entry, priority), node->right);
  }
  return Join(node->entry, node->priority, node->left, Insert(node->right, entry, priority));
}

// Returns `node` itself if the key is missing, so that nothing is copied for nothing.
PersistentMap::NodePtr PersistentMap::Erased(const NodePtr& node, std::string_view key) {
  if (node == nullptr) return nullptr;
  if (key == node->key()) return Merge(node->left, node->right);
  if (key < node->key()) {
    NodePtr left = Erased(node->left, key);
    return left == node->left ? node : Join(node->entry, node->priority, left, node->right);
  }
  NodePtr right = Erased(node->right, key);
  return right == node->right ? node : Join(node->entry, node->priority, node->left, right);
}

PersistentMap PersistentMap::Put(std::string_view key, std::string_view value) const {
  auto entry = std::make_shared<const Entry>(Entry{std::string(key), std::string(value)});
  return PersistentMap(Insert(root_, entry, Priority(key)));
}

PersistentMap PersistentMap::Erase(std::string_view key) const {
  return PersistentMap(Erased(root_, key));
}

PersistentMap PersistentMap::EraseRange(std::string_view from, std::string_view to) const {
  if (from >= to) return *this;
  auto [before, rest] = Split(root_, from);
  return PersistentMap(Merge(before, Split(rest, to).second));
}

const PersistentMap::Entry* PersistentMap::Find(std::string_view key) const {
  const Node* node = root_.get();
  while (node != nullptr) {
    const int order = key.compare(node->key());
    if (order == 0) return node->entry.get();
    node = order < 0 ? node->left.get() : node->right.get();
  }
  return nullptr;
}

uint64_t PersistentMap::bytes() const { return root_ ? root_->bytes : 0; }

const PersistentMap::Entry& PersistentMap::Cursor::entry() const { return *path_.back()->entry; }

void PersistentMap::Cursor::DescendLeft(const Node* node) {
  for (; node != nullptr; node = node->left.get()) path_.push_back(node);
}

void PersistentMap::Cursor::DescendRight(const Node* node) {
  for (; node != nullptr; node = node->right.get()) path_.push_back(node);
}

void PersistentMap::Cursor::SeekToFirst() {
  path_.clear();
  DescendLeft(map_.root_.get());
}

void PersistentMap::Cursor::SeekToLast() {
  path_.clear();
  DescendRight(map_.root_.get());
}

void PersistentMap::Cursor::SeekAtOrAfter(std::string_view key) {
  path_.clear();
  size_t found = 0;  // Length of the path to the best node so far.
  for (const Node* node = map_.root_.get(); node != nullptr;) {
    path_.push_back(node);
    if (node->key() < key) {
      node = node->right.get();
    } else {
      found = path_.size();
      node = node->left.get();
    }
  }
  path_.resize(found);
}

void PersistentMap::Cursor::SeekAtOrBefore(std::string_view key) {
  path_.clear();
  size_t found = 0;
  for (const Node* node = map_.root_.get(); node != nullptr;) {
    path_.push_back(node);
    if (key < node->key()) {
      node = node->left.get();
    } else {
      found = path_.size();
      node = node->right.get();
    }
  }
  path_.resize(found);
}

void PersistentMap::Cursor::Next() {
  const Node* node = path_.back();
  if (node->right != nullptr) return DescendLeft(node->right.get());
  path_.pop_back();
  while (!path_.empty() && path_.back()->right.get() == node) {
    node = path_.back();
    path_.pop_back();
  }
}

void PersistentMap::Cursor::Prev() {
  const Node* node = path_.back();
  if (node->left != nullptr) return DescendRight(node->left.get());
  path_.pop_back();
  while (!path_.empty() && path_.back()->left.get() == node) {
    node = path_.back();
    path_.pop_back();
  }
}

}  // namespace gavel::storage
