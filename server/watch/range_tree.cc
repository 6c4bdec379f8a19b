#include "server/watch/range_tree.h"

#include <algorithm>
#include <utility>

#include "raft/check.h"

namespace gavel::server {
namespace {

using End = std::optional<std::string_view>;

// No end is after all ends.
int CompareEnds(const End& a, const End& b) {
  if (!a || !b) return static_cast<int>(!a) - static_cast<int>(!b);
  return a->compare(*b);
}

End EndOf(const RangeTree::Node& node) {
  return node.end ? End(std::string_view(*node.end)) : End();
}

bool EndsAfter(const RangeTree::Node& node, std::string_view key) {
  return !node.end || key < *node.end;
}

}  // namespace

int RangeTree::Order(const Node& node, std::string_view begin, const End& end) {
  const int order = begin.compare(node.begin);
  return order != 0 ? order : CompareEnds(end, EndOf(node));
}

void RangeTree::Update(Node& node) {
  node.height = 1 + std::max(HeightOf(node.left), HeightOf(node.right));
  node.farthest = &node;
  for (const Link* link : {&node.left, &node.right}) {
    if (*link == nullptr) continue;
    const Node* below = (*link)->farthest;
    if (CompareEnds(EndOf(*below), EndOf(*node.farthest)) > 0) node.farthest = below;
  }
}

void RangeTree::RotateLeft(Link& link) {
  Link right = std::move(link->right);
  link->right = std::move(right->left);
  Update(*link);
  right->left = std::move(link);
  Update(*right);
  link = std::move(right);
}

void RangeTree::RotateRight(Link& link) {
  Link left = std::move(link->left);
  link->left = std::move(left->right);
  Update(*link);
  left->right = std::move(link);
  Update(*left);
  link = std::move(left);
}

void RangeTree::Balance(Link& link) {
  const int lean = HeightOf(link->left) - HeightOf(link->right);
  if (lean > 1) {
    if (HeightOf(link->left->left) < HeightOf(link->left->right)) RotateLeft(link->left);
    RotateRight(link);
  } else if (lean < -1) {
    if (HeightOf(link->right->right) < HeightOf(link->right->left)) RotateRight(link->right);
    RotateLeft(link);
  } else {
    Update(*link);
  }
}

RangeTree::Node& RangeTree::Find(std::string_view begin, const End& end) {
  for (Node* node = root_.get(); node != nullptr;) {
    const int order = Order(*node, begin, end);
    if (order == 0) return *node;
    node = order < 0 ? node->left.get() : node->right.get();
  }
  ++size_;
  return Insert(root_, begin, end);
}

RangeTree::Node& RangeTree::Insert(Link& link, std::string_view begin, const End& end) {
  if (link == nullptr) {
    link = std::make_unique<Node>();
    link->begin = begin;
    if (end) link->end.emplace(*end);
    Update(*link);
    return *link;
  }
  Node& node = Insert(Order(*link, begin, end) < 0 ? link->left : link->right, begin, end);
  Balance(link);
  return node;
}

void RangeTree::Erase(Node& node) {
  --size_;
  Remove(root_, node);
}

void RangeTree::Remove(Link& link, const Node& node) {
  GAVEL_CHECK(link != nullptr) << "erasing a range that is not there";
  if (link.get() != &node) {
    Remove(Order(*link, node.begin, EndOf(node)) < 0 ? link->left : link->right, node);
    Balance(link);
    return;
  }
  const Link removed = std::move(link);
  if (removed->left == nullptr || removed->right == nullptr) {
    link = std::move(removed->left == nullptr ? removed->right : removed->left);
    return;
  }
  Link first = TakeFirst(removed->right);
  first->left = std::move(removed->left);
  first->right = std::move(removed->right);
  link = std::move(first);
  Balance(link);
}

RangeTree::Link RangeTree::TakeFirst(Link& link) {
  if (link->left == nullptr) {
    Link first = std::move(link);
    link = std::move(first->right);
    return first;
  }
  Link first = TakeFirst(link->left);
  Balance(link);
  return first;
}

void RangeTree::ForEachHolding(std::string_view key, absl::FunctionRef<void(Node&)> visit) const {
  Visit(root_.get(), key, visit);
}

void RangeTree::Visit(Node* node, std::string_view key, absl::FunctionRef<void(Node&)> visit) {
  while (node != nullptr && EndsAfter(*node->farthest, key)) {
    Visit(node->left.get(), key, visit);
    // All to the right begin later still.
    if (key < node->begin) return;
    if (EndsAfter(*node, key)) visit(*node);
    node = node->right.get();
  }
}

}  // namespace gavel::server
