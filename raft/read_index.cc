// Linearizable reads without a log entry (Ongaro §6.4): the leader notes its commit index,
// confirms that it still leads, and grants the read at that index.
#include <utility>
#include <vector>

#include "raft/core.h"
#include "raft/sim_point.h"

namespace gavel::raft {

void Raft::Core::RequestRead(ReadId id) {
  if (auto* leader = As<Leader>()) {
    leader->reads.Add(Reader{options_.id, options_.incarnation, id});
    return;
  }
  auto* follower = As<Follower>();
  if (!follower || !follower->leader) {
    pending_.failed_reads.push_back(id);
    return;
  }
  follower->reads.emplace(id, ticks_);
  Send(*follower->leader, ReadRequest{id, options_.incarnation});
}

void Raft::Core::HandleReadRequest(const Message& message, const ReadRequest& request) {
  if (auto* leader = As<Leader>()) {
    leader->reads.Add(Reader{message.from, request.incarnation, request.id});
  } else {
    Send(message.from, ReadReply{request.id, request.incarnation, false, Index()});
  }
}

void Raft::Core::HandleReadReply(const Message& message, const ReadReply& reply) {
  auto* follower = As<Follower>();
  if (!follower || follower->leader != message.from) return;
  if (reply.incarnation != options_.incarnation) return;
  if (follower->reads.erase(reply.id) == 0) return;
  if (reply.confirmed) {
    pending_.reads.push_back(ReadGrant{reply.id, reply.index});
  } else {
    pending_.failed_reads.push_back(reply.id);
  }
}

// Starts a round for the readers that wait, unless one is under way. Before the first commit in
// its own term a leader does not know the commit index, and they go on waiting.
void Raft::Core::FlushReads(Leader& leader) {
  if (!leader.reads.has_waiting() || leader.reads.round_under_way()) return;
  if (!OwnTermCommitted(leader) && !GAVEL_PLANTED_BUG(16)) return;
  leader.reads.Start(commit_);
  for (auto& [id, peer] : leader.peers) {
    if (configuration().IsVoter(id)) SendHeartbeat(leader, id, peer);
  }
  GrantConfirmedReads(leader);
}

// A member confirms a round by answering its heartbeat in this term; the leader, if it is a
// voter, by still being the leader.
void Raft::Core::GrantConfirmedReads(Leader& leader) {
  const auto confirmed = leader.reads.TakeConfirmed([&](Round round) {
    return HasQuorum(configuration(), [&](NodeId id) {
      const auto peer = leader.peers.find(id);
      return id == options_.id || GAVEL_PLANTED_BUG(15) ||
             (peer != leader.peers.end() && peer->second.acked_round >= round);
    });
  });
  if (!confirmed.empty()) GAVEL_SIM_POINT("reads confirmed, not granted");
  for (const ConfirmedRead& read : confirmed) Grant(leader, read);
}

void Raft::Core::Grant(Leader& leader, const ConfirmedRead& read) {
  const Reader& reader = read.reader;
  if (reader.member == options_.id) {
    pending_.reads.push_back(ReadGrant{reader.id, read.index});
    return;
  }
  Send(reader.member, ReadReply{reader.id, reader.incarnation, true, read.index});
  const auto peer = leader.peers.find(reader.member);
  if (peer == leader.peers.end()) return;
  peer->second.commit_awaited = std::max(peer->second.commit_awaited, read.index);
}

void Raft::Core::FailReads(Leader& leader) {
  for (const Reader& reader : leader.reads.TakeAll()) {
    if (reader.member == options_.id) {
      pending_.failed_reads.push_back(reader.id);
    } else {
      Send(reader.member, ReadReply{reader.id, reader.incarnation, false, Index()});
    }
  }
}

void Raft::Core::FailForwardedReads(Follower& follower) {
  for (const auto& [id, sent] : follower.reads) pending_.failed_reads.push_back(id);
  follower.reads.clear();
}

// A read whose messages were lost is given up after an election timeout.
void Raft::Core::TickForwardedReads(Follower& follower) {
  std::erase_if(follower.reads, [this](const auto& read) {
    if (ticks_ - read.second < options_.election_ticks) return false;
    pending_.failed_reads.push_back(read.first);
    return true;
  });
}

}  // namespace gavel::raft
