#include "raft/quorum.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <vector>

namespace gavel::raft {
namespace {

bool HalfAgrees(const std::vector<NodeId>& voters, const std::function<bool(NodeId)>& agrees) {
  const auto count = std::count_if(voters.begin(), voters.end(), agrees);
  return voters.empty() || static_cast<size_t>(count) > voters.size() / 2;
}

Index HalfIndex(const std::vector<NodeId>& voters, const std::function<Index(NodeId)>& stored) {
  if (voters.empty()) return Index(std::numeric_limits<uint64_t>::max());
  std::vector<Index> indexes;
  indexes.reserve(voters.size());
  for (NodeId voter : voters) indexes.push_back(stored(voter));
  // In descending order, the entry at the middle is stored by a majority:
  // of 5, 4, 4, 2, 1 three hold at least 4; of 5, 4, 2, 1 three hold at least 2.
  const auto middle = indexes.begin() + static_cast<ptrdiff_t>(voters.size() / 2);
  std::nth_element(indexes.begin(), middle, indexes.end(), std::greater<>());
  return *middle;
}

}  // namespace

bool HasQuorum(const Configuration& configuration, const std::function<bool(NodeId)>& agrees) {
  return !configuration.voters.empty() && HalfAgrees(configuration.voters, agrees) &&
         HalfAgrees(configuration.outgoing_voters, agrees);
}

Index QuorumIndex(const Configuration& configuration, const std::function<Index(NodeId)>& stored) {
  if (configuration.voters.empty()) return Index();
  return std::min(HalfIndex(configuration.voters, stored),
                  HalfIndex(configuration.outgoing_voters, stored));
}

Ballot::Result Ballot::Count(const Configuration& configuration) const {
  const auto granted = [this](NodeId id) {
    const auto at = answers_.find(id);
    return at != answers_.end() && at->second;
  };
  const auto not_refused = [this](NodeId id) {
    const auto at = answers_.find(id);
    return at == answers_.end() || at->second;
  };
  if (HasQuorum(configuration, granted)) return Result::kWon;
  return HasQuorum(configuration, not_refused) ? Result::kOpen : Result::kLost;
}

}  // namespace gavel::raft
