// Quorum arithmetic over simple and joint configurations.
//
// Pure functions without state. A joint configuration agrees only when both of its halves
// agree (Ongaro §4.3); an empty half agrees with everything. Members that are no voters are
// never counted.
#pragma once

#include <functional>
#include <map>

#include "raft/configuration.h"
#include "raft/types.h"

namespace gavel::raft {

// Returns true if a quorum of `configuration` agrees. False for one without any voter.
bool HasQuorum(const Configuration& configuration, const std::function<bool(NodeId)>& agrees);

// Returns the highest index that a quorum stores; Index() for a configuration without voters.
Index QuorumIndex(const Configuration& configuration, const std::function<Index(NodeId)>& stored);

// The answers to one campaign. A member's first answer counts, repeats do not.
class Ballot {
 public:
  enum class Result { kOpen, kWon, kLost };

  void Record(NodeId voter, bool granted) { answers_.emplace(voter, granted); }

  // kLost as soon as a quorum can no longer be reached.
  Result Count(const Configuration& configuration) const;

 private:
  std::map<NodeId, bool> answers_;
};

}  // namespace gavel::raft
