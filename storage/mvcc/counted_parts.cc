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

bool KeySpan::Covers(const KeySpan& other) const {
  return begin <= other.begin && EndsBy(other.end, end);
}

void CountedParts::Add(std::string_view key) {
  ++keys_;
  if (!parts_.empty() && parts_.back().keys < part_keys_) {
    ++parts_.back().keys;
    return;
  }
  if (parts_.size() == kPartsMax) Halve();
  parts_.push_back({parts_.empty() ? span_.begin : std::string(key), 1});
}

void CountedParts::Halve() {
  for (size_t i = 0; i < kPartsMax / 2; ++i) {
    const int64_t keys = parts_[2 * i].keys + parts_[2 * i + 1].keys;
    parts_[i] = {std::move(parts_[2 * i].begin), keys};
  }
  parts_.resize(kPartsMax / 2);
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
