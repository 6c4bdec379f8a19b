// What a leader does about a change of members: one step of the configuration at a time towards
// what is wanted (storage/state/membership.h).
//
// Everything is decided from the state, the configuration in force and what the leader knows of its
// followers, so that whoever leads next goes on.
#pragma once

#include <optional>

#include "proto/internal/command.pb.h"
#include "raft/configuration.h"
#include "raft/raft.h"
#include "storage/request_error.h"
#include "storage/state/membership.h"
#include "storage/state/state_machine.h"

namespace gavel::server {

// Whether `member` holds nine tenths of the leader's log, and lacks no more entries than a follower
// under load does. False if it is not known to the leader.
bool HasCaughtUp(const raft::Status& leader, raft::NodeId member);

// The next configuration on the way from `configuration` to `wanted`; nothing if it is reached, or
// members have to catch up first.
//
// Members come as learners, learners go and URLs change in one step; then voters come and go, in a
// step of their own, which the core takes through a joint configuration.
std::optional<raft::Configuration> NextConfiguration(const storage::Membership& wanted,
                                                     const raft::Configuration& configuration,
                                                     const raft::Status& leader);

// Why the leader does not take `change` as things are; kNone if it may be.
storage::RequestError WhyNotYet(const internal::ChangeMembers& change,
                                const raft::Configuration& configuration,
                                const raft::Status& leader);

// Of the core's thread.
class MembershipDriver {
 public:
  explicit MembershipDriver(const storage::StateMachine& machine) : machine_(machine) {}

  // What to ask the core for now. Nothing until the state is what a leader of this term knows.
  std::optional<raft::Configuration> Next(const raft::Configuration& configuration,
                                          const raft::Status& status) const;

 private:
  const storage::StateMachine& machine_;
};

}  // namespace gavel::server
