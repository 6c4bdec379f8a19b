// The leader's side of replication: heartbeats, appends and their answers (Ongaro §3.5, §10.2).
//
// Nothing is sent while inputs are taken in. What has become due is sent when the effects are
// taken, so that all inputs of one round share one append per follower.
#include <algorithm>
#include <utility>

#include "raft/check.h"
#include "raft/core.h"
#include "raft/sim_point.h"

namespace gavel::raft {

void Raft::Core::TickLeader(Leader& leader) {
  if (++leader.ticks_since_heartbeat >= options_.heartbeat_ticks) {
    leader.ticks_since_heartbeat = 0;
    // Readers must not wait behind a round whose messages were lost.
    if (leader.reads.has_waiting() && OwnTermCommitted(leader)) leader.reads.Start(commit_);
    for (auto& [id, peer] : leader.peers) SendHeartbeat(leader, id, peer);
  }
  TickTransfer(leader);
  if (++leader.ticks_since_quorum_check >= options_.election_ticks) CheckQuorum(leader);
}

// Ongaro §6.2: a leader that hears no quorum steps down, so that its clients look elsewhere.
void Raft::Core::CheckQuorum(Leader& leader) {
  leader.ticks_since_quorum_check = 0;
  const bool heard = HasQuorum(configuration(), [&](NodeId id) {
    const auto peer = leader.peers.find(id);
    return id == options_.id || (peer != leader.peers.end() && peer->second.recently_active);
  });
  if (!heard) {
    BecomeFollower(std::nullopt);
    return;
  }
  std::erase_if(leader.peers, [](const auto& peer) { return peer.second.departing.has_value(); });
  for (auto& [id, peer] : leader.peers) peer.recently_active = false;
}

void Raft::Core::SendHeartbeat(Leader& leader, NodeId to, Progress& peer) {
  const Index commit = GAVEL_PLANTED_BUG(12) ? commit_ : std::min(commit_, peer.match);
  peer.commit_told = std::max(peer.commit_told, commit);
  Send(to, Heartbeat{leader.reads.current(), commit, ReplicatedEverywhere()});
}

void Raft::Core::HandleAppendReply(const Message& message, const AppendReply& reply) {
  auto* leader = As<Leader>();
  if (!leader) return;
  const auto peer = leader->peers.find(message.from);
  if (peer == leader->peers.end()) return;
  peer->second.recently_active = true;
  if (!reply.accepted) {
    HandleRejected(peer->second, reply);
  } else if (reply.match <= log_.last().index) {
    HandleAccepted(*leader, message.from, peer->second, reply.match);
  }
}

void Raft::Core::HandleAccepted(Leader& leader, NodeId from, Progress& peer, Index match) {
  if (match < peer.match) return;
  const bool moved = peer.Acknowledge(GAVEL_PLANTED_BUG(13) ? peer.sent.index : match);
  const bool fed_by_snapshot = peer.state == Progress::State::kSnapshot;
  if (peer.state == Progress::State::kProbe ||
      (fed_by_snapshot && moved && CanFeedFrom(peer.match.Next()))) {
    peer.BecomeReplicate();
  }
  if (!moved) return;
  if (leader.transfer && leader.transfer->target == from) AdvanceTransfer(leader);
  AdvanceCommit();
}

void Raft::Core::HandleRejected(Progress& peer, const AppendReply& reply) {
  if (reply.rejected <= peer.match) return;  // An old answer: it has accepted more since.
  GAVEL_SIM_POINT("append refused");
  if (peer.state == Progress::State::kReplicate) {
    peer.BecomeProbe();
  } else if (peer.state == Progress::State::kProbe && reply.rejected == peer.next.Previous()) {
    peer.probe_sent = false;
  } else {
    return;
  }
  // The hint is the follower's last entry of a term that is not above the one refused. Ours may
  // have a higher term at that place; then look further down (Ongaro §3.5).
  const EntryId common = log_.LastAtOrBelow(reply.hint.index, reply.hint.term);
  const Index agreed = std::min({reply.hint.index, common.index, reply.rejected.Previous()});
  peer.next = std::max(peer.match, agreed).Next();
}

// A follower that answers heartbeats but not appends has lost them, or its answers were lost.
// One empty append after the last one sent finds out which.
void Raft::Core::HandleHeartbeatReply(const Message& message, const HeartbeatReply& reply) {
  auto* leader = As<Leader>();
  if (!leader) return;
  const auto found = leader->peers.find(message.from);
  if (found == leader->peers.end()) return;
  Progress& peer = found->second;
  if (reply.round > leader->reads.current()) return;  // There is no such round.
  peer.recently_active = true;
  peer.acked_round = std::max(peer.acked_round, reply.round);
  if (peer.state == Progress::State::kProbe) {
    peer.probe_sent = false;
  } else if (peer.state == Progress::State::kReplicate && !peer.window.empty() &&
             peer.match == peer.match_at_heartbeat) {
    SendAppend(message.from, peer, false);
  }
  peer.match_at_heartbeat = peer.match;
  GrantConfirmedReads(*leader);
}

void Raft::Core::FlushLeader() {
  auto* leader = As<Leader>();
  if (!leader) return;
  FlushReads(*leader);
  for (auto& [id, peer] : leader->peers) FlushPeer(*leader, id, peer);
  DropDeparted(*leader);
}

// Sends `peer` what its state and window allow.
void Raft::Core::FlushPeer(Leader& leader, NodeId to, Progress& peer) {
  if (peer.state == Progress::State::kProbe) {
    if (!peer.probe_sent && !peer.older_from) SendAppend(to, peer, true);
  } else if (peer.state == Progress::State::kReplicate) {
    while (peer.state == Progress::State::kReplicate && !peer.older_from && peer.window.HasRoom() &&
           peer.next <= log_.last().index) {
      SendAppend(to, peer, true);
    }
  }
  FlushCommit(leader, to, peer);
}

// Tells a follower of a commit it waits for, unless an append has just carried it: a client
// there is answered when the follower applies it. What has not been sent yet will carry it.
void Raft::Core::FlushCommit(Leader& leader, NodeId to, Progress& peer) {
  const Index wanted = std::min(commit_, peer.commit_awaited);
  const bool can_append = peer.state == Progress::State::kReplicate && !peer.older_from &&
                          log_.TermAt(peer.next.Previous()).has_value();
  if (can_append && peer.commit_told < std::min(wanted, peer.next.Previous())) {
    SendAppend(to, peer, false);
  } else if (peer.commit_told < std::min(wanted, peer.match)) {
    SendHeartbeat(leader, to, peer);
  }
}

// Sends one append from `peer.next` on. Entries that are no longer in memory are asked for.
void Raft::Core::SendAppend(NodeId to, Progress& peer, bool with_entries) {
  const Index previous = peer.next.Previous();
  std::optional<Term> term = log_.TermAt(previous);
  if (!term && with_entries) {
    AskOlder(to, peer);
    return;
  }
  // Behind the memory, what was sent last is still known, so that its loss can be found out.
  if (!term && peer.sent.index == previous) term = peer.sent.term;
  if (!term) return;
  std::vector<Entry> entries;
  if (with_entries && log_.Has(peer.next)) {
    entries = log_.Slice(peer.next, log_.last().index, options_.append_bytes_max);
  }
  SendEntries(to, peer, EntryId{previous, *term}, std::move(entries));
}

void Raft::Core::SendEntries(NodeId to, Progress& peer, EntryId previous,
                             std::vector<Entry> entries) {
  peer.sent = entries.empty() ? previous : EntryId{entries.back().index, entries.back().term};
  if (peer.state == Progress::State::kProbe) {
    peer.probe_sent = true;
  } else if (!entries.empty()) {
    size_t bytes = 0;
    for (const Entry& entry : entries) bytes += entry.payload_bytes();
    peer.window.Add(peer.sent.index, bytes);
    peer.next = peer.sent.index.Next();
  }
  peer.commit_told = std::max(peer.commit_told, std::min(commit_, peer.sent.index));
  Send(to, AppendRequest{previous, std::move(entries), commit_, ReplicatedEverywhere()});
}

Progress Raft::Core::NewProgress() const {
  return Progress(log_.last().index.Next(),
                  InflightWindow(options_.inflight_messages_max, options_.inflight_bytes_max));
}

Index Raft::Core::ReplicatedEverywhere() const {
  const auto* leader = As<Leader>();
  if (!leader) return replicated_everywhere_;
  Index lowest = log_.persisted();
  for (const MemberAddress& member : configuration().members) {
    const auto peer = leader->peers.find(member.id);
    if (peer != leader->peers.end()) lowest = std::min(lowest, peer->second.match);
  }
  return lowest;
}

void Raft::Core::AppendAsLeader(EntryKind kind, Payload payload) {
  auto* leader = As<Leader>();
  GAVEL_CHECK(leader != nullptr);
  Entry entry{log_.last().index.Next(), term_, kind, std::move(payload)};
  leader->uncommitted_bytes += entry.payload_bytes();
  AppendToLog(std::move(entry));
}

}  // namespace gavel::raft
