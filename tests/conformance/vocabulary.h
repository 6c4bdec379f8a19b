// The words of which operations are made: keys, ends, values, revisions, limits.
//
// Few of each and many of them odd, so that operations meet one another and the edges.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "raft/random.h"

namespace gavel::conformance {

class Vocabulary {
 public:
  // Without `local`, nothing is asked that a member answers from its own copy, which may be
  // behind.
  Vocabulary(raft::Random& random, bool local) : random_(random), local_(local) {}

  std::string Key();
  // None, all, a prefix's, another key, an earlier one, the key itself.
  std::string RangeEnd(const std::string& key);
  std::string Value();
  // To read or compact at: mostly between the compacted revision and the newest, sometimes past
  // either, rarely senseless.
  int64_t Revision();
  // To filter by or compare with.
  int64_t RevisionBound();
  int64_t Limit();
  // Mostly one of leases(), if there are any; else one that nobody has.
  int64_t Lease();
  // What is granted; puts are given leases only if there are any.
  std::vector<int64_t>& leases() { return leases_; }

  // True `percent` times of a hundred.
  bool Chance(uint64_t percent) { return random_.Below(100) < percent; }
  raft::Random& random() { return random_; }
  bool local() const { return local_; }

  void set_revision(int64_t revision) { revision_ = revision; }
  void set_compacted(int64_t compacted) { compacted_ = compacted; }
  int64_t revision() const { return revision_; }

 private:
  raft::Random& random_;
  bool local_;
  int64_t revision_ = 1;
  int64_t compacted_ = 0;
  std::vector<int64_t> leases_;
};

// The end of the range of all keys that begin with `prefix`.
std::string PrefixEnd(std::string prefix);

}  // namespace gavel::conformance
