// The digest of the state: a running checksum over what entries have done to it.
//
// Equal on members whose states have been equal all along, and different from the first entry on
// that was not carried out in the same way: on other rows, or with another result. It says nothing
// of rows that no entry has touched since they were damaged; for those there are the checksums of
// the engine's files, and HashKV.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "raft/types.h"
#include "storage/mvcc/writer.h"

namespace gavel::storage {

struct LeaseChange;
struct MetaLeases;

// What the digest was before the entry at `index`; none: no such entry yet.
struct DigestMark {
  raft::Index index;
  uint32_t digest = 0;

  friend bool operator==(const DigestMark&, const DigestMark&) = default;
};
// The newest mark, and the one before it.
using DigestMarks = std::array<DigestMark, 2>;

// What a member says its digest was at a mark.
struct DigestReport {
  raft::NodeId member;
  DigestMark mark;
};

// The digest after `entry`. `totals` are those after it, with the digest that has taken in each key
// changed (Writer); `changes` are of the leases that it changed.
uint32_t DigestAfter(const raft::Entry& entry, const Totals& totals, const MetaLeases& leases,
                     std::span<const LeaseChange> changes);

}  // namespace gavel::storage
