#include "storage/mvcc/collector.h"

#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "raft/check.h"
#include "raft/sim_point.h"
#include "storage/mvcc/key_codec.h"
#include "storage/mvcc/record.h"
#include "storage/mvcc/varint.h"

namespace gavel::storage {
namespace {

// Invariants: collected <= target; all changes from `collected` to before `next` are done for
// `target`.
struct CollectorProgress {
  Revision collected = 0;  // All below has been deleted.
  Revision target = 0;     // The compacted revision of the round under way, if above collected.
  ChangeId next;
};

std::string Encode(const CollectorProgress& progress) {
  std::string bytes;
  AppendVarint(static_cast<uint64_t>(progress.collected), &bytes);
  AppendVarint(static_cast<uint64_t>(progress.target), &bytes);
  AppendVarint(static_cast<uint64_t>(progress.next.main), &bytes);
  AppendVarint(static_cast<uint64_t>(progress.next.sub), &bytes);
  return bytes;
}

absl::StatusOr<CollectorProgress> ReadProgress(const Engine& engine, bool persisted_only) {
  ReadOptions options;
  options.persisted_only = persisted_only;
  std::string row;
  const absl::Status status = engine.Get(Family::kMeta, kMetaCollected, &row, options);
  CollectorProgress progress;
  if (absl::IsNotFound(status)) return progress;
  if (!status.ok()) return status;
  std::string_view in = row;
  int64_t sub = 0;
  if (!TakeVarint(&in, &progress.collected) || !TakeVarint(&in, &progress.target) ||
      !TakeVarint(&in, &progress.next.main) || !TakeVarint(&in, &sub) || !in.empty()) {
    return absl::DataLossError("meta: damaged collector progress");
  }
  progress.next.sub = static_cast<int32_t>(sub);
  return progress;
}

}  // namespace

class Collector::Impl {
 public:
  Impl(std::shared_ptr<Engine> engine, const CollectorProgress& progress)
      : engine_(std::move(engine)), progress_(progress), planned_(progress) {}

  absl::StatusOr<WriteBatch> Plan(Revision published, Revision durable, int64_t changes_max) {
    GAVEL_CHECK(changes_max > 0);
    durable_compacted_ = durable;
    planned_ = progress_;
    WriteBatch batch;
    if (planned_.target <= planned_.collected) {
      if (published <= planned_.collected) return batch;
      // Both ends belong to the round: what the last round left at its compacted revision, and
      // what the changes at the new one supersede.
      planned_.target = published + (GAVEL_PLANTED_BUG(24) ? 1 : 0);
      planned_.next = {planned_.collected, 0};
    }
    if (absl::Status status = PlanChanges(changes_max, batch); !status.ok()) return status;
    batch.Put(Family::kMeta, kMetaCollected, Encode(planned_));
    GAVEL_SIM_POINT("collection planned, not written");
    return batch;
  }

  void OnWritten() { progress_ = planned_; }

  absl::Status DropFiles() {
    // What is dropped is gone at once, also from what a crash would keep. So the kept state must
    // need these changes no more: neither for its compacted revision nor for its own collection.
    const absl::StatusOr<CollectorProgress> kept = ReadProgress(*engine_, true);
    if (!kept.ok()) return kept.status();
    const Revision below =
        GAVEL_PLANTED_BUG(33) ? progress_.collected : std::min(durable_compacted_, kept->collected);
    if (below <= dropped_) return absl::OkStatus();
    GAVEL_SIM_POINT("old changes about to be dropped");
    if (absl::Status status =
            engine_->DeleteFilesInRange(Family::kChanges, ChangeKey({0, 0}), ChangeKey({below, 0}));
        !status.ok()) {
      return status;
    }
    dropped_ = below;
    return absl::OkStatus();
  }

  Revision collected() const { return progress_.collected; }

 private:
  absl::Status PlanChanges(int64_t changes_max, WriteBatch& batch) {
    const std::string end = ChangeKey({planned_.target, std::numeric_limits<int32_t>::max()});
    ReadOptions options;
    options.fill_cache = false;
    auto changes = engine_->NewIterator(Family::kChanges, options);
    auto versions = engine_->NewIterator(Family::kVersions, options);
    changes->Seek(ChangeKey(planned_.next));
    std::optional<int64_t> superseded_before;  // The total after the change before, if known.
    for (; changes->Valid() && changes->key() <= end; changes->Next()) {
      const std::optional<ChangeId> id = ParseChangeKey(changes->key());
      ChangeRecord change;
      if (!id || !ParseChangeRecord(changes->value(), &change)) {
        return absl::DataLossError("changes: damaged row");
      }
      planned_.next = *id;
      if (changes_max-- == 0) return absl::OkStatus();
      // A change that superseded nothing began a key's life: nothing older is left to find but
      // perhaps a tombstone, which its own change deletes. It saves a seek for each new key.
      const bool superseded = superseded_before != change.superseded_total;
      superseded_before = change.superseded_total;
      if (!superseded) continue;
      if (absl::Status status = Collect(*id, change, *versions, batch); !status.ok()) {
        return status;
      }
    }
    if (!changes->status().ok()) return changes->status();
    batch.DeleteRange(Family::kChanges, ChangeKey({0, 0}), ChangeKey({planned_.target, 0}));
    planned_.collected = planned_.target;
    return absl::OkStatus();
  }

  // Deletes what no reader at or above the target sees because of this change.
  absl::Status Collect(ChangeId id, const ChangeRecord& change, Iterator& versions,
                       WriteBatch& batch) {
    const std::string key = VersionKey(change.user_key, id);
    versions.Seek(key);
    const bool present = versions.Valid() && versions.key() == key;
    if (present) versions.Next();
    if (versions.Valid()) {
      const std::optional<VersionKeyParts> older = ParseVersionKey(versions.key());
      if (!older) return absl::DataLossError("versions: damaged key");
      // Changes at the target itself stay, even superseded ones, for watches that start there.
      const std::string_view prefix(key.data(), key.size() - kVersionSuffixBytes);
      if (older->prefix == prefix && older->id.main < planned_.target) {
        batch.Delete(Family::kVersions, versions.key());
      }
    }
    if (!versions.status().ok()) return versions.status();
    if (present && change.tombstone && id.main < planned_.target) {
      batch.Delete(Family::kVersions, key);
    }
    return absl::OkStatus();
  }

  const std::shared_ptr<Engine> engine_;
  CollectorProgress progress_;
  CollectorProgress planned_;
  Revision durable_compacted_ = 0;
  Revision dropped_ = 0;
};

absl::StatusOr<std::unique_ptr<Collector>> Collector::Open(std::shared_ptr<Engine> engine) {
  const absl::StatusOr<CollectorProgress> progress = ReadProgress(*engine, false);
  if (!progress.ok()) return progress.status();
  return std::unique_ptr<Collector>(
      new Collector(std::make_unique<Impl>(std::move(engine), *progress)));
}

Collector::Collector(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Collector::~Collector() = default;
absl::StatusOr<WriteBatch> Collector::Plan(Revision published_compacted, Revision durable_compacted,
                                           int64_t changes_max) {
  return impl_->Plan(published_compacted, durable_compacted, changes_max);
}
void Collector::OnWritten() { impl_->OnWritten(); }
absl::Status Collector::DropFiles() { return impl_->DropFiles(); }
Revision Collector::collected() const { return impl_->collected(); }

}  // namespace gavel::storage
