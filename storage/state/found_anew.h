// Makes a store that was filled from elsewhere the beginning of a new cluster.
#pragma once

#include <cstdint>

#include "absl/status/status.h"

#include "storage/engine/engine.h"
#include "storage/state/state_machine.h"

namespace gavel::storage {

struct FoundAnewOptions {
  // Above 0: raises the revision by so much and gives up all history before it, so that who knew
  // the old cluster sees neither a revision twice nor a history that is not its own.
  int64_t bump_revision = 0;
};

// Puts `initial` in the place of the configuration, the member table, what was wanted of members
// and who founded the cluster, and drops the alarms, which name members. Keys, leases, and the
// applied index and term stay; so members that do this with the same store and the same arguments
// agree. One batch; durable when it returns.
//
// Call it before a StateMachine is opened on the engine. DataLoss: there is no whole store.
// OutOfRange: there is no such revision.
absl::Status FoundAnew(Engine& engine, const InitialState& initial,
                       const FoundAnewOptions& options);

}  // namespace gavel::storage
