#include "raft/seen_proposals.h"

#include <iterator>

namespace gavel::raft {

bool SeenProposals::Contains(const RequestId& id) const {
  const auto member = ranges_.find({id.member, id.incarnation});
  if (member == ranges_.end()) return false;
  const auto above = member->second.upper_bound(id.sequence);
  return above != member->second.begin() && std::prev(above)->second >= id.sequence;
}

bool SeenProposals::Add(const RequestId& id) {
  if (Contains(id)) return false;
  Ranges& ranges = ranges_[{id.member, id.incarnation}];
  auto at = ranges.emplace(id.sequence, id.sequence).first;
  if (at != ranges.begin() && std::prev(at)->second + 1 == id.sequence) {
    const auto before = std::prev(at);
    before->second = id.sequence;
    ranges.erase(at);
    at = before;
  }
  const auto after = std::next(at);
  if (after != ranges.end() && at->second + 1 == after->first) {
    at->second = after->second;
    ranges.erase(after);
  }
  if (ranges.size() > kRangesMax) {
    const auto second = std::next(ranges.begin());
    ranges.begin()->second = second->second;
    ranges.erase(second);
  }
  return true;
}

}  // namespace gavel::raft
