// The commit index: how a leader advances it, and what follows from that.
#include <algorithm>

#include "raft/check.h"
#include "raft/core.h"
#include "raft/sim_point.h"

namespace gavel::raft {

// Commits what a quorum holds durably, but only through an entry of the leader's own term: an
// older entry on a quorum can still be overwritten (Ongaro §3.6.2, figure 3.7).
void Raft::Core::AdvanceCommit() {
  const auto* leader = As<Leader>();
  if (!leader) return;
  const Index stored = QuorumIndex(configuration(), [&](NodeId id) {
    if (id == options_.id) return GAVEL_PLANTED_BUG(4) ? log_.last().index : log_.persisted();
    const auto peer = leader->peers.find(id);
    return peer == leader->peers.end() ? Index() : peer->second.match;
  });
  if (stored <= commit_) return;
  if (log_.TermAt(stored) != term_ && !GAVEL_PLANTED_BUG(10)) return;
  CommitTo(stored);
}

void Raft::Core::CommitTo(Index index) {
  if (index <= commit_) return;
  GAVEL_CHECK(index <= log_.last().index) << index.value() << log_.last().index.value();
  if (auto* leader = As<Leader>()) {
    for (Index i = commit_.Next(); i <= index; i = i.Next()) {
      leader->uncommitted_bytes -= log_.At(i).payload_bytes();
    }
  }
  commit_ = index;
  GAVEL_SIM_POINT("commit moved");
  configurations_.OnCommitted(commit_);
  if (configurations_.latest_index() <= commit_) OnConfigurationCommitted();
}

bool Raft::Core::OwnTermCommitted(const Leader& leader) const {
  return commit_ >= leader.first_of_term;
}

}  // namespace gavel::raft
