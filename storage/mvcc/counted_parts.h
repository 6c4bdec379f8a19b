// A stretch of keys in parts, and how many keys are live in each.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "storage/mvcc/key_codec.h"

namespace gavel::storage {

// User keys from `begin` to before `end`, as a KeyRange that owns its bytes; never a single key.
struct KeySpan {
  std::string begin;
  std::optional<std::string> end;

  // A view of it, for what reads.
  KeyRange range() const;
  bool Contains(std::string_view key) const { return range().Contains(key); }
  // Whether all of `other` is in it.
  bool Covers(const KeySpan& other) const;
};

// Filled by a walk over the keys, then kept up to date change by change. Not thread-safe.
class CountedParts {
 public:
  // With more parts than this, or more bytes of keys that parts begin with, two become one.
  static constexpr size_t kPartsMax = 16384;
  static constexpr size_t kBytesMax = 1 << 20;

  // `part_keys`: live keys of a part, when the walk has left it.
  CountedParts(std::string begin, int64_t part_keys)
      : span_{std::move(begin), std::nullopt}, part_keys_(part_keys) {}

  // The walk has come to `key`. Requires: keys come in ascending order.
  void Add(std::string_view key);
  // The walk ends before `end`.
  void EndAt(std::optional<std::string> end) { span_.end = std::move(end); }
  // `key` has come to exist (1), or ceased to (-1). Keys outside the span are not counted.
  void Count(std::string_view key, int difference);

  const KeySpan& span() const { return span_; }
  int64_t keys() const { return keys_; }
  size_t key_bytes() const { return bytes_; }

  // The whole parts inside `span`; if there are none, an empty span and 0.
  struct Inside {
    KeySpan span;
    int64_t keys = 0;
  };
  Inside PartsInside(const KeySpan& span) const;

 private:
  struct Part {
    std::string begin;
    int64_t keys = 0;
  };

  void Halve();

  KeySpan span_;
  int64_t part_keys_;
  std::vector<Part> parts_;  // The first begins where the span does.
  size_t bytes_ = 0;         // Of the keys that they begin with.
  int64_t keys_ = 0;
};

}  // namespace gavel::storage
