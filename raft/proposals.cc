// Commands on their way into the log: appended here, forwarded to the leader, or dropped.
//
// "Dropped" is said only of a proposal that is certainly in no log and never will be.
#include <utility>

#include "raft/check.h"
#include "raft/core.h"
#include "raft/sim_point.h"

namespace gavel::raft {

void Raft::Core::Propose(std::vector<Proposal> proposals) {
  for (const Proposal& proposal : proposals) GAVEL_CHECK(proposal.payload != nullptr);
  if (auto* leader = As<Leader>()) {
    AppendProposals(*leader, std::move(proposals));
    return;
  }
  const auto* follower = As<Follower>();
  if (follower && follower->leader) {
    ForwardToLeader(*follower->leader, std::move(proposals));
  } else {
    DropProposals(proposals);
  }
}

std::optional<EntryId> Raft::Core::ProposeAsLeader(const Proposal& proposal) {
  GAVEL_CHECK(proposal.payload != nullptr);
  const auto* leader = As<Leader>();
  if (leader == nullptr || leader->transfer) return std::nullopt;
  AppendAsLeader(EntryKind::kCommand, proposal.payload);
  return log_.last();
}

bool Raft::Core::TakesProposals(const Leader& leader) const {
  return !leader.transfer && leader.uncommitted_bytes <= options_.uncommitted_bytes_max;
}

void Raft::Core::AppendProposals(Leader& leader, std::vector<Proposal> proposals) {
  for (Proposal& proposal : proposals) {
    if (!TakesProposals(leader)) {
      DropProposals({proposal});
      continue;
    }
    AppendAsLeader(EntryKind::kCommand, std::move(proposal.payload));
    pending_.proposals.push_back(
        ProposalOutcome{proposal.id, ProposalOutcome::Kind::kAppended, log_.last(), {}});
  }
}

void Raft::Core::DropProposals(const std::vector<Proposal>& proposals) {
  for (const Proposal& proposal : proposals) {
    pending_.proposals.push_back(
        ProposalOutcome{proposal.id, ProposalOutcome::Kind::kDropped, EntryId{}, {}});
  }
}

// Proposals of one round travel together, up to the size of an append.
void Raft::Core::ForwardToLeader(NodeId to, std::vector<Proposal> proposals) {
  for (Proposal& proposal : proposals) {
    ForwardProposals* open = nullptr;
    if (!pending_.send_now.empty() && pending_.send_now.back().to == to) {
      open = std::get_if<ForwardProposals>(&pending_.send_now.back().body);
    }
    if (open && open->leader_term == term_) {
      size_t bytes = proposal.payload->size();
      for (const Proposal& earlier : open->proposals) bytes += earlier.payload->size();
      if (bytes > options_.append_bytes_max) open = nullptr;
    } else {
      open = nullptr;
    }
    if (!open) {
      Send(to, ForwardProposals{term_, {}});
      open = std::get_if<ForwardProposals>(&pending_.send_now.back().body);
    }
    open->proposals.push_back(std::move(proposal));
  }
}

// A leader decides on each id once in its term: a repeated message changes nothing, and is not
// answered, since the first copy was.
void Raft::Core::HandleForward(const Message& message, const ForwardProposals& forward) {
  auto* leader = As<Leader>();
  if (!leader || forward.leader_term != term_) {
    RefuseForward(message.from, forward);
    return;
  }
  ProposalsDropped dropped;
  for (const Proposal& proposal : forward.proposals) {
    if (!led_.seen.Add(proposal.id) && !GAVEL_PLANTED_BUG(14)) continue;
    if (!TakesProposals(*leader)) {
      dropped.ids.push_back(proposal.id);
      continue;
    }
    AppendAsLeader(EntryKind::kCommand, proposal.payload);
    const auto peer = leader->peers.find(message.from);
    if (peer != leader->peers.end()) peer->second.commit_awaited = log_.last().index;
  }
  GAVEL_SIM_POINT("forwarded proposals taken");
  if (!dropped.ids.empty()) Send(message.from, std::move(dropped));
}

// The leader these proposals are meant for leads no more. They are dropped if no earlier copy of
// the message can have reached it: its memory of that term still stands and does not know them.
// Otherwise their fate is unknown, and silence says so.
void Raft::Core::RefuseForward(NodeId from, const ForwardProposals& forward) {
  if (auto* leader = As<Leader>(); leader && GAVEL_PLANTED_BUG(30)) {
    AppendProposals(*leader, forward.proposals);
    return;
  }
  if (forward.leader_term != led_.term) return;
  ProposalsDropped dropped;
  for (const Proposal& proposal : forward.proposals) {
    if (led_.seen.Add(proposal.id) || GAVEL_PLANTED_BUG(42)) dropped.ids.push_back(proposal.id);
  }
  GAVEL_SIM_POINT("forwarded proposals refused");
  if (!dropped.ids.empty()) Send(from, std::move(dropped));
}

void Raft::Core::HandleDropped(const ProposalsDropped& dropped) {
  for (const RequestId& id : dropped.ids) {
    if (id.member != options_.id || id.incarnation != options_.incarnation) continue;
    const auto kind =
        dropped.refusal.empty() ? ProposalOutcome::Kind::kDropped : ProposalOutcome::Kind::kRefused;
    pending_.proposals.push_back(
        ProposalOutcome{id, kind, EntryId{}, dropped.refusal, dropped.reason});
  }
}

}  // namespace gavel::raft
