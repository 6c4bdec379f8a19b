// Who is wanted as a member, which the configuration follows step by step.
//
// A change of members that is applied only says what is wanted. The leader then brings the
// configuration there (server/node/membership_driver.h), from the state alone, so that whoever
// leads next goes on. Everything here is a function of the state and the change.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "proto/internal/command.pb.h"
#include "raft/configuration.h"
#include "storage/engine/engine.h"
#include "storage/request_error.h"
#include "storage/state/members.h"

namespace gavel::storage {

struct WantedMember {
  raft::NodeId id;
  std::vector<std::string> peer_urls;
  bool learner = false;      // Else a voter, from when it has caught up.
  bool leaves = false;       // As soon as can be.
  raft::NodeId replaced_by;  // Leaves when this one has arrived.

  friend bool operator==(const WantedMember&, const WantedMember&) = default;
};

// Invariants: both lists are sorted by id without repeats, and no id is in both.
struct Membership {
  std::vector<WantedMember> members;
  std::vector<raft::NodeId> removed;  // Have been members: never to be used again.
  // No change was ever asked for: what the configuration has is wanted. It has no row then.
  bool as_configured = true;

  // Null when unknown.
  const WantedMember* Find(raft::NodeId id) const;
  WantedMember* Find(raft::NodeId id);
  bool WasRemoved(raft::NodeId id) const;

  friend bool operator==(const Membership&, const Membership&) = default;
};

// `configuration` as it is.
Membership AsConfigured(const raft::Configuration& configuration);

// Requires: not as_configured.
std::string EncodeMembership(const Membership& membership);
// False if the bytes are damaged.
bool DecodeMembership(std::string_view bytes, Membership* membership);
// What the row in `engine` says; without one, what `configuration` has is wanted.
absl::StatusOr<Membership> ReadMembership(const Engine& engine,
                                          const raft::Configuration& configuration);

// Carries `change` out whole, or refuses it and changes nothing. `configuration` is the applied
// one.
RequestError ChangeMembership(const internal::ChangeMembers& change,
                              const raft::Configuration& configuration, Membership& membership);

// Follows `configuration`, which has been applied: forgets who has left it as they were to.
void SettleMembership(const raft::Configuration& configuration, Membership& membership);

// The members that the cluster began with. NotFound: the store does not say.
absl::StatusOr<MemberTable> ReadFounding(const Engine& engine);
void WriteFounding(const MemberTable& members, WriteBatch& batch);

}  // namespace gavel::storage
