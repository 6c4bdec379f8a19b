// RocksDB's errors in our terms, and its background errors in the health latch.
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "absl/status/status.h"

#include "storage/engine/flush_events.h"
#include "storage/engine/health_latch.h"

namespace rocksdb {
class EventListener;
class Status;
}  // namespace rocksdb

namespace gavel::storage {

// Names what was being done. A full disk or a stall is ResourceExhausted, a shutdown Cancelled, a
// missing key NotFound, damage DataLoss and any other error Internal.
absl::Status FromRocks(const rocksdb::Status& status, std::string_view what);

// True for errors after which the database must not be written again.
bool IsTerminal(const absl::Status& status);

// Latches background errors other than a full disk, from which RocksDB recovers by itself, and
// tells `events` and `on_flushed` (may be empty) of flushes. Both must outlive the listener.
std::shared_ptr<rocksdb::EventListener> NewRocksListener(HealthLatch& health, FlushEvents& events,
                                                         std::function<void()> on_flushed);

}  // namespace gavel::storage
