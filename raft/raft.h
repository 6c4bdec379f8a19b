// The consensus core: messages, ticks and completions in; one batch of effects out.
//
// Passive and deterministic: no thread, lock, clock, system call or call-back. The driver
// feeds it inputs, then takes the effects and carries them out (see effects.h for the order).
// The same object runs in production, in the simulator and in the tests.
//
// Rules it keeps beyond the thesis are listed in raft/README.md.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "raft/configuration.h"
#include "raft/effects.h"
#include "raft/message.h"
#include "raft/random.h"
#include "raft/types.h"

namespace gavel::raft {

struct Options {
  NodeId id;
  Incarnation incarnation;

  // Times in ticks; the driver decides how long a tick is (10 ms in production).
  uint32_t election_ticks = 100;  // Randomised to [election_ticks, 2 * election_ticks).
  uint32_t heartbeat_ticks = 10;
  // A member that has heard no leader since its start asks after a time in this interval.
  uint32_t first_campaign_ticks_min = 5;
  uint32_t first_campaign_ticks_max = 15;

  // Replication window per follower.
  size_t append_bytes_max = 1 << 20;
  size_t inflight_messages_max = 256;
  size_t inflight_bytes_max = 8 << 20;

  // Entries kept in memory behind the applied index, for followers that lag a little.
  size_t recent_bytes_max = 16 << 20;
  size_t recent_entries_max = 10000;

  // Largest batch of Effects::committed.
  size_t committed_bytes_max = 4 << 20;
  // Proposals are dropped while more than this is appended but not yet committed.
  size_t uncommitted_bytes_max = 256 << 20;
};

// What a member knows when it starts.
struct Restored {
  HardState hard_state;
  // The entry before entries[0], and the configuration in force there.
  SnapshotMeta start;
  std::vector<Entry> entries;
  // The state machine's applied index. Requires: applied >= start.index.
  Index applied;
  // Lowest index that OnOlderEntries can be asked for.
  Index first_stored;
};

// The leader's view of one other member.
struct PeerProgress {
  enum class State : uint8_t { kProbe, kReplicate, kSnapshot };
  NodeId id;
  State state = State::kProbe;
  Index match;
  Index next;
  bool recently_active = false;
  size_t inflight_messages = 0;
};

// What somebody said as a leader that cannot be true beside what this member knows: a second leader
// of a term, or an entry other than the committed one at its index. It was refused. A member is
// broken, has lost what it confirmed, or lies.
struct Contradiction {
  uint64_t count = 0;  // Since the start; the rest is of the newest.
  Term term;
  NodeId from;                   // Who said it.
  std::optional<NodeId> leader;  // Whom this member knew as the leader of the term.
  Index index;                   // Of the committed entry; none if it was about who leads.
};

// A copy of what an operator may see; cheap enough for every request.
struct Status {
  NodeId id;
  Role role = Role::kFollower;
  Term term;
  std::optional<NodeId> leader;
  std::optional<NodeId> voted_for;
  Index commit;
  Index applied;
  Index last;       // Last entry of the log.
  Index persisted;  // Last entry durable here.
  Index replicated_everywhere;
  // What a leader was told is durable here, but the log does not hold: the disk has lost it, most
  // often because somebody emptied the data directory. None: nothing is known to be lost.
  Index missing;
  Contradiction contradiction;
  std::vector<PeerProgress> peers;  // Leader only.
};

class Raft {
 public:
  // Requires: `restored` is what the disk holds; entries are consecutive.
  Raft(Options options, Restored restored, Random random);
  ~Raft();
  Raft(Raft&&) noexcept;
  Raft& operator=(Raft&&) noexcept;

  // One tick of time has passed.
  void Tick();

  // A message arrived. Messages for another member, from an unknown sender of a stale term, or
  // out of date are ignored; none can break the core.
  void Step(Message message);

  // Appends on a leader, forwards on a follower that knows its leader, else drops (which the
  // next effects say). Requires: ids are new.
  void Propose(std::vector<Proposal> proposals);

  // Appends a command of the leader's own accord, also beyond uncommitted_bytes_max, and says
  // where. Nothing, on a member that does not lead or hands leadership over; it is never forwarded.
  std::optional<EntryId> ProposeAsLeader(const Proposal& proposal);

  // Asks for a membership change to `target` (members, voters; outgoing_voters must be empty).
  // Leader only. Goes through a joint configuration when voters differ (Ongaro §4.3).
  // Returns false, with nothing changed, if this is no leader, a change is under way, no entry
  // of this term is committed yet, or `target` has no voter.
  bool ProposeChange(const Configuration& target);

  // Asks for the index at which reads that arrived by now are linearizable (Ongaro §6.4).
  // Answered by a ReadGrant or in failed_reads; a read whose messages are lost is answered by
  // neither, so the caller keeps a time limit and asks again with a new id.
  void RequestRead(ReadId id);

  // Brings `target` up to date and tells it to campaign (Ongaro §3.10). Gives up after an
  // election timeout. Proposals are dropped meanwhile. Does nothing on a follower.
  void TransferLeadership(NodeId target);

  // The batch and all before it are durable (see Effects).
  void OnPersisted(BatchNumber number);
  // The state machine has applied everything up to `index`.
  void OnApplied(Index index);
  // Answers EntriesWanted. An empty list says that the log no longer has them.
  void OnOlderEntries(NodeId to, Index from, std::vector<Entry> entries);
  // Answers SnapshotWanted: `index` of the snapshot `to` now holds, or nothing if it failed.
  void OnSnapshotSent(NodeId to, std::optional<Index> index);
  // A message to `peer` was dropped on the way out.
  void OnPeerUnreachable(NodeId peer);
  // The connection to `peer` closed and could not be opened again at once.
  void OnPeerConnectionLost(NodeId peer);
  // A connection to `peer` stands (again).
  void OnPeerConnected(NodeId peer);
  // Log entries below `index` are no longer stored.
  void CompactTo(Index index);

  // True if TakeEffects would return something.
  bool HasEffects() const;
  // Returns what has come up since the last call. Batch numbers grow by one.
  Effects TakeEffects();

  Status status() const;
  // The configuration in force (latest appended).
  const Configuration& configuration() const;
  // The entry at `index` if it is in memory.
  std::optional<Entry> EntryAt(Index index) const;

 private:
  class Core;
  std::unique_ptr<Core> core_;
};

}  // namespace gavel::raft
