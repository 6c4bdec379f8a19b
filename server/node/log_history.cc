#include "server/node/log_history.h"

#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"

#include "raft/check.h"
#include "storage/status_macros.h"

namespace gavel::server {
namespace {

// Drops what is before the value in force at `index`.
template <class Value>
void DropBefore(std::map<raft::Index, Value>& values, raft::Index index) {
  auto in_force = values.upper_bound(index);
  if (in_force == values.begin()) return;
  values.erase(values.begin(), std::prev(in_force));
}

}  // namespace

LogHistory::LogHistory(const raft::SnapshotMeta& start) : start_(start.index), last_(start.index) {
  terms_.emplace(start.index, start.term);
  configurations_.emplace(start.index, start.configuration);
}

void LogHistory::Truncate(raft::Index first_gone) {
  GAVEL_CHECK(first_gone > start_) << "truncation below the start of the log";
  terms_.erase(terms_.lower_bound(first_gone), terms_.end());
  configurations_.erase(configurations_.lower_bound(first_gone), configurations_.end());
  last_ = first_gone.Previous();
}

absl::Status LogHistory::Append(const std::vector<raft::Entry>& entries) {
  if (entries.empty()) return absl::OkStatus();
  if (entries.front().index <= last_) Truncate(entries.front().index);
  for (const raft::Entry& entry : entries) {
    GAVEL_CHECK(entry.index == last_.Next()) << "a gap in the log before" << entry.index.value();
    if (terms_.rbegin()->second != entry.term) terms_.emplace(entry.index, entry.term);
    if (entry.kind == raft::EntryKind::kConfiguration) {
      GAVEL_ASSIGN_OR_RETURN(raft::Configuration configuration,
                             raft::DecodeConfiguration(*entry.payload));
      configurations_.insert_or_assign(entry.index, std::move(configuration));
    }
    last_ = entry.index;
  }
  return absl::OkStatus();
}

absl::StatusOr<raft::SnapshotMeta> LogHistory::MarkAt(raft::Index index) const {
  if (index < start_ || index > last_) {
    return absl::OutOfRangeError(absl::StrCat("no log history at index ", index.value(), ", only ",
                                              start_.value(), " to ", last_.value()));
  }
  return raft::SnapshotMeta{index, std::prev(terms_.upper_bound(index))->second,
                            std::prev(configurations_.upper_bound(index))->second};
}

void LogHistory::CutTo(raft::Index index) {
  if (index <= start_) return;
  DropBefore(terms_, index);
  DropBefore(configurations_, index);
  start_ = index;
}

}  // namespace gavel::server
