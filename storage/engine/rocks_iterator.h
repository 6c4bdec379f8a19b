// An engine iterator over RocksDB's.
#pragma once

#include <atomic>
#include <memory>

#include "storage/engine/engine.h"
#include "storage/engine/health_latch.h"
#include "storage/engine/rocks_database.h"

namespace rocksdb {
class Snapshot;
}  // namespace rocksdb

namespace gavel::storage {

// `snapshot` may be null. A terminal error met on the way is put into `health`; `readers` counts
// the iterator for as long as it lives. All references outlive it.
std::unique_ptr<Iterator> NewRocksIterator(const RocksDatabase& database, Family family,
                                           const ReadOptions& options,
                                           const rocksdb::Snapshot* snapshot, HealthLatch& health,
                                           std::atomic<int>& readers);

}  // namespace gavel::storage
