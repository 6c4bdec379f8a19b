// The follower's side of replication: appends, heartbeats and snapshots (Ongaro §3.5, §5).
#include <algorithm>
#include <optional>
#include <utility>

#include "raft/check.h"
#include "raft/core.h"
#include "raft/sim_point.h"

namespace gavel::raft {

void Raft::Core::HandleAppend(const Message& message, const AppendRequest& request) {
  if (!OnLeaderMessage(message.from)) return;
  replicated_everywhere_ = request.replicated_everywhere;
  const Index upto(request.previous.index.value() + request.entries.size());
  if (upto < commit_) {
    // Old news: everything committed agrees with the leader, by leader completeness.
    AcceptAppend(message.from, commit_);
    return;
  }
  if (request.previous.index >= commit_ &&
      log_.TermAt(request.previous.index) != request.previous.term &&
      !(GAVEL_PLANTED_BUG(11) && log_.TermAt(request.previous.index).has_value())) {
    RejectAppend(message.from, request.previous);
    return;
  }
  if (const std::optional<Index> index = FindContradiction(request.entries)) {
    Refute(message.from, *index);
    return;
  }
  AppendNewEntries(request.entries);
  GAVEL_SIM_POINT("entries appended, nothing confirmed");
  CommitTo(std::min(request.commit, GAVEL_PLANTED_BUG(38) ? log_.last().index : upto));
  AcceptAppend(message.from, GAVEL_PLANTED_BUG(39) ? log_.last().index : upto);
}

// The first of `entries` that is another one than the committed entry at its index.
std::optional<Index> Raft::Core::FindContradiction(const std::vector<Entry>& entries) const {
  for (const Entry& entry : entries) {
    if (entry.index > commit_) break;
    const std::optional<Term> term = log_.TermAt(entry.index);
    if (term && *term != entry.term) return entry.index;
  }
  return std::nullopt;
}

// Entries that already match are kept, so that a delayed duplicate of an old request cannot
// cut off newer ones.
void Raft::Core::AppendNewEntries(const std::vector<Entry>& entries) {
  for (const Entry& entry : entries) {
    if (entry.index < log_.start().index) continue;
    const std::optional<Term> term = log_.TermAt(entry.index);
    if (term == entry.term && !(GAVEL_PLANTED_BUG(9) && entry.index > commit_)) continue;
    if (term) {
      GAVEL_CHECK(entry.index > commit_)
          << "entry" << entry.index.value() << "of term" << entry.term.value()
          << "contradicts a committed one of term" << term->value();
      log_.TruncateFrom(entry.index);
      if (configurations_.TruncateFrom(entry.index)) AdoptConfiguration();
      GAVEL_SIM_POINT("suffix cut off");
    }
    AppendToLog(entry);
  }
}

void Raft::Core::AcceptAppend(NodeId leader, Index match) {
  // One answer for all appends of a batch.
  auto& replies = pending_.send_after_persist;
  for (auto message = replies.rbegin(); message != replies.rend(); ++message) {
    auto* reply = std::get_if<AppendReply>(&message->body);
    if (!reply || message->to != leader || message->term != term_ || !reply->accepted) continue;
    reply->match = std::max(reply->match, match);
    return;
  }
  const AppendReply reply{.accepted = true, .match = match, .rejected = {}, .hint = {}};
  if (GAVEL_PLANTED_BUG(5)) return Send(leader, reply);
  SendAfterPersist(leader, reply);
}

void Raft::Core::RejectAppend(NodeId leader, EntryId previous) {
  SendAfterPersist(leader, AppendReply{.accepted = false,
                                       .match = {},
                                       .rejected = previous.index,
                                       .hint = log_.LastAtOrBelow(previous.index, previous.term)});
}

void Raft::Core::HandleHeartbeat(const Message& message, const Heartbeat& heartbeat) {
  if (!OnLeaderMessage(message.from)) return;
  replicated_everywhere_ = heartbeat.replicated_everywhere;
  // The leader promises to name nothing we have not acknowledged. A member that lost its log
  // under an old identity may still be told of entries it does not have; it must not commit.
  if (heartbeat.commit <= log_.last().index) {
    CommitTo(heartbeat.commit);
  } else {
    missing_ = heartbeat.commit;
  }
  Send(message.from, HeartbeatReply{heartbeat.round});
}

// A snapshot is taken whatever its sender's term: what it holds is committed.
void Raft::Core::HandleInstallSnapshot(const Message& message, const InstallSnapshot& install) {
  const bool current = message.term == term_;
  if (current && (!leader() || leader() == message.from)) OnLeaderMessage(message.from);
  const SnapshotMeta& meta = install.meta;
  if (meta.index > commit_) {
    if (log_.TermAt(meta.index) == meta.term) {
      CommitTo(meta.index);
    } else if (As<Leader>()) {
      // A leader holds whatever is committed.
      Refute(message.from, meta.index);
      return;
    } else {
      Install(meta);
    }
  }
  if (current) AcceptAppend(message.from, commit_);
}

void Raft::Core::Install(const SnapshotMeta& meta) {
  GAVEL_CHECK(!As<Leader>());
  log_.ResetTo(EntryId{meta.index, meta.term});
  configurations_.ResetTo(meta.index, meta.configuration);
  commit_ = meta.index;
  handed_ = meta.index;
  first_stored_ = meta.index.Next();
  pending_.install = meta;
  AdoptConfiguration();
}

}  // namespace gavel::raft
