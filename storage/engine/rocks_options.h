// How Gavel sets up RocksDB. The numbers and their reasons are in rocks_options.cc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "storage/engine/engine.h"

namespace rocksdb {
class Cache;
class FileSystem;
struct ColumnFamilyOptions;
struct DBOptions;
}  // namespace rocksdb

namespace gavel::storage {

struct RocksOptions {
  // The database's own directory; its parent must exist.
  std::string path;
  bool create_if_missing = true;
  // Opens what is there without writing a byte to it. Writes and flushes are refused.
  bool read_only = false;

  // Blocks, indexes, filters and write buffers together.
  uint64_t cache_bytes = 64 << 20;
  // The part of it that write buffers may take before they are flushed.
  uint64_t write_buffer_bytes = 24 << 20;
  int background_jobs = 2;
  int open_files_max = 1024;
  // Bounds the file that records which data files exist, and so the time to open.
  uint64_t manifest_bytes_max = 4 << 20;
  uint64_t data_file_bytes = 16 << 20;

  // Flush in the destructor. A clean stop should flush before, where an error can be reported.
  bool flush_on_close = false;

  // Runs on any thread, at least once after each flush that made more durable, whoever asked for
  // it. Must be quick and must not call the engine.
  std::function<void()> on_flushed;

  // Null: the operating system's.
  std::shared_ptr<rocksdb::FileSystem> file_system;
};

// The prefix of a key in `versions` is the user key up to and with its terminator 0x00 0x01; a
// 0x00 inside the user key is escaped as 0x00 0xff. Keys without a terminator have none.
// Returns the prefix, or nothing.
std::string_view UserKeyPrefix(std::string_view key);

std::shared_ptr<rocksdb::Cache> NewRocksCache(const RocksOptions& options);
rocksdb::DBOptions MakeDatabaseOptions(const RocksOptions& options,
                                       const std::shared_ptr<rocksdb::Cache>& cache);
rocksdb::ColumnFamilyOptions MakeFamilyOptions(Family family, const RocksOptions& options,
                                               const std::shared_ptr<rocksdb::Cache>& cache);

}  // namespace gavel::storage
