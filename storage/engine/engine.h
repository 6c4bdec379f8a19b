// The seam to the ordered key-value store below the state machine.
//
// Two implementations: RocksDB, and an ordered map that loses what was not flushed (for the
// simulator and tests). One thread writes; any thread reads.
//
// There is no write-ahead log in here. What a crash keeps is a prefix of the written batches,
// the same prefix for all families, at least up to the last Flush that returned OK.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace gavel::storage {

// Column families: separate key spaces. The numbers are part of no format.
enum class Family : uint8_t {
  kMeta,
  kVersions,
  kChanges,
  kLeases,
  kLeaseKeys,
  kAuth,
  kMembers,
  kAlarms,
  kLeaseRenewals,
};
inline constexpr int kFamilyCount = 9;
std::string_view FamilyName(Family family);

// An ordered list of changes that become visible and durable together. Owns its bytes.
class WriteBatch {
 public:
  enum class Kind : uint8_t { kPut, kDelete, kDeleteRange };
  struct Op {
    Kind kind;
    Family family;
    std::string_view key;    // kDeleteRange: first key.
    std::string_view value;  // kDeleteRange: the key after the last.
  };

  void Put(Family family, std::string_view key, std::string_view value);
  void Delete(Family family, std::string_view key);
  // Deletes all keys in [from, to).
  void DeleteRange(Family family, std::string_view from, std::string_view to);

  bool empty() const { return count_ == 0; }
  size_t count() const { return count_; }
  size_t bytes() const { return bytes_.size(); }
  void Clear();

  // Calls `visit` for every change in order; views live as long as the batch is unchanged.
  template <class Visit>
  void ForEach(Visit visit) const;

 private:
  void Add(Kind kind, Family family, std::string_view key, std::string_view value);
  // Decodes the change at `offset` and moves it past.
  Op Next(size_t& offset) const;

  std::string bytes_;
  size_t count_ = 0;
};

template <class Visit>
void WriteBatch::ForEach(Visit visit) const {
  for (size_t offset = 0; offset < bytes_.size();) visit(Next(offset));
}

// A fixed state of all families. Keep it for a bounded time: it holds back compaction.
class EngineSnapshot {
 public:
  virtual ~EngineSnapshot() = default;
};

// Walks one family in key order. Invalid after an error: check status() when !Valid().
class Iterator {
 public:
  virtual ~Iterator() = default;
  virtual void Seek(std::string_view key) = 0;         // First entry at or after key.
  virtual void SeekForPrev(std::string_view key) = 0;  // Last entry at or before key.
  virtual void SeekToFirst() = 0;
  virtual void SeekToLast() = 0;
  virtual void Next() = 0;
  virtual void Prev() = 0;
  virtual bool Valid() const = 0;
  virtual std::string_view key() const = 0;    // Until the next move.
  virtual std::string_view value() const = 0;  // Until the next move.
  virtual absl::Status status() const = 0;
};

struct ReadOptions {
  const EngineSnapshot* snapshot = nullptr;  // Null: the newest state.
  // Only what a flush has made durable (Get only).
  bool persisted_only = false;
  // Iterators only: keys outside [lower, upper) need not be visited. Must outlive the iterator.
  std::optional<std::string_view> lower;
  std::optional<std::string_view> upper;
  // A long scan should not push hot blocks out of the cache.
  bool fill_cache = true;
};

struct EngineStats {
  uint64_t disk_bytes = 0;    // Files on disk.
  uint64_t live_bytes = 0;    // Estimate of what is not obsolete.
  uint64_t memory_bytes = 0;  // Caches and write buffers.
  uint64_t unflushed_bytes = 0;
  uint32_t readers = 0;  // Iterators and snapshots that exist.
};

class Engine {
 public:
  virtual ~Engine() = default;

  // Applies the batch. ResourceExhausted if the engine would have to stall: try again later.
  // Any other error is terminal. One thread.
  virtual absl::Status Write(const WriteBatch& batch) = 0;

  // NotFound if the key is missing.
  virtual absl::Status Get(Family family, std::string_view key, std::string* value,
                           const ReadOptions& options = {}) const = 0;
  virtual std::unique_ptr<Iterator> NewIterator(Family family,
                                                const ReadOptions& options = {}) const = 0;
  virtual std::shared_ptr<const EngineSnapshot> Snapshot() const = 0;

  // Makes all that was written before the call durable in all families. Blocks.
  virtual absl::Status Flush() = 0;
  // Starts a flush and returns; `done` runs on any thread, perhaps before the return.
  virtual void FlushInBackground(std::function<void(absl::Status)> done) = 0;
  // Drops whole files inside [from, to) without reading them. What else is in the range stays.
  virtual absl::Status DeleteFilesInRange(Family family, std::string_view from,
                                          std::string_view to) = 0;
  // Starts rewriting files so that deleted data gives its space back. Never blocks reads or
  // writes.
  virtual absl::Status StartCompaction() = 0;
  // A copy of the durable state in the new directory `path`, by hard links where possible.
  virtual absl::Status Checkpoint(const std::string& path) = 0;

  virtual EngineStats stats() const = 0;
  // The first terminal error, if any: the member must stop.
  virtual absl::Status health() const = 0;
};

}  // namespace gavel::storage
