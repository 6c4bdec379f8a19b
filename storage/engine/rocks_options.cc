#include "storage/engine/rocks_options.h"

#include <algorithm>
#include <string_view>

#include "rocksdb/cache.h"
#include "rocksdb/filter_policy.h"
#include "rocksdb/options.h"
#include "rocksdb/slice_transform.h"
#include "rocksdb/table.h"
#include "rocksdb/utilities/table_properties_collectors.h"
#include "rocksdb/write_buffer_manager.h"

namespace gavel::storage {
namespace {

class UserKeyTransform final : public rocksdb::SliceTransform {
 public:
  const char* Name() const override { return "gavel.user_key"; }
  bool InDomain(const rocksdb::Slice& key) const override {
    return !UserKeyPrefix({key.data(), key.size()}).empty();
  }
  rocksdb::Slice Transform(const rocksdb::Slice& key) const override {
    return {key.data(), UserKeyPrefix({key.data(), key.size()}).size()};
  }
};

rocksdb::BlockBasedTableOptions MakeTableOptions(const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.block_size = 8 << 10;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  table.optimize_filters_for_memory = true;
  // Indexes and filters count against the cache, in parts: a whole index that does not fit one
  // shard of the cache would be read from the file for each new iterator.
  table.cache_index_and_filter_blocks = true;
  table.cache_index_and_filter_blocks_with_high_priority = true;
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  table.index_type = rocksdb::BlockBasedTableOptions::kTwoLevelIndexSearch;
  table.partition_filters = true;
  table.metadata_block_size = 4 << 10;
  return table;
}

}  // namespace

std::string_view UserKeyPrefix(std::string_view key) {
  size_t at = key.find('\0');
  while (at != std::string_view::npos && at + 1 < key.size()) {
    if (key[at + 1] == '\x01') return key.substr(0, at + 2);
    if (key[at + 1] != '\xff') break;
    at = key.find('\0', at + 2);
  }
  return {};
}

std::shared_ptr<rocksdb::Cache> NewRocksCache(const RocksOptions& options) {
  rocksdb::LRUCacheOptions cache;
  cache.capacity = options.cache_bytes;
  // Few shards, so that each holds many blocks; few threads read at a time.
  cache.num_shard_bits = 2;
  cache.high_pri_pool_ratio = 0.3;  // Indexes and filters outlive a scan.
  return rocksdb::NewLRUCache(cache);
}

rocksdb::DBOptions MakeDatabaseOptions(const RocksOptions& options,
                                       const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::DBOptions db;
  db.create_if_missing = options.create_if_missing;
  db.create_missing_column_families = true;

  // What is durable: all families together or none, and never by a retry after an error.
  db.atomic_flush = true;
  db.avoid_flush_during_shutdown = true;
  db.max_bgerror_resume_count = 0;
  db.paranoid_checks = true;
  db.verify_sst_unique_id_in_manifest = true;

  db.write_buffer_manager =
      std::make_shared<rocksdb::WriteBufferManager>(options.write_buffer_bytes, cache);
  db.max_background_jobs = options.background_jobs;
  db.max_open_files = options.open_files_max;
  db.max_file_opening_threads = 2;
  db.max_manifest_file_size = options.manifest_bytes_max;
  db.skip_stats_update_on_db_open = true;
  db.bytes_per_sync = 1 << 20;  // Spreads the writing of data files, which share the log's disk.
  db.compaction_readahead_size = 512 << 10;
  db.avoid_unnecessary_blocking_io = true;  // Files are deleted by background threads.

  // One thread writes.
  db.allow_concurrent_memtable_write = false;
  db.enable_write_thread_adaptive_yield = false;

  db.info_log_level = rocksdb::WARN_LEVEL;
  db.max_log_file_size = 1 << 20;
  db.keep_log_file_num = 2;
  db.stats_dump_period_sec = 0;
  db.stats_persist_period_sec = 0;
  return db;
}

rocksdb::ColumnFamilyOptions MakeFamilyOptions(Family family, const RocksOptions& options,
                                               const std::shared_ptr<rocksdb::Cache>& cache) {
  const bool large = family == Family::kVersions || family == Family::kChanges;
  rocksdb::ColumnFamilyOptions result;
  rocksdb::BlockBasedTableOptions table = MakeTableOptions(cache);
  if (family == Family::kVersions) {
    result.prefix_extractor = std::make_shared<UserKeyTransform>();
    table.whole_key_filtering = false;  // Half the filter; a whole key's prefix tells as much.
  }
  result.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  result.compression = rocksdb::kLZ4Compression;
  result.level_compaction_dynamic_level_bytes = true;

  // The write buffer manager decides when to flush; this is only the bound for one family.
  result.write_buffer_size = std::max<uint64_t>(options.write_buffer_bytes, 64 << 10);
  result.max_write_buffer_number = 4;
  // Eight families share the budget: small ones must not take a large block for a few rows.
  result.arena_block_size = large ? 256 << 10 : 16 << 10;

  result.target_file_size_base = options.data_file_bytes;
  result.max_bytes_for_level_base = 4 * options.data_file_bytes;
  if (large) {
    // The collector leaves dense runs of deletions; compact them before readers wade through.
    result.table_properties_collector_factories.push_back(
        rocksdb::NewCompactOnDeletionCollectorFactory(16384, 8192));
  }
  return result;
}

}  // namespace gavel::storage
