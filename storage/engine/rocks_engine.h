// RocksDB behind the Engine seam, without its write-ahead log.
#pragma once

#include <memory>

#include "absl/status/statusor.h"

#include "storage/engine/engine.h"
#include "storage/engine/rocks_options.h"

namespace gavel::storage {

// Opens or creates the database in options.path.
//
// FailedPrecondition: in use, or written by a newer version. DataLoss: damaged. NotFound: not
// there and not to be created. Each message names the path and says what to do.
//
// Iterators and snapshots go before the engine. The destructor cancels what runs in the background;
// callbacks of flushes that it cut short are told so (Cancelled) before it returns.
absl::StatusOr<std::unique_ptr<Engine>> OpenRocksEngine(RocksOptions options);

}  // namespace gavel::storage
