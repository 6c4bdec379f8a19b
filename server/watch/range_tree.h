// Ranges of keys, found by a key that they hold.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"

namespace gavel::server {

class WatchIndexEntry;

// A balanced tree over the ranges' beginnings, where each node knows how far the ranges below it
// reach (an interval tree; AVL balance, so that no choice of ranges makes it deep). A search costs
// the logarithm of the number of ranges, for each range that it finds at most.
//
// Not thread-safe.
class RangeTree {
 public:
  // All who watch one range. Stays where it is until it is erased.
  struct Node {
    std::string begin;
    std::optional<std::string> end;  // Nothing: all keys from `begin` on.
    std::vector<WatchIndexEntry*> entries;

   private:
    friend class RangeTree;
    std::unique_ptr<Node> left;
    std::unique_ptr<Node> right;
    const Node* farthest = nullptr;  // Of this and all below, the one with the last end.
    int height = 1;
  };

  // The node of a range; added if it is not there.
  Node& Find(std::string_view begin, const std::optional<std::string_view>& end);
  // Requires: `node` is in the tree.
  void Erase(Node& node);
  // Calls `visit` for every range that holds `key`.
  void ForEachHolding(std::string_view key, absl::FunctionRef<void(Node&)> visit) const;

  bool empty() const { return root_ == nullptr; }
  size_t size() const { return size_; }
  int height() const { return root_ == nullptr ? 0 : root_->height; }

 private:
  using Link = std::unique_ptr<Node>;

  static int Order(const Node& node, std::string_view begin,
                   const std::optional<std::string_view>& end);
  static int HeightOf(const Link& link) { return link == nullptr ? 0 : link->height; }
  static void Update(Node& node);
  static void RotateLeft(Link& link);
  static void RotateRight(Link& link);
  static void Balance(Link& link);
  Node& Insert(Link& link, std::string_view begin, const std::optional<std::string_view>& end);
  void Remove(Link& link, const Node& node);
  static Link TakeFirst(Link& link);
  static void Visit(Node* node, std::string_view key, absl::FunctionRef<void(Node&)> visit);

  Link root_;
  size_t size_ = 0;
};

}  // namespace gavel::server
