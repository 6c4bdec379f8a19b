// Opening and closing the RocksDB database below RocksEngine.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "storage/engine/engine.h"
#include "storage/engine/flush_events.h"
#include "storage/engine/health_latch.h"
#include "storage/engine/rocks_options.h"

namespace rocksdb {
class DB;
class Env;
}  // namespace rocksdb

namespace gavel::storage {

// An open database and what it stands on. Closes in the right order.
class RocksDatabase {
 public:
  // FailedPrecondition: in use, or of a newer version. DataLoss: damaged. NotFound: not there and
  // not to be created. Messages name the path and what to do. `health` and `events` outlive the
  // database.
  static absl::StatusOr<std::unique_ptr<RocksDatabase>> Open(const RocksOptions& options,
                                                             HealthLatch& health,
                                                             FlushEvents& events);
  ~RocksDatabase();
  RocksDatabase(const RocksDatabase&) = delete;
  RocksDatabase& operator=(const RocksDatabase&) = delete;

  rocksdb::DB& db() const { return *db_; }
  const rocksdb::Cache& cache() const { return *cache_; }

  // Makes the entry of `path` in its parent directory durable.
  absl::Status SyncParentDirectory(const std::string& path) const;

 private:
  struct Private {};  // Only this class can name it.

 public:
  RocksDatabase(Private, const RocksOptions& options);

 private:
  absl::Status OpenFiles(const RocksOptions& options, HealthLatch& health, FlushEvents& events);
  absl::Status CheckBeforeOpen(const RocksOptions& options, bool* fresh) const;

  std::shared_ptr<rocksdb::Cache> cache_;
  std::unique_ptr<rocksdb::Env> env_;  // Outlives db_.
  std::unique_ptr<rocksdb::DB> db_;
};

}  // namespace gavel::storage
