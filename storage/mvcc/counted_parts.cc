#include "storage/mvcc/counted_parts.h"

#include <algorithm>
#include <utility>

namespace gavel::storage {
namespace {

// Whether what ends at `end` ends no later than what ends at `other`; nothing is no end.
bool EndsBy(const std::optional<std::string>& end, const std::optional<std::string>& other) {
  return !other || (end && *end <= *other);
}

}  // namespace

KeyRange KeySpan::range() const {
  KeyRange range;
  range.begin = begin;
  range.end = end;
  return range;
}

bool KeySpan::Covers(const KeySpan& other) const {
  return begin <= other.begin && EndsBy(other.end, end);
}

void CountedParts::Add(std::string_view key) {
  ++keys_;
  if (!parts_.empty() && parts_.back().keys < part_keys_) {
    ++parts_.back().keys;
    return;
  }
  if (parts_.size() >= kPartsMax || (parts_.size() > 1 && bytes_ >= kBytesMax)) Halve();
  parts_.push_back({parts_.empty() ? span_.begin : std::string(key), 1});
  bytes_ += parts_.back().begin.size();
}

void CountedParts::Halve() {
  std::vector<Part> halved;
  halved.reserve(parts_.size() / 2 + 1);
  bytes_ = 0;
  for (size_t i = 0; i < parts_.size(); ++i) {
    if (i % 2 == 1) {
      halved.back().keys += parts_[i].keys;
      continue;
    }
    bytes_ += parts_[i].begin.size();
    halved.push_back(std::move(parts_[i]));
  }
  parts_ = std::move(halved);
  part_keys_ *= 2;
}

void CountedParts::Count(std::string_view key, int difference) {
  if (!span_.Contains(key)) return;
  keys_ += difference;
  if (parts_.empty()) parts_.push_back({span_.begin, 0});
  const auto after = std::upper_bound(
      parts_.begin(), parts_.end(), key,
      [](std::string_view searched, const Part& part) { return searched < part.begin; });
  std::prev(after)->keys += difference;
}

CountedParts::Inside CountedParts::PartsInside(const KeySpan& span) const {
  const auto first = std::lower_bound(
      parts_.begin(), parts_.end(), span.begin,
      [](const Part& part, std::string_view searched) { return part.begin < searched; });
  auto last = parts_.end();
  if (!EndsBy(span_.end, span.end)) {
    // Of those that begin inside, the last one ends outside.
    last = std::upper_bound(
        first, parts_.end(), *span.end,
        [](std::string_view searched, const Part& part) { return searched < part.begin; });
    if (last != first) --last;
  }
  if (first == last) return {{span.begin, span.begin}, 0};
  Inside inside = {{first->begin, last == parts_.end() ? span_.end : last->begin}, 0};
  for (auto part = first; part != last; ++part) inside.keys += part->keys;
  return inside;
}

}  // namespace gavel::storage
