// Followers that need what is no longer in memory: entries from the disk, or a snapshot.
#include <algorithm>
#include <utility>

#include "raft/check.h"
#include "raft/core.h"

namespace gavel::raft {

// The entry before `next` is needed too, for its term: it is asked for along with the rest,
// unless it was the last one sent.
void Raft::Core::AskOlder(NodeId to, Progress& peer) {
  const Index previous = peer.next.Previous();
  const bool previous_known = previous.is_none() || peer.sent.index == previous;
  const Index from = previous_known ? peer.next : previous;
  if (from < first_stored_) {
    WantSnapshot(to, peer);
    return;
  }
  peer.older_from = from;
  pending_.older.push_back(EntriesWanted{to, from, options_.append_bytes_max});
}

void Raft::Core::OnOlderEntries(NodeId to, Index from, std::vector<Entry> entries) {
  auto* leader = As<Leader>();
  if (!leader) return;
  const auto found = leader->peers.find(to);
  if (found == leader->peers.end() || found->second.older_from != from) return;
  Progress& peer = found->second;
  peer.older_from.reset();
  if (entries.empty()) {
    WantSnapshot(to, peer);
    return;
  }
  for (size_t i = 0; i < entries.size(); ++i) {
    GAVEL_CHECK(entries[i].index.value() == from.value() + i)
        << "asked for entries from" << from.value() << "got" << entries[i].index.value();
  }
  // On disk, what memory still holds may already be replaced; only what lies before is certain.
  while (!entries.empty() && entries.back().index > log_.start().index) entries.pop_back();
  EntryId previous = peer.next == Index(1) ? EntryId{} : peer.sent;
  if (!entries.empty() && from.Next() == peer.next) {
    previous = EntryId{entries[0].index, entries[0].term};
    entries.erase(entries.begin());
    peer.sent = previous;
  } else if (from != peer.next) {
    return;  // The follower has moved meanwhile; asked anew if need be.
  }
  if (!entries.empty()) SendEntries(to, peer, previous, std::move(entries));
}

void Raft::Core::WantSnapshot(NodeId to, Progress& peer) {
  peer.BecomeSnapshot();
  pending_.snapshots.push_back(SnapshotWanted{to});
}

// After a failure the next heartbeat reply tries again, so that a broken link is not hammered: from
// the end of the log, since its refusal tells where the follower is by now. It may have the
// snapshot, and only its answer was lost.
void Raft::Core::OnSnapshotSent(NodeId to, std::optional<Index> index) {
  auto* leader = As<Leader>();
  if (!leader) return;
  const auto found = leader->peers.find(to);
  if (found == leader->peers.end() || found->second.state != Progress::State::kSnapshot) return;
  Progress& peer = found->second;
  peer.EndSnapshot(index ? std::max(peer.next, index->Next()) : log_.last().index.Next());
  peer.probe_sent = !index;
}

// True if appends to a follower can start at `next`, from memory or from the disk.
bool Raft::Core::CanFeedFrom(Index next) const {
  return log_.TermAt(next.Previous()).has_value() || next.Previous() >= first_stored_;
}

}  // namespace gavel::raft
