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
#include "storage/engine/rocks_keys.h"
#include "storage/engine/rocks_log.h"

namespace gavel::storage {
namespace {

// Write buffers that one flush takes together.
constexpr int kBuffersOfAFlush = 4;

class FilterPrefixTransform final : public rocksdb::SliceTransform {
 public:
  const char* Name() const override { return "gavel.filter_prefix.2"; }
  bool InDomain(const rocksdb::Slice& key) const override {
    return !FilterPrefix({key.data(), key.size()}).empty();
  }
  rocksdb::Slice Transform(const rocksdb::Slice& key) const override {
    return {key.data(), FilterPrefix({key.data(), key.size()}).size()};
  }
};

rocksdb::BlockBasedTableOptions MakeTableOptions(const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.block_size = 8 << 10;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  table.whole_key_filtering = false;  // FilterPrefix says what a filter holds.
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

// Of `lease_keys`: the tag and the lease's id.
constexpr size_t kLeasePrefixBytes = 9;

// Whether `upper` is `prefix` counted up by one.
bool IsCountedUp(std::string_view prefix, std::string_view upper) {
  if (upper.size() != prefix.size()) return false;
  size_t last = prefix.size();
  do {
    if (last-- == 0) return false;
    const auto counted = static_cast<char>(static_cast<unsigned char>(prefix[last]) + 1);
    if (upper[last] != counted) return false;
  } while (upper[last] == '\0');
  return upper.substr(0, last) == prefix.substr(0, last);
}

}  // namespace

std::string_view FilterPrefix(std::string_view tagged) {
  if (tagged.empty() || tagged[0] == FamilyTag(Family::kChanges) ||
      tagged[0] == FamilyTag(Family::kLeaseRenewals)) {
    return {};
  }
  if (tagged[0] == FamilyTag(Family::kLeaseKeys)) {
    return tagged.size() < kLeasePrefixBytes ? std::string_view()
                                             : tagged.substr(0, kLeasePrefixBytes);
  }
  if (tagged[0] != FamilyTag(Family::kVersions)) return tagged;
  size_t at = tagged.find('\0');
  while (at != std::string_view::npos && at + 1 < tagged.size()) {
    if (tagged[at + 1] == '\x01') return tagged.substr(0, at + 2);
    if (tagged[at + 1] != '\xff') break;
    at = tagged.find('\0', at + 2);
  }
  return {};
}

bool StaysInOnePrefix(std::string_view lower, std::string_view upper) {
  const std::string_view prefix = FilterPrefix(lower);
  if (prefix.empty() || upper.size() < prefix.size()) return false;
  if (FilterPrefix(upper) == prefix) return true;
  // What is sought is below the bound, which is the end of the prefix.
  const bool shared =
      lower[0] == FamilyTag(Family::kVersions) || lower[0] == FamilyTag(Family::kLeaseKeys);
  return shared && IsCountedUp(prefix, upper);
}

std::shared_ptr<rocksdb::Cache> NewRocksCache(const RocksOptions& options) {
  rocksdb::LRUCacheOptions cache;
  cache.capacity = options.cache_bytes;
  // Few shards, so that each holds many blocks; few threads read at a time.
  cache.num_shard_bits = 2;
  cache.high_pri_pool_ratio = 0.3;  // Indexes and filters outlive a scan.
  return rocksdb::NewLRUCache(cache);
}

rocksdb::Options MakeRocksOptions(const RocksOptions& options,
                                  const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::Options result;
  result.create_if_missing = options.create_if_missing;

  // What is durable is what a flush says it is, and never by a retry after an error.
  result.avoid_flush_during_shutdown = true;
  result.max_bgerror_resume_count = 0;
  result.paranoid_checks = true;
  result.verify_sst_unique_id_in_manifest = true;
  result.fail_if_options_file_error = true;  // A disk that fails one sync is not used.

  // An insertion into a small buffer stays in the processor's caches. A flush takes a few together.
  result.write_buffer_size = options.write_buffer_bytes / kBuffersOfAFlush;
  result.min_write_buffer_number_to_merge = kBuffersOfAFlush;
  result.max_write_buffer_number = 3 * kBuffersOfAFlush;
  result.arena_block_size = std::min<uint64_t>(result.write_buffer_size / 8, 256 << 10);
  // Most keys that are looked up are not in the buffer: a filter is cheaper than the search.
  result.memtable_prefix_bloom_size_ratio = 0.04;
  // Only charges the buffers to the cache: its own bound is never reached.
  result.write_buffer_manager = std::make_shared<rocksdb::WriteBufferManager>(
      std::max(options.cache_bytes, 8 * options.write_buffer_bytes), cache);

  result.table_factory.reset(rocksdb::NewBlockBasedTableFactory(MakeTableOptions(cache)));
  result.prefix_extractor = std::make_shared<FilterPrefixTransform>();
  result.compression = rocksdb::kLZ4Compression;
  result.level_compaction_dynamic_level_bytes = true;
  result.target_file_size_base = options.data_file_bytes;
  result.max_bytes_for_level_base = 4 * options.data_file_bytes;
  // The collector leaves dense runs of deletions; compact them before readers wade through.
  result.table_properties_collector_factories.push_back(
      rocksdb::NewCompactOnDeletionCollectorFactory(16384, 8192));

  result.max_background_jobs = options.background_jobs;
  result.max_open_files = options.open_files_max;
  result.max_file_opening_threads = 2;
  result.max_manifest_file_size = options.manifest_bytes_max;
  result.skip_stats_update_on_db_open = true;
  result.bytes_per_sync = 1 << 20;  // Spreads the writing of files that share the log's disk.
  result.compaction_readahead_size = 512 << 10;
  result.avoid_unnecessary_blocking_io = true;  // Files are deleted by background threads.

  // One thread writes. No insertion hints: RocksDB 7.8.3 would share them between a memtable's keys
  // and its range deletions, and fail an assertion.
  result.allow_concurrent_memtable_write = false;
  result.enable_write_thread_adaptive_yield = false;

  result.info_log = NewRocksLog(options.on_warning);
  result.stats_dump_period_sec = 0;
  result.stats_persist_period_sec = 0;
  return result;
}

}  // namespace gavel::storage
