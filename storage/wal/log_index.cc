#include "storage/wal/log_index.h"

#include <algorithm>

#include "raft/check.h"

namespace gavel::storage::wal {
namespace {

// A read scans at most this far before the entry it wants.
constexpr uint64_t kRunBytes = 64 << 10;

}  // namespace

void LogIndex::Reset(raft::Index last) {
  runs_.clear();
  last_ = last;
  start_run_ = true;
}

void LogIndex::Truncate(raft::Index from) {
  if (from > last_) return;
  while (!runs_.empty() && runs_.back().first >= from) runs_.pop_back();
  last_ = from.Previous();
  start_run_ = true;
}

void LogIndex::Add(raft::Index index, uint64_t segment, uint64_t offset) {
  GAVEL_CHECK(index == last_.Next()) << index.value() << " after " << last_.value();
  if (start_run_ || runs_.back().segment != segment || offset - runs_.back().offset >= kRunBytes) {
    runs_.push_back({index, segment, offset});
    start_run_ = false;
  }
  last_ = index;
}

void LogIndex::DropSegmentsBelow(uint64_t segment) {
  while (!runs_.empty() && runs_.front().segment < segment) runs_.pop_front();
  if (runs_.empty()) start_run_ = true;
}

std::optional<uint64_t> LogIndex::SegmentOf(raft::Index index) const {
  if (empty() || index > last_) return std::nullopt;
  if (index <= runs_.front().first) return runs_.front().segment;
  return Find(index)->segment;
}

std::vector<Run> LogIndex::RunsFrom(raft::Index index, size_t count) const {
  const auto begin = Find(index);
  return {begin, begin + std::min<ptrdiff_t>(static_cast<ptrdiff_t>(count), runs_.end() - begin)};
}

std::deque<Run>::const_iterator LogIndex::Find(raft::Index index) const {
  GAVEL_CHECK(!empty() && index >= first_index() && index <= last_) << index.value();
  auto after = std::upper_bound(runs_.begin(), runs_.end(), index,
                                [](raft::Index i, const Run& run) { return i < run.first; });
  return --after;
}

}  // namespace gavel::storage::wal
