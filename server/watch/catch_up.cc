#include "server/watch/catch_up.h"

#include <algorithm>
#include <utility>

#include "raft/check.h"
#include "raft/sim_point.h"

namespace gavel::server {

using storage::ChangeScan;
using storage::KeyChange;
using storage::Revision;

namespace {

// What the search for a value costs, in rows walked over.
constexpr int64_t kLookupRows = 4;
// Of an event besides key and value, roughly.
constexpr uint64_t kEventOverhead = 64;
// Canceled watchers are looked for once there are so many, and as many others.
constexpr size_t kPurgeMin = 256;

}  // namespace

void CatchUp::Add(std::vector<Newcomer> newcomers, bool at_once) {
  GAVEL_CHECK(!building_ || newcomers.empty());
  retired_.clear();
  retired_index_ = WatchIndex();
  for (Newcomer& newcomer : newcomers) waiting_.push_back(std::move(newcomer));
  if (waiting_.empty() || building_) return;
  PurgeCanceled();
  Revision earliest = waiting_.front().next;
  for (const Newcomer& newcomer : waiting_) earliest = std::min(earliest, newcomer.next);
  if (entries_.empty()) {
    position_ = earliest;
    high_ = 0;
  } else if (earliest < position_ && (at_once || position_ > high_)) {
    // What the others have seen, they do not see again.
    for (const auto& entry : entries_) entry->next = std::max(entry->next, position_);
    high_ = position_;
    position_ = earliest;
  }
  std::vector<Newcomer> late;
  for (Newcomer& newcomer : waiting_) {
    if (newcomer.next < position_) {
      late.push_back(std::move(newcomer));
    } else {
      AddEntry(std::move(newcomer));
    }
  }
  waiting_ = std::move(late);
}

void CatchUp::AddEntry(Newcomer newcomer) {
  auto entry = std::make_unique<Entry>();
  entry->watcher = std::move(newcomer.watcher);
  entry->next = newcomer.next;
  index_.Add(entry->watcher->range(), *entry);
  entries_.push_back(std::move(entry));
}

void CatchUp::PurgeCanceled() {
  if (entries_.size() < kPurgeMin) return;
  const auto canceled = [this](const std::unique_ptr<Entry>& entry) {
    if (!entry->watcher->canceled.load(std::memory_order_relaxed)) return false;
    index_.Remove(*entry);
    return true;
  };
  std::erase_if(entries_, canceled);
}

void CatchUp::Begin(uint64_t number) {
  building_ = true;
  builder_.Begin(number);
  told_.clear();
  changes_.clear();
  sent_bytes_ = 0;
  scan_position_ = {position_, 0};
  scanned_rows_ = 0;
  current_ = 0;
}

uint64_t CatchUp::Match(std::string_view key, Revision main, bool tombstone, uint32_t i) {
  uint64_t matches = 0;
  index_.ForEachMatch(key, [&](WatchIndexEntry& base) {
    auto& entry = static_cast<Entry&>(base);
    if (!entry.Wants(main, tombstone != GAVEL_PLANTED_BUG(68))) return;
    if (builder_.Add(entry.marks, i, entry.watcher->prev_kv)) told_.push_back(&entry);
    ++matches;
  });
  return matches;
}

bool CatchUp::Enough(Revision main) const {
  return sent_bytes_ >= limits_.catch_up_bytes || main - position_ >= limits_.catch_up_revisions;
}

CatchUp::Result CatchUp::Finish(std::shared_ptr<const Portion> portion, Revision through) {
  building_ = false;
  position_ = through + 1;
  Result result;
  if (told_.empty()) return result;
  auto parts = std::make_shared<BatchParts>();
  parts->batch = builder_.Finish(std::move(portion));
  parts->parts.reserve(told_.size());
  result.watchers.reserve(told_.size());
  for (const Entry* entry : told_) {
    const Watcher& watcher = *entry->watcher;
    parts->parts.push_back({watcher.id, entry->marks.first_run, watcher.prev_kv, watcher.fragment});
    result.watchers.push_back(&watcher);
  }
  result.parts = std::move(parts);
  result.events = builder_.events();
  return result;
}

bool CatchUp::TakeFrom(const Portion& portion, bool copy) {
  const std::vector<KeyChange>& changes = portion.changes();
  for (size_t i = 0; i < changes.size(); ++i) {
    const KeyChange& change = changes[i];
    if (change.id.main < position_) continue;
    if (current_ != 0 && change.id.main != current_ && Enough(change.id.main)) {
      current_ = change.id.main - 1;
      return true;
    }
    current_ = change.id.main;
    const size_t place = copy ? changes_.size() : i;
    const uint64_t matches =
        Match(change.key, change.id.main, change.tombstone, static_cast<uint32_t>(place));
    if (matches == 0) continue;
    sent_bytes_ += matches * (change.key.size() + change.value.size() + kEventOverhead);
    if (copy) changes_.push_back(change);
  }
  current_ = portion.last();
  return false;
}

CatchUp::Result CatchUp::Take(const Portions& portions, uint64_t number) {
  GAVEL_CHECK(!building_ && portions.front()->first() <= position_ &&
              position_ <= portions.front()->last());
  Begin(number);
  // Few portions are large: what many small ones hold goes out together.
  const bool copy = portions.size() > 1;
  for (const std::shared_ptr<const Portion>& portion : portions) {
    if (TakeFrom(*portion, copy)) break;
  }
  const Revision through = current_;
  if (!copy) return Finish(portions.front(), through);
  return Finish(std::make_shared<Portion>(std::move(changes_), position_, through), through);
}

absl::Status CatchUp::AddChange(const storage::ReadView& view, const ChangeScan& scan,
                                uint64_t matches, storage::ScanBudget& budget) {
  KeyChange change;
  change.id = scan.id();
  change.tombstone = scan.tombstone();
  change.key = scan.user_key();
  if (!change.tombstone) {
    budget.rows -= kLookupRows;
    if (absl::Status status = storage::ReadChangedValue(*view.engine, &change); !status.ok()) {
      return status;
    }
  }
  const uint64_t bytes = change.key.size() + change.value.size();
  budget.bytes -= static_cast<int64_t>(bytes);
  sent_bytes_ += matches * (bytes + kEventOverhead);
  changes_.push_back(std::move(change));
  return absl::OkStatus();
}

CatchUp::Result CatchUp::Read(const storage::ReadView& view, Revision through, uint64_t number) {
  GAVEL_CHECK(position_ <= through);
  if (!building_) Begin(number);
  storage::ScanBudget budget{limits_.catch_up_rows, static_cast<int64_t>(limits_.catch_up_bytes)};
  ChangeScan scan(*view.engine, scan_position_, through);
  Result result;
  bool whole = false;
  ChangeScan::Result row = scan.Next(budget);
  for (; row == ChangeScan::Result::kRow; row = scan.Next(budget)) {
    if (current_ != 0 && scan.id().main != current_ &&
        (Enough(scan.id().main) || scanned_rows_ >= limits_.catch_up_rows)) {
      through = scan.id().main - 1;
      whole = true;
      break;
    }
    ++scanned_rows_;
    current_ = scan.id().main;
    const uint64_t matches =
        Match(scan.user_key(), current_, scan.tombstone(), static_cast<uint32_t>(changes_.size()));
    if (matches == 0) continue;
    result.status = AddChange(view, scan, matches, budget);
    if (!result.status.ok()) break;
  }
  if (row == ChangeScan::Result::kFailed) result.status = scan.status();
  scan_position_ = scan.position();
  // After the reads: what a compaction took away was below what is published here.
  const Revision compacted = view.published_compacted->load();
  if (compacted > position_ && !GAVEL_PLANTED_BUG(67)) {
    building_ = false;
    result.status = absl::OkStatus();
    result.compacted = compacted;
    return result;
  }
  if (!result.status.ok()) return result;
  if (row == ChangeScan::Result::kBudget && GAVEL_PLANTED_BUG(69) && current_ != 0) {
    through = current_;
    whole = true;
    row = ChangeScan::Result::kEnd;
  }
  if (row == ChangeScan::Result::kBudget) return result;
  GAVEL_CHECK(whole || row == ChangeScan::Result::kEnd);
  return Finish(std::make_shared<Portion>(std::move(changes_), position_, through), through);
}

std::vector<std::shared_ptr<Watcher>> CatchUp::TakeBelow(Revision compacted) {
  std::vector<std::shared_ptr<Watcher>> below;
  const auto is_below = [&](const std::unique_ptr<Entry>& entry) {
    if (std::max(entry->next, position_) >= compacted) return false;
    index_.Remove(*entry);
    below.push_back(std::move(entry->watcher));
    return true;
  };
  std::erase_if(entries_, is_below);
  position_ = std::max(position_, compacted);
  return below;
}

std::vector<std::shared_ptr<Watcher>> CatchUp::TakeArrived() {
  std::vector<std::shared_ptr<Watcher>> arrived;
  arrived.reserve(entries_.size());
  for (const auto& entry : entries_) arrived.push_back(std::move(entry->watcher));
  retired_.swap(entries_);
  std::swap(retired_index_, index_);
  return arrived;
}

}  // namespace gavel::server
