// The ordered map behind the Engine seam, for the simulator and for tests.
//
// It keeps RocksDB's contract and nothing more: what was not flushed may be lost. States are
// immutable maps that share their common parts, so that a snapshot, a clone and the memory of
// what each unflushed batch left behind are cheap. It starts no thread and asks no clock.
#pragma once

#include <array>
#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "raft/random.h"
#include "storage/disk/disk.h"
#include "storage/engine/engine.h"
#include "storage/engine/persistent_map.h"
#include "storage/mutex.h"

namespace gavel::storage {

struct MapEngineOptions {
  // FlushInBackground only queues; RunPendingFlushes does the work. Otherwise it flushes at once.
  bool deferred_flushes = false;
  // Where Checkpoint writes; must outlive the engine. Without one, Checkpoint is refused.
  Disk* disk = nullptr;
};

// Invariants:
//   durable state = the state after some prefix of the batches, never older than at the last
//   flush; every state a crash can leave is between it and the newest one.
//
// One thread writes, any thread reads. Iterators and snapshots go before the engine.
class MapEngine final : public Engine {
 public:
  explicit MapEngine(MapEngineOptions options = {});
  ~MapEngine() override;

  absl::Status Write(const WriteBatch& batch) override;
  absl::Status Get(Family family, std::string_view key, std::string* value,
                   const ReadOptions& options = {}) const override;
  std::unique_ptr<Iterator> NewIterator(Family family,
                                        const ReadOptions& options = {}) const override;
  std::shared_ptr<const EngineSnapshot> Snapshot() const override;
  absl::Status Flush() override;
  void FlushInBackground(std::function<void(absl::Status)> done) override;
  // Drops what a flush had made durable in the range, from the durable state too: the worst that
  // RocksDB's dropping of whole files can do to a caller that lacks the right.
  absl::Status DeleteFilesInRange(Family family, std::string_view from,
                                  std::string_view to) override;
  absl::Status StartCompaction() override;
  absl::Status Checkpoint(const std::string& path) override;
  EngineStats stats() const override;
  absl::Status health() const override;

  // What a crash leaves: the state of the last flush, or that after any later batch, the same for
  // all families. All lost and nothing lost are drawn more often than their share. This engine
  // goes on unchanged.
  std::unique_ptr<MapEngine> Crash(raft::Random& random) const;
  // The same without chance. Requires: kept <= unflushed_states(). 0 keeps only what is durable.
  std::unique_ptr<MapEngine> CrashKeeping(size_t kept) const;
  // How many states since the last flush a crash can leave. Bounded: when there are many, every
  // second one is forgotten (the newest is always there).
  size_t unflushed_states() const;

  // Does the flushes that are queued, in order; returns how many. For deferred_flushes.
  size_t RunPendingFlushes();
  bool has_pending_flushes() const;

  // From here on writes and flushes fail with `error`, and so does health.
  void Fail(absl::Status error);
  // While set, writes are refused as ResourceExhausted.
  void SetStalled(bool stalled);

  // Opens a copy that Checkpoint wrote. DataLoss if it is not whole.
  static absl::StatusOr<std::unique_ptr<MapEngine>> OpenCheckpoint(const std::string& path,
                                                                   MapEngineOptions options);

 private:
  class SnapshotImpl;
  struct State {
    std::array<PersistentMap, kFamilyCount> families;
  };
  using StatePtr = std::shared_ptr<const State>;
  struct Private {};  // Only this class can name it.

 public:
  MapEngine(Private, MapEngineOptions options, StatePtr state);

 private:
  StatePtr current() const;
  absl::Status FlushLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const MapEngineOptions options_;
  // Iterators and snapshots that are still there.
  mutable std::atomic<int> readers_{0};

  mutable Mutex mutex_;
  StatePtr current_ ABSL_GUARDED_BY(mutex_);
  StatePtr durable_ ABSL_GUARDED_BY(mutex_);
  // States after durable_, oldest first; the last is current_.
  std::deque<StatePtr> later_ ABSL_GUARDED_BY(mutex_);
  uint64_t unflushed_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<std::function<void(absl::Status)>> pending_flushes_ ABSL_GUARDED_BY(mutex_);
  absl::Status failure_ ABSL_GUARDED_BY(mutex_);
  bool stalled_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace gavel::storage
