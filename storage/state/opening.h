// What a store must hold for the state machine to open it, and what a fresh one is given.
#pragma once

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "storage/engine/engine.h"
#include "storage/mvcc/writer.h"
#include "storage/state/meta.h"
#include "storage/state/state_machine.h"

namespace gavel::storage {

// NotFound: no format is recorded, as in a fresh store. FailedPrecondition: another one. DataLoss:
// it is damaged.
absl::Status CheckFormat(const Engine& engine);

// Fills a fresh store. DataLoss: there are rows in it.
absl::Status Initialise(Engine& engine, const InitialState& initial);

// DataLoss: the changes, what they are based on and `totals` contradict one another.
absl::Status CheckContents(const Engine& engine, const MetaBase& base, const Totals& totals);

// Rows that a store need not have, or what a fresh one would. DataLoss: damaged.
absl::StatusOr<MetaBase> ReadMetaBase(const Engine& engine);
absl::StatusOr<MetaLeases> ReadMetaLeases(const Engine& engine);

}  // namespace gavel::storage
