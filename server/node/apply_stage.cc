#include "server/node/apply_stage.h"

#include <iterator>
#include <span>
#include <utility>

namespace gavel::server {

ApplyStage::ApplyStage(std::unique_ptr<storage::StateMachine> machine,
                       std::shared_ptr<storage::Engine> engine,
                       storage::StateMachine::Wanted wanted, ApplyLimits limits)
    : machine_(std::move(machine)), engine_(std::move(engine)), wanted_(wanted), limits_(limits) {}

void ApplyStage::Queue(std::vector<raft::Entry> committed) {
  if (!has_work()) {
    queue_ = std::move(committed);
    next_ = 0;
    return;
  }
  if (next_ > queue_.size() / 2) {
    queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(next_));
    next_ = 0;
  }
  queue_.insert(queue_.end(), std::make_move_iterator(committed.begin()),
                std::make_move_iterator(committed.end()));
}

absl::StatusOr<ApplyOutput> ApplyStage::Step(bool changes_wanted) {
  ApplyOutput output;
  size_t end = next_;
  uint64_t bytes = 0;
  while (end < queue_.size() && end - next_ < limits_.batch_entries_max &&
         bytes < limits_.batch_bytes_max) {
    bytes += queue_[end].payload_bytes();
    ++end;
  }
  if (end == next_) return output;

  const std::span<const raft::Entry> entries(queue_.data() + next_, end - next_);
  storage::StateMachine::Wanted wanted = wanted_;
  wanted.changes = changes_wanted;
  wanted.response_bytes_max = limits_.response_bytes_max;
  absl::StatusOr<storage::ApplyResult> result = machine_->Apply(entries, wanted);
  if (absl::IsResourceExhausted(result.status())) {
    output.stalled = true;
    return output;
  }
  if (!result.ok()) return result.status();
  output.outcomes = std::move(result->outcomes);
  output.changes = std::move(result->changes);
  output.leases = std::move(result->leases);
  output.digest_reports = std::move(result->digest_reports);
  output.digest_marked = result->digest_marked;
  output.digest_news = result->digest_news;
  output.members_changed = result->members_changed;
  output.applied = {entries.back().index, entries.back().term};
  output.entries = entries.size();
  output.log_bytes = bytes;
  next_ = end;
  if (!has_work()) {
    queue_.clear();
    next_ = 0;
  }
  return output;
}

absl::StatusOr<bool> ApplyStage::WriteCollected(const storage::WriteBatch& batch) {
  const absl::Status written = engine_->Write(batch);
  if (absl::IsResourceExhausted(written)) return false;
  if (!written.ok()) return written;
  return true;
}

}  // namespace gavel::server
