#include "storage/mvcc/live_changes.h"

#include <limits>
#include <memory>

#include "storage/mvcc/key_codec.h"
#include "storage/mvcc/record.h"

namespace gavel::storage {

absl::StatusOr<std::optional<HistoryPlace>> PlaceAfter(const Engine& engine, Revision revision) {
  const std::unique_ptr<Iterator> iterator = engine.NewIterator(Family::kChanges);
  iterator->SeekForPrev(ChangeKey({revision, std::numeric_limits<int32_t>::max()}));
  if (!iterator->Valid()) {
    if (!iterator->status().ok()) return iterator->status();
    return std::nullopt;
  }
  const std::optional<ChangeId> id = ParseChangeKey(iterator->key());
  ChangeRecord change;
  if (!id || !ParseChangeRecord(iterator->value(), &change)) {
    return absl::DataLossError("changes: damaged row");
  }
  if (id->main != revision) return std::nullopt;
  return HistoryPlace{{revision + 1, 0}, change.superseded_total};
}

LiveChanges::Result LiveChanges::Next(ScanBudget& budget) {
  const ChangeScan::Result result = scan_.Next(budget);
  if (result == ChangeScan::Result::kBudget) return Result::kBudget;
  if (result == ChangeScan::Result::kFailed) return Result::kFailed;
  // What is at or above the published compacted revision has not been deleted.
  if (place_.next.main <= through_ && compacted_.load() > place_.next.main) return Result::kLost;
  if (result == ChangeScan::Result::kEnd) {
    if (place_.next.main > through_) return Result::kEnd;
    // Each revision has a change, and so has the last.
    if (place_.next.main < through_ || place_.next.sub == 0) return Result::kLost;
    place_.next = {through_ + 1, 0};
    return Result::kEnd;
  }
  const ChangeId id = scan_.id();
  const ChangeId next_revision = {place_.next.main + 1, 0};
  const bool follows = id == place_.next || (place_.next.sub > 0 && id == next_revision);
  if (!follows) return Result::kLost;
  const bool supersedes = scan_.superseded_total() != place_.superseded_total;
  difference_ = scan_.tombstone() ? -1 : supersedes ? 0 : 1;
  place_ = {{id.main, id.sub + 1}, scan_.superseded_total()};
  return Result::kRow;
}

}  // namespace gavel::storage
