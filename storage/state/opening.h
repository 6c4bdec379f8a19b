// What a store must hold for the state machine to open it, and what a fresh one is given.
#pragma once

#include "absl/status/status.h"

#include "storage/engine/engine.h"
#include "storage/mvcc/writer.h"
#include "storage/state/state_machine.h"

namespace gavel::storage {

// NotFound: no format is recorded, as in a fresh store. FailedPrecondition: another one. DataLoss:
// it is damaged.
absl::Status CheckFormat(const Engine& engine);

// Fills a fresh store. DataLoss: there are rows in it.
absl::Status Initialise(Engine& engine, const InitialState& initial);

// DataLoss: the changes and `totals` contradict one another.
absl::Status CheckContents(const Engine& engine, const Totals& totals);

}  // namespace gavel::storage
