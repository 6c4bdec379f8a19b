// Events as they stand in a WatchResponse, encoded once for all who are sent them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "server/encoded.h"
#include "server/watch/portion.h"

namespace gavel::server {

// Appends what `change` made of its key as an encoded mvccpb.KeyValue.
void AppendKeyValue(const storage::KeyChange& change, std::string* out);

// Fields `events` of a WatchResponse, one for each change of a portion that somebody wants, in
// order: neighbours can be sent as one piece. Immutable, thread-safe.
class EventBytes {
 public:
  // Encodes the changes that are marked in `wanted` (one byte for each change). What was before a
  // change at or below `compacted` is left out.
  static std::shared_ptr<const EventBytes> Encode(const Portion& portion,
                                                  const std::vector<uint8_t>& wanted,
                                                  bool with_previous, storage::Revision compacted);

  // The changes from `begin` to before `end`.
  std::string_view Get(size_t begin, size_t end) const {
    return std::string_view(bytes_).substr(offsets_[begin], offsets_[end] - offsets_[begin]);
  }

 private:
  std::string bytes_;
  std::vector<size_t> offsets_;
};

}  // namespace gavel::server
