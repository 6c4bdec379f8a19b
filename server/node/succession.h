// Who leads next: the successor of a leader that goes, and giving way to a member that is to lead.
#pragma once

#include <optional>

#include "raft/raft.h"
#include "server/clock.h"
#include "storage/state/members.h"

namespace gavel::server {

// The voter to hand leadership to: of those that the leader hears from, one that has caught up
// sooner than another, then by priority, then by how much of the log it holds. Nothing if it hears
// from none.
std::optional<raft::NodeId> BestSuccessor(const raft::Status& leader,
                                          const storage::MemberTable& members);

// Decides when a leader gives way to a voter with a higher --leader-priority.
//
// It does so once the other has been heard from and caught up for a while, so that leadership does
// not follow a member that comes and goes. When it has to do so again soon, because the other could
// not take it or did not keep it, the while doubles.
//
// Elections know nothing of priorities: whoever can lead does, at once.
//
// Passive: told the time with each call. Of the core's thread.
class LeaderPriority {
 public:
  static constexpr MonotonicNs kWaitFactorMax = 8;

  explicit LeaderPriority(MonotonicNs wait) : first_wait_(wait), wait_(wait) {}

  // To whom this member should hand leadership now; nothing if it should not.
  std::optional<raft::NodeId> Next(const raft::Status& status, const storage::MemberTable& members,
                                   MonotonicNs now);

 private:
  const MonotonicNs first_wait_;
  MonotonicNs wait_;
  std::optional<raft::NodeId> preferred_;
  MonotonicNs since_ = 0;  // It has been ready.
  std::optional<MonotonicNs> handed_over_;
};

}  // namespace gavel::server
