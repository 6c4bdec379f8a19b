// What a leader knows of one other member, and how much it has sent there without an answer.
//
// Only bookkeeping: which message to send is decided in replication.cc.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>

#include "raft/message.h"
#include "raft/raft.h"
#include "raft/types.h"

namespace gavel::raft {

// Appends under way to one follower, bounded in messages and bytes.
class InflightWindow {
 public:
  InflightWindow(size_t messages_max, size_t bytes_max)
      : messages_max_(messages_max), bytes_max_(bytes_max) {}

  // The first message always has room, however large.
  bool HasRoom() const {
    return sent_.empty() || (sent_.size() < messages_max_ && bytes_ < bytes_max_);
  }
  void Add(Index last, size_t bytes);
  // Frees every message whose entries all lie at or below `match`.
  void FreeTo(Index match);
  void Clear();

  bool empty() const { return sent_.empty(); }
  size_t messages() const { return sent_.size(); }
  size_t bytes() const { return bytes_; }

 private:
  struct Sent {
    Index last;
    size_t bytes = 0;
  };

  size_t messages_max_;
  size_t bytes_max_;
  size_t bytes_ = 0;
  std::deque<Sent> sent_;
};

// Invariants:
//   match < next
//   kProbe: one append at a time, until the follower accepts one
//   kReplicate: appends are pipelined within `window`, `next` runs ahead of `match`
//   kSnapshot: no appends until the driver reports, or the follower acknowledges
struct Progress {
  using State = PeerProgress::State;

  Progress(Index first_next, InflightWindow empty_window)
      : next(first_next), window(empty_window) {}

  // Looks again for the last common entry; nothing that was sent counts as under way.
  void BecomeProbe();
  // Requires: the follower has accepted an append at or above `match`.
  void BecomeReplicate();
  // `next` stays where a probe has come to.
  void BecomeSnapshot();
  // To a probe that begins at `first`.
  void EndSnapshot(Index first);
  // The follower holds everything up to `index`, durably. Returns true if that is news.
  bool Acknowledge(Index index);

  State state = State::kProbe;
  Index match;  // Highest entry known durable and equal there.
  Index next;   // Next entry to send.
  InflightWindow window;
  bool probe_sent = false;          // kProbe: wait for an answer or a heartbeat reply.
  bool recently_active = false;     // Heard from since the last quorum check.
  Index match_at_heartbeat;         // `match` when the last heartbeat reply came.
  Round acked_round;                // Newest round confirmed.
  EntryId sent;                     // Last entry sent: the `previous` of the next append.
  std::optional<Index> older_from;  // An EntriesWanted under way starts here.
  Index commit_told;                // Commit index the follower has been sent.
  Index commit_awaited;             // It waits for commits up to here.
  std::optional<Index> departing;   // Left with the configuration entry at this index.
};

}  // namespace gavel::raft
