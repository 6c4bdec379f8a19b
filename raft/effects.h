// What one round of the core asks its driver to do.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "raft/configuration.h"
#include "raft/message.h"
#include "raft/types.h"

namespace gavel::raft {

enum class Role : uint8_t { kFollower, kPreCandidate, kCandidate, kLeader };

// Printed when a role, a term or the known leader changes.
struct RoleChange {
  Role role = Role::kFollower;
  Term term;
  std::optional<NodeId> leader;

  friend bool operator==(const RoleChange&, const RoleChange&) = default;
};

// Serve read `id` once applied >= index.
struct ReadGrant {
  ReadId id;
  Index index;
};

// The fate of a proposal as far as this member knows it for certain. A proposal without an
// outcome (forwarded, or appended and then overwritten) is decided at apply or is unknown.
struct ProposalOutcome {
  enum class Kind : uint8_t {
    kAppended,  // In this leader's log at `entry`; not yet committed.
    kDropped,   // Certainly in no log; the client may try again.
    kRefused,   // Certainly in no log; the leader's driver takes none like it.
  };
  RequestId id;
  Kind kind = Kind::kDropped;
  EntryId entry;        // kAppended only.
  std::string refusal;  // kRefused only: why, in words.
  uint32_t reason = 0;  // kRefused only: see ProposalsDropped.
};

// `to` needs entries from `from` on that are not in memory; answer with Raft::OnOlderEntries.
struct EntriesWanted {
  NodeId to;
  Index from;
  size_t bytes_max = 0;
};

// `to` can only be brought up by a snapshot; answer with Raft::OnSnapshotSent.
struct SnapshotWanted {
  NodeId to;
};

// One batch of effects. The driver honours the fields in this order.
//
// "Durable" below means: the driver has written `hard_state`, `install` and `append` and the
// disk has confirmed them. It then calls Raft::OnPersisted(number), also for batches that had
// nothing to write. Batches may be grouped into one disk write; confirming one confirms all
// with lower numbers.
struct Effects {
  BatchNumber number;
  std::optional<Configuration> configuration;  // In force from here on: tell the transport.
  std::vector<Message> send_now;               // Appends, heartbeats, reads, pre-vote requests.
  std::optional<HardState> hard_state;         // Durable before send_after_persist.
  std::optional<SnapshotMeta> install;         // Make this verified snapshot current first.
  std::vector<Entry> append;                   // Replaces any stored suffix from append[0].index.
  std::vector<Message> send_after_persist;     // Vote requests, vote and append replies.
  std::vector<Entry> committed;                // Committed and durable here: apply in order.
  std::vector<ReadGrant> reads;
  std::vector<ReadId> failed_reads;  // Ask again with a new id.
  std::vector<ProposalOutcome> proposals;
  std::vector<EntriesWanted> older;
  std::vector<SnapshotWanted> snapshots;
  std::optional<RoleChange> role;
  bool must_sync = false;  // False: only the commit index moved; it may wait for the next sync.

  // True if there is nothing at all for the driver to do; such a batch needs no completion.
  bool empty() const;
};

}  // namespace gavel::raft
