#include "raft/well_formed.h"

#include "absl/status/statusor.h"

#include "raft/limits.h"

namespace gavel::raft {
namespace {

template <class... Handlers>
struct Overload : Handlers... {
  using Handlers::operator()...;
};
template <class... Handlers>
Overload(Handlers...) -> Overload<Handlers...>;

bool IsPossible(Term term) { return term <= kTermMax; }
bool IsPossible(Index index) { return index <= kIndexMax; }
bool IsPossible(EntryId id) { return IsPossible(id.index) && IsPossible(id.term); }

// True if every number that is compared with, or taken for, this member's own can be counted on
// from.
bool HasPossibleNumbers(const Message& message) {
  return IsPossible(message.term) &&
         std::visit(Overload{
                        [](const AppendRequest& m) {
                          // Entries follow each other.
                          return IsPossible(m.previous) && IsPossible(m.commit) &&
                                 IsPossible(m.replicated_everywhere) &&
                                 (m.entries.empty() || IsPossible(m.entries.back().index));
                        },
                        [](const AppendReply& m) {
                          return IsPossible(m.match) && IsPossible(m.rejected) &&
                                 IsPossible(m.hint);
                        },
                        [](const Heartbeat& m) {
                          return IsPossible(m.commit) && IsPossible(m.replicated_everywhere);
                        },
                        [](const VoteRequest& m) {
                          return IsPossible(m.campaign_term) && IsPossible(m.last);
                        },
                        [](const VoteReply& m) { return IsPossible(m.campaign_term); },
                        [](const ReadReply& m) { return IsPossible(m.index); },
                        [](const ForwardProposals& m) { return IsPossible(m.leader_term); },
                        [](const InstallSnapshot& m) { return IsPossible(m.meta.index); },
                        [](const auto&) { return true; },
                    },
                    message.body);
}

bool IsWellFormed(const Entry& entry) {
  if (entry.kind == EntryKind::kEmpty) return entry.payload == nullptr;
  if (entry.payload == nullptr) return false;
  if (entry.kind == EntryKind::kCommand) return true;
  if (entry.kind != EntryKind::kConfiguration) return false;
  const auto configuration = DecodeConfiguration(*entry.payload);
  return configuration.ok() && !configuration->voters.empty();
}

bool IsWellFormed(const AppendRequest& request, Term term) {
  if (request.previous.index.is_none() != request.previous.term.is_none()) return false;
  EntryId previous = request.previous;
  for (const Entry& entry : request.entries) {
    if (entry.index != previous.index.Next() || entry.term < previous.term) return false;
    if (entry.term.is_none() || !IsWellFormed(entry)) return false;
    previous = EntryId{entry.index, entry.term};
  }
  return previous.term <= term;
}

bool IsWellFormed(const SnapshotMeta& meta, Term term) {
  return !meta.index.is_none() && !meta.term.is_none() && meta.term <= term &&
         !meta.configuration.voters.empty() && CheckConfiguration(meta.configuration).ok();
}

}  // namespace

bool IsWellFormed(const Message& message) {
  if (!HasPossibleNumbers(message)) return false;
  if (const auto* append = std::get_if<AppendRequest>(&message.body)) {
    return !message.term.is_none() && IsWellFormed(*append, message.term);
  }
  if (std::holds_alternative<Heartbeat>(message.body)) return !message.term.is_none();
  if (const auto* vote = std::get_if<VoteRequest>(&message.body)) {
    return vote->pre ? vote->campaign_term > message.term
                     : !message.term.is_none() && vote->campaign_term == message.term;
  }
  if (const auto* install = std::get_if<InstallSnapshot>(&message.body)) {
    return !message.term.is_none() && IsWellFormed(install->meta, message.term);
  }
  if (const auto* forward = std::get_if<ForwardProposals>(&message.body)) {
    for (const Proposal& proposal : forward->proposals) {
      // They are handed on once, by the member that took them.
      if (proposal.payload == nullptr || proposal.id.member != message.from) return false;
    }
  }
  return true;
}

}  // namespace gavel::raft
