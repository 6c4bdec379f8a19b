// Writes changes of keys: rows of `versions`, `changes` and `lease_keys`, and the running totals.
//
// A function of the state and the calls alone. Not thread-safe.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "storage/engine/engine.h"
#include "storage/mvcc/key_change.h"
#include "storage/mvcc/lease_keys.h"
#include "storage/mvcc/overlay.h"
#include "storage/mvcc/revision.h"
#include "storage/request_error.h"

namespace gavel::storage {

// The store's counters, kept with the data in every batch. The starting values are a fresh
// store's.
struct Totals {
  Revision revision = 1;
  Revision compacted = -1;  // -1: never compacted.
  int64_t keys = 0;         // Live keys.
  int64_t live_bytes = 0;   // VersionBytes of their newest versions.
  // VersionBytes superseded by all changes since the store began, tombstones included, and the
  // part of it that is below the compacted revision.
  int64_t superseded_total = 0;
  int64_t superseded_compacted = 0;
  // Of all that entries have done (storage/state/digest.h).
  uint32_t digest = 0;

  friend bool operator==(const Totals&, const Totals&) = default;
};

// Usage: any number of { Begin, changes, End } and Compact; then the caller writes the batch, or
// drops it with overlay and totals.
class Writer {
 public:
  // Borrows everything. `totals` are those before the batch; they are moved on at each End. Every
  // change is added to `told` too, unless that is null.
  Writer(const Engine& engine, Overlay& overlay, LeaseKeys& lease_keys, WriteBatch& batch,
         Totals& totals, std::vector<KeyChange>* told = nullptr)
      : engine_(engine),
        overlay_(overlay),
        lease_keys_(lease_keys),
        batch_(batch),
        totals_(totals),
        told_(told) {}

  // Starts a transaction: its changes share the next revision.
  void Begin() { changes_ = 0; }
  // Ends it. Only one that changed something raises the store's revision.
  void End() {
    if (changes_ > 0) ++totals_.revision;
    changes_ = 0;
  }

  // The revision at which the transaction sees the store, its own changes included.
  Revision visible() const { return totals_.revision + (changes_ > 0 ? 1 : 0); }

  // `newest` is what overlay.Newest(key) says.
  void Put(std::string_view key, std::string_view value, int64_t lease,
           const NewestVersion& newest);
  // Requires: newest.live.
  void Delete(std::string_view key, const NewestVersion& newest);

  // Moves the compacted revision; kCompacted or kFutureRevision if it must not.
  absl::StatusOr<RequestError> Compact(Revision revision);

 private:
  ChangeId NextId() { return {totals_.revision + 1, changes_++}; }
  void Supersede(std::string_view key, const NewestVersion& newest);
  void AddChange(std::string_view key, const Version& version);
  absl::StatusOr<int64_t> SupersededUpTo(Revision revision) const;

  const Engine& engine_;
  Overlay& overlay_;
  LeaseKeys& lease_keys_;
  WriteBatch& batch_;
  Totals& totals_;
  std::vector<KeyChange>* const told_;
  int32_t changes_ = 0;  // Of the transaction under way.
  // After each change of this batch: its revision and superseded_total.
  std::vector<std::pair<Revision, int64_t>> batch_changes_;
  std::string key_;
  std::string value_;
};

}  // namespace gavel::storage
