// What members say to each other, as plain values. `server/peer` gives them their bytes.
//
// Every message carries the sender's term; a higher one is adopted before anything else
// (except by pre-vote, which asks about a term without entering it).
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "raft/configuration.h"
#include "raft/types.h"

namespace gavel::raft {

// A read or heartbeat round of one leader in one term; grows with every round.
using Round = Number<struct RoundTag>;

// Entries to append after `previous`, and how far the leader has committed (Ongaro §3.5).
// Empty `entries` serves as a probe and as the way to tell a new commit index.
struct AppendRequest {
  EntryId previous;
  std::vector<Entry> entries;
  Index commit;
  Index replicated_everywhere;  // Lowest match index over all members: the log may be cut to it.
};

// Answer to AppendRequest or InstallSnapshot; speaks for what is durable on the sender.
struct AppendReply {
  bool accepted = false;
  Index match;     // accepted: durable and equal to the leader's log up to here.
  Index rejected;  // refused: the `previous.index` of the request that did not fit.
  EntryId hint;    // refused: last entry that may still agree (Ongaro §3.5, faster search).
};

// A leader's sign of life. `commit` never exceeds what the receiver is known to have stored.
struct Heartbeat {
  Round round;
  Index commit;
  Index replicated_everywhere;
};
struct HeartbeatReply {
  Round round;
};

// Asks for a vote, or with `pre` whether a vote would be given (Ongaro §9.6).
struct VoteRequest {
  bool pre = false;
  Term campaign_term;  // The term asked about; for a real vote it equals Message::term.
  EntryId last;
  bool transfer = false;    // The leader itself asked for this election (Ongaro §3.10).
  Incarnation incarnation;  // The candidate's life; echoed, so that a grant for an earlier
                            // life is never counted.
};
struct VoteReply {
  bool pre = false;
  Term campaign_term;
  bool granted = false;
  Incarnation incarnation;  // As in the request.
};

// A follower's readers ask the leader for a commit index; `id` is the follower's own.
struct ReadRequest {
  ReadId id;
  Incarnation incarnation;
};
struct ReadReply {
  ReadId id;
  Incarnation incarnation;
  bool confirmed = false;  // False: not leader, or leadership was lost; ask again with a new id.
  Index index;
};

// One client's command on its way into the log.
struct Proposal {
  RequestId id;
  Payload payload;
};

// A follower hands proposals to the leader of exactly `leader_term`; never handed on again.
struct ForwardProposals {
  Term leader_term;
  std::vector<Proposal> proposals;
};
// The leader did not append these, for certain.
struct ProposalsDropped {
  std::vector<RequestId> ids;
  // Why the leader's driver takes none like them, in words. Empty: they may be proposed again.
  std::string refusal;
  uint32_t reason = 0;  // The same as a number that the drivers know; 0: it has none.
};

// Campaign at once, without a pre-vote (Ongaro §3.10).
struct TimeoutNow {};

// Stepped by the receiver's driver once the snapshot has been received whole and verified.
struct InstallSnapshot {
  SnapshotMeta meta;
};

struct Message {
  NodeId from;
  NodeId to;
  Term term;
  std::variant<AppendRequest, AppendReply, Heartbeat, HeartbeatReply, VoteRequest, VoteReply,
               ReadRequest, ReadReply, ForwardProposals, ProposalsDropped, TimeoutNow,
               InstallSnapshot>
      body;
};

}  // namespace gavel::raft
