#include "storage/engine/rocks_engine.h"

#include <algorithm>
#include <atomic>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "raft/check.h"
#include "rocksdb/cache.h"
#include "rocksdb/convenience.h"
#include "rocksdb/db.h"
#include "rocksdb/utilities/checkpoint.h"
#include "rocksdb/write_batch.h"
#include "storage/engine/background_worker.h"
#include "storage/engine/flush_events.h"
#include "storage/engine/health_latch.h"
#include "storage/engine/rocks_database.h"
#include "storage/engine/rocks_iterator.h"
#include "storage/engine/rocks_keys.h"
#include "storage/engine/rocks_status.h"
#include "storage/mutex.h"

namespace gavel::storage {
namespace {

// A batch buffer larger than this is given back after its write.
constexpr size_t kScratchBytesMax = 1 << 20;

rocksdb::Slice ToSlice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }

class RocksSnapshot final : public EngineSnapshot {
 public:
  RocksSnapshot(rocksdb::DB& db, std::atomic<int>& readers)
      : db_(db), readers_(readers), snapshot_(db.GetSnapshot()) {
    ++readers_;
  }
  ~RocksSnapshot() override {
    db_.ReleaseSnapshot(snapshot_);
    --readers_;
  }
  const rocksdb::Snapshot* get() const { return snapshot_; }

 private:
  rocksdb::DB& db_;
  std::atomic<int>& readers_;
  const rocksdb::Snapshot* snapshot_;
};

const rocksdb::Snapshot* Unwrap(const EngineSnapshot* snapshot) {
  return snapshot == nullptr ? nullptr : static_cast<const RocksSnapshot*>(snapshot)->get();
}

class RocksEngine final : public Engine {
 public:
  explicit RocksEngine(RocksOptions options)
      : options_(std::move(options)),
        health_([this](const absl::Status& error) { TellOfFailure(error); }) {}
  ~RocksEngine() override;
  absl::Status Open();

  absl::Status Write(const WriteBatch& batch) override;
  absl::Status Get(Family family, std::string_view key, std::string* value,
                   const ReadOptions& options) const override;
  std::unique_ptr<Iterator> NewIterator(Family family, const ReadOptions& options) const override;
  std::shared_ptr<const EngineSnapshot> Snapshot() const override;
  absl::Status Flush() override;
  void FlushInBackground(std::function<void(absl::Status)> done) override;
  absl::Status DeleteFilesInRange(Family family, std::string_view from,
                                  std::string_view to) override;
  absl::Status StartCompaction() override;
  absl::Status Checkpoint(const std::string& path) override;
  EngineStats stats() const override;
  absl::Status health() const override { return health_.status(); }

 private:
  rocksdb::DB& db() const { return database_->db(); }
  // Converts, and latches an error that is terminal.
  absl::Status Checked(const rocksdb::Status& status, std::string_view what) const;
  void TellOfFailure(const absl::Status& error) const;
  absl::Status CheckWritable() const;
  void SortOps(const WriteBatch& batch);
  absl::Status WaitUntilFlushed(uint64_t sequence, uint64_t errors_before);
  void AnswerFlushes();
  void CompactAll();

  const RocksOptions options_;
  mutable HealthLatch health_;           // Outlives the database, which reports to it.
  FlushEvents flush_events_;             // The same.
  mutable std::atomic<int> readers_{0};  // Iterators and snapshots that are still there.
  std::unique_ptr<RocksDatabase> database_;
  rocksdb::WriteBatch scratch_;       // Of Write, to keep its memory.
  std::vector<WriteBatch::Op> ops_;   // The same; views into the batch being written.
  std::atomic<bool> closing_{false};  // Also tells RocksDB to give up a compaction.
  std::atomic<bool> compacting_{false};

  Mutex flush_mutex_;
  std::vector<std::function<void(absl::Status)>> flushes_ ABSL_GUARDED_BY(flush_mutex_);

