// What a store must hold for the state machine to open it, and what a fresh one is given.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "raft/configuration.h"
#include "storage/engine/engine.h"
#include "storage/state/alarms.h"
#include "storage/state/members.h"
#include "storage/state/membership.h"
#include "storage/state/meta.h"
#include "storage/state/state_machine.h"

namespace gavel::storage {

// What is read at once when a store is opened.
struct StateRows {
  uint32_t semantics = 0;  // The version that the members have agreed on.
  MetaState state;
  MetaLeases leases;
  MetaBase base;
  MemberTable members;
  raft::Configuration configuration;
  Membership membership;
  LimitsState limits;
};

// NotFound: no format is recorded, as in a fresh store. FailedPrecondition: another format, or a
// newer semantics version. DataLoss: a row is damaged or missing, or rows contradict one another.
absl::StatusOr<StateRows> ReadStateRows(const Engine& engine);

// Fills a fresh store. DataLoss: there are rows in it.
absl::Status Initialise(Engine& engine, const InitialState& initial);

}  // namespace gavel::storage
