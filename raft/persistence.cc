// The way out: one batch of effects, and what becomes true once it is durable.
#include <algorithm>
#include <utility>

#include "raft/check.h"
#include "raft/core.h"
#include "raft/sim_point.h"

namespace gavel::raft {

HardState Raft::Core::hard_state() const { return HardState{term_, voted_for_, commit_}; }

RoleChange Raft::Core::role_change() const { return RoleChange{role(), term_, leader()}; }

void Raft::Core::Flush() { FlushLeader(); }

bool Raft::Core::HasSomethingToWrite() const {
  return log_.has_unwritten() || hard_state() != emitted_hard_state_;
}

bool Raft::Core::HasEffects() {
  Flush();
  return !pending_.empty() || HasSomethingToWrite() || role_change() != emitted_role_ ||
         handed_ < (GAVEL_PLANTED_BUG(20) ? commit_ : std::min(commit_, log_.persisted()));
}

Effects Raft::Core::TakeEffects() {
  Flush();
  Effects effects = std::exchange(pending_, Effects{});
  const BatchNumber number = last_batch_.Next();
  const HardState current = hard_state();
  if (current != emitted_hard_state_) {
    if (current.term != emitted_hard_state_.term ||
        current.voted_for != emitted_hard_state_.voted_for) {
      written_votes_.push_back(WrittenVote{number, current.term, current.voted_for});
      effects.must_sync = true;
    }
    effects.hard_state = current;
    if (GAVEL_PLANTED_BUG(1)) effects.hard_state->voted_for.reset();
    emitted_hard_state_ = current;
  }
  effects.append = log_.TakeUnwritten(number);
  effects.committed = TakeCommitted();
  if (role_change() != emitted_role_) {
    emitted_role_ = role_change();
    effects.role = emitted_role_;
  }
  effects.must_sync = effects.must_sync || !effects.append.empty() || effects.install.has_value();
  if (!effects.empty()) {
    last_batch_ = number;
    effects.number = number;
  }
  return effects;
}

// Entries that are committed, and durable here: a member that applied what it can still lose
// would disagree with its own log after a crash.
std::vector<Entry> Raft::Core::TakeCommitted() {
  const Index upto = GAVEL_PLANTED_BUG(20) ? commit_ : std::min(commit_, log_.persisted());
  if (handed_ >= upto) return {};
  std::vector<Entry> entries = log_.Slice(handed_.Next(), upto, options_.committed_bytes_max);
  handed_ = entries.back().index;
  return entries;
}

void Raft::Core::OnPersisted(BatchNumber number) {
  GAVEL_CHECK(number <= last_batch_) << number.value() << last_batch_.value();
  GAVEL_SIM_POINT("batch durable, not counted");
  log_.OnPersisted(number);
  bool own_vote = false;
  while (!written_votes_.empty() && written_votes_.front().number <= number) {
    const WrittenVote& written = written_votes_.front();
    own_vote = written.term == term_ && written.voted_for == options_.id;
    written_votes_.pop_front();
  }
  if (own_vote) CountOwnVote();
  AdvanceCommit();
}

void Raft::Core::OnApplied(Index index) {
  GAVEL_CHECK(index <= handed_) << index.value() << handed_.value();
  applied_ = std::max(applied_, index);
  log_.OnApplied(applied_);
}

void Raft::Core::CompactTo(Index index) { first_stored_ = std::max(first_stored_, index); }

}  // namespace gavel::raft