  // Last, so that their threads end before anything they use.
  BackgroundWorker flusher_;
  BackgroundWorker compactor_;
};

absl::Status RocksEngine::Open() {
  auto database = RocksDatabase::Open(options_, health_, flush_events_);
  if (!database.ok()) return database.status();
  database_ = *std::move(database);
  return absl::OkStatus();
}

RocksEngine::~RocksEngine() {
  if (database_ == nullptr) return;
  GAVEL_CHECK(readers_ == 0) << "an iterator or snapshot is still open";
  if (options_.flush_on_close && !options_.read_only) Flush().IgnoreError();
  closing_ = true;
  rocksdb::CancelAllBackgroundWork(&db(), /*wait=*/false);
  flush_events_.Close();
  flusher_.Stop();
  compactor_.Stop();
  AnswerFlushes();
}

absl::Status RocksEngine::Checked(const rocksdb::Status& status, std::string_view what) const {
  if (status.ok()) return absl::OkStatus();
  absl::Status result = FromRocks(status, what);
  if (IsTerminal(result)) health_.Fail(result);
  return result;
}

void RocksEngine::TellOfFailure(const absl::Status& error) const {
  if (!options_.on_warning) return;
  options_.on_warning(
      absl::StrCat(error.message(),
                   "; nothing is written any more, and the member stops at the next "
                   "change: check the disk and the kernel's messages"));
}

absl::Status RocksEngine::CheckWritable() const {
  if (health_.failed()) return health_.status();
  if (options_.read_only) {
    return absl::FailedPreconditionError(absl::StrCat(options_.path, " is open for reading only"));
  }
  return absl::OkStatus();
}

// Collects the batch into ops_, in the order of the memtable: an insertion next to the one before
// costs a fraction of one at a random place. Changes of one key keep their order; a batch with
// range deletions keeps all of it.
void RocksEngine::SortOps(const WriteBatch& batch) {
  ops_.clear();
  bool free_order = true;
  batch.ForEach([&](const WriteBatch::Op& op) {
    free_order = free_order && op.kind != WriteBatch::Kind::kDeleteRange;
    ops_.push_back(op);
  });
  if (!free_order) return;
  std::stable_sort(ops_.begin(), ops_.end(), [](const WriteBatch::Op& a, const WriteBatch::Op& b) {
    if (a.family != b.family) return FamilyTag(a.family) < FamilyTag(b.family);
    return a.key < b.key;
  });
}

absl::Status RocksEngine::Write(const WriteBatch& batch) {
  if (absl::Status writable = CheckWritable(); !writable.ok()) return writable;
  scratch_.Clear();
  SortOps(batch);
  rocksdb::Status status;
  for (const WriteBatch::Op& op : ops_) {
    if (!status.ok()) break;
    const char tag = FamilyTag(op.family);
    const rocksdb::Slice key[] = {{&tag, 1}, ToSlice(op.key)};
    const rocksdb::Slice value[] = {ToSlice(op.value)};
    const rocksdb::Slice end[] = {{&tag, 1}, ToSlice(op.value)};
    switch (op.kind) {
      case WriteBatch::Kind::kPut:
        status = scratch_.Put(rocksdb::SliceParts(key, 2), rocksdb::SliceParts(value, 1));
        break;
      case WriteBatch::Kind::kDelete:
        status = scratch_.Delete(rocksdb::SliceParts(key, 2));
        break;
      case WriteBatch::Kind::kDeleteRange:
        status = scratch_.DeleteRange(rocksdb::SliceParts(key, 2), rocksdb::SliceParts(end, 2));
        break;
    }
  }
  if (status.ok()) {
    rocksdb::WriteOptions write;
    write.disableWAL = true;  // The Raft log is the truth.
    write.no_slowdown = true;
    status = db().Write(write, &scratch_);
  }
  if (scratch_.GetDataSize() > kScratchBytesMax) scratch_ = rocksdb::WriteBatch();
  return Checked(status, "write");
}

absl::Status RocksEngine::Get(Family family, std::string_view key, std::string* value,
                              const ReadOptions& options) const {
  GAVEL_CHECK(!options.persisted_only || options.snapshot == nullptr);
  rocksdb::ReadOptions read;
  read.snapshot = Unwrap(options.snapshot);
  read.verify_checksums = true;
  read.fill_cache = options.fill_cache;
  if (options.persisted_only) read.read_tier = rocksdb::kPersistedTier;
  const rocksdb::Status status = db().Get(read, ToSlice(TaggedKey(family, key)), value);
  if (status.ok()) return absl::OkStatus();
  if (status.IsNotFound()) return absl::NotFoundError("no such key");
  return Checked(status, "read");
}

std::unique_ptr<Iterator> RocksEngine::NewIterator(Family family,
                                                   const ReadOptions& options) const {
  GAVEL_CHECK(!options.persisted_only) << "iterators read the newest state or a snapshot";
  return NewRocksIterator(*database_, family, options, Unwrap(options.snapshot), health_, readers_);
}

std::shared_ptr<const EngineSnapshot> RocksEngine::Snapshot() const {
  return std::make_shared<const RocksSnapshot>(db(), readers_);
}

absl::Status RocksEngine::Flush() {
  if (absl::Status writable = CheckWritable(); !writable.ok()) return writable;
  rocksdb::FlushOptions flush;
  flush.wait = true;
  // A write that meets the flush must not be refused for it.
  flush.allow_write_stall = false;
  const uint64_t errors_before = flush_events_.seen().errors;
  const uint64_t sequence = db().GetLatestSequenceNumber();
  const rocksdb::Status status = db().Flush(flush);
  if (!status.ok()) return Checked(status, "flush");
  const absl::Status flushed = WaitUntilFlushed(sequence, errors_before);
  // An error latched meanwhile wins: who asks must not go on.
  return health_.failed() ? health_.status() : flushed;
}

// Waits for the end of a flush that RocksDB has called done. Once it has recovered from a full
// disk, RocksDB 7.8.3 does not wait for flushes any more (it looks like facebook/rocksdb 8046).
absl::Status RocksEngine::WaitUntilFlushed(uint64_t sequence, uint64_t errors_before) {
  for (;;) {
    const FlushEvents::Seen seen = flush_events_.seen();
    // The flush has sealed every buffer that holds what it was asked for.
    uint64_t sealed_buffers = 0;
    if (!db().GetIntProperty(rocksdb::DB::Properties::kNumImmutableMemTable, &sealed_buffers)) {
      return absl::InternalError("state engine: flush: RocksDB does not tell of its buffers");
    }
    if (sealed_buffers == 0 || seen.durable_sequence >= sequence) return absl::OkStatus();
    if (seen.closed) return absl::CancelledError("state engine: flush: closing");
    if (seen.errors != errors_before) {
      return absl::ResourceExhaustedError("state engine: flush: an error came between");
    }
    flush_events_.WaitForMore(seen);
  }
}

void RocksEngine::AnswerFlushes() {
  std::vector<std::function<void(absl::Status)>> flushes;
  {
    const MutexLock lock(flush_mutex_);
    flushes.swap(flushes_);
  }
  if (flushes.empty()) return;
  const absl::Status status =
      closing_ ? absl::CancelledError("state engine: flush: closing") : Flush();
  for (auto& done : flushes) done(status);
}

void RocksEngine::FlushInBackground(std::function<void(absl::Status)> done) {
  {
    const MutexLock lock(flush_mutex_);
    flushes_.push_back(std::move(done));
    if (flushes_.size() > 1) return;  // The one before has not started: one flush serves both.
  }
  flusher_.Run([this] { AnswerFlushes(); });
}

absl::Status RocksEngine::DeleteFilesInRange(Family family, std::string_view from,
                                             std::string_view to) {
  if (absl::Status writable = CheckWritable(); !writable.ok()) return writable;
  if (from >= to) return absl::OkStatus();
  const std::string begin_key = TaggedKey(family, from);
  const std::string end_key = TaggedKey(family, to);
  const rocksdb::Slice begin = ToSlice(begin_key);
  const rocksdb::Slice end = ToSlice(end_key);
  return Checked(rocksdb::DeleteFilesInRange(&db(), db().DefaultColumnFamily(), &begin, &end,
                                             /*include_end=*/false),
                 "drop of files");
}

void RocksEngine::CompactAll() {
  rocksdb::CompactRangeOptions compact;
  compact.exclusive_manual_compaction = false;
  compact.canceled = &closing_;
  compact.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForceOptimized;
  const rocksdb::Status status = db().CompactRange(compact, nullptr, nullptr);
  if (!closing_) Checked(status, "compaction").IgnoreError();
  compacting_ = false;
}

absl::Status RocksEngine::StartCompaction() {
  if (absl::Status writable = CheckWritable(); !writable.ok()) return writable;
  if (compacting_.exchange(true)) return absl::OkStatus();  // One is under way.
  compactor_.Run([this] { CompactAll(); });
  return absl::OkStatus();
}

absl::Status RocksEngine::Checkpoint(const std::string& path) {
  // Whether RocksDB's checkpoint flushes depends on its own log, which we do not use.
  if (absl::Status flushed = Flush(); !flushed.ok()) return flushed;
  rocksdb::Checkpoint* created = nullptr;
  rocksdb::Status status = rocksdb::Checkpoint::Create(&db(), &created);
  const std::unique_ptr<rocksdb::Checkpoint> checkpoint(created);
  if (status.ok()) status = checkpoint->CreateCheckpoint(path);
  if (status.IsInvalidArgument()) {
    return absl::AlreadyExistsError(absl::StrCat("checkpoint ", path, ": ", status.ToString()));
  }
  if (!status.ok()) return Checked(status, absl::StrCat("checkpoint ", path));
  absl::Status synced = database_->SyncParentDirectory(path);
  if (!synced.ok() && IsTerminal(synced)) health_.Fail(synced);
  return synced;
}

EngineStats RocksEngine::stats() const {
  using Properties = rocksdb::DB::Properties;
  auto property = [&](const std::string& name) {
    uint64_t value = 0;
    return db().GetIntProperty(name, &value) ? value : 0;
  };
  EngineStats stats;
  stats.disk_bytes = property(Properties::kTotalSstFilesSize);
  // An empty write buffer has a size, too.
  if (property(Properties::kNumEntriesActiveMemTable) +
          property(Properties::kNumEntriesImmMemTables) >
      0) {
    stats.unflushed_bytes = property(Properties::kCurSizeAllMemTables);
  }
  stats.live_bytes = property(Properties::kEstimateLiveDataSize) + stats.unflushed_bytes;
  // Write buffers are charged to the cache.
  stats.memory_bytes =
      database_->cache().GetUsage() + property(Properties::kEstimateTableReadersMem);
  stats.readers = static_cast<uint32_t>(readers_);
  return stats;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Engine>> OpenRocksEngine(RocksOptions options) {
  auto engine = std::make_unique<RocksEngine>(std::move(options));
  if (absl::Status opened = engine->Open(); !opened.ok()) return opened;
  return std::unique_ptr<Engine>(std::move(engine));
}

}  // namespace gavel::storage
