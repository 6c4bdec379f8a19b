// Which forwarded proposals a leader has already decided on in its term.
//
// A repeated message must neither append a command twice nor call one dropped that an earlier
// copy of the message appended.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <utility>

#include "raft/types.h"

namespace gavel::raft {

// Remembers ids as ranges of sequence numbers for each life of each member. Numbers come nearly
// in order, so there are few ranges; if there are too many, the lowest gap counts as seen, which
// leaves the outcome of whatever arrives from it unknown instead of wrong.
class SeenProposals {
 public:
  // Records `id`. Returns true if it was not known.
  bool Add(const RequestId& id);
  bool Contains(const RequestId& id) const;
  void Clear() { ranges_.clear(); }

 private:
  static constexpr size_t kRangesMax = 4096;
  // First to last sequence number, both included; ranges neither touch nor overlap.
  using Ranges = std::map<uint64_t, uint64_t>;

  std::map<std::pair<NodeId, Incarnation>, Ranges> ranges_;
};

}  // namespace gavel::raft
