// How Gavel sets up RocksDB. The numbers and their reasons are in rocks_options.cc.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace rocksdb {
class Cache;
class FileSystem;
struct Options;
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
  // What is written is flushed at this size, as several smaller buffers. Twice as much more may
  // wait for the disk before writes are refused; all is charged to the cache.
  uint64_t write_buffer_bytes = 16 << 20;
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
  // Told what an operator should know, such as a torn record that opening cut off, or the first
  // error that is terminal. On any thread; must not call the engine.
  std::function<void(std::string_view)> on_warning;

  // Null: the operating system's.
  std::shared_ptr<rocksdb::FileSystem> file_system;
};

std::shared_ptr<rocksdb::Cache> NewRocksCache(const RocksOptions& options);
rocksdb::Options MakeRocksOptions(const RocksOptions& options,
                                  const std::shared_ptr<rocksdb::Cache>& cache);

}  // namespace gavel::storage
