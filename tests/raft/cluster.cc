#include "tests/raft/cluster.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

#include "raft/check.h"

namespace gavel::raft {

Configuration Voters(std::vector<uint64_t> voters, std::vector<uint64_t> learners) {
  std::set<uint64_t> all(voters.begin(), voters.end());
  all.insert(learners.begin(), learners.end());
  std::sort(voters.begin(), voters.end());
  Configuration configuration;
  for (uint64_t id : all) {
    configuration.members.push_back(MemberAddress{Id(id), {absl::StrCat("http://m", id)}});
  }
  for (uint64_t id : voters) configuration.voters.push_back(Id(id));
  return configuration;
}

Proposal Command(uint64_t member, uint64_t sequence, const std::string& text) {
  return Proposal{RequestId{Id(member), Incarnation(1), sequence},
                  std::make_shared<const std::string>(text)};
}

EntryId Disk::last() const {
  if (entries.empty()) return EntryId{start.index, start.term};
  return EntryId{entries.back().index, entries.back().term};
}

std::optional<EntryId> Disk::Find(Index index) const {
  if (index == start.index) return EntryId{start.index, start.term};
  if (index < start.index || index > last().index) return std::nullopt;
  const Entry& entry = entries[index.value() - start.index.value() - 1];
  return EntryId{entry.index, entry.term};
}

void Disk::Write(const Effects& batch) {
  if (batch.hard_state) hard_state = *batch.hard_state;
  if (batch.install) {
    start = *batch.install;
    entries.clear();
    first_stored = start.index.Next();
  }
  if (batch.append.empty()) return;
  GAVEL_CHECK(batch.append[0].index > start.index && batch.append[0].index <= last().index.Next());
  entries.resize(batch.append[0].index.value() - start.index.value() - 1);
  entries.insert(entries.end(), batch.append.begin(), batch.append.end());
}

Cluster::Cluster(const Configuration& initial, Settings settings) : settings_(std::move(settings)) {
  for (const MemberAddress& address : initial.members) {
    Restored restored;
    restored.start.configuration = initial;
    restored.first_stored = Index(1);
    Add(address.id, std::move(restored));
  }
}

Member& Cluster::Add(NodeId id, Restored restored) {
  Member& member = members_[id];
  member.id = id;
  member.options.id = id;
  member.options.election_ticks = settings_.election_ticks;
  member.options.heartbeat_ticks = settings_.heartbeat_ticks;
  member.options.first_campaign_ticks_min = 3;
  member.options.first_campaign_ticks_max = 5;
  settings_.adjust(member.options);
  member.disk.hard_state = restored.hard_state;
  member.disk.start = restored.start;
  member.disk.entries = restored.entries;
  member.disk.first_stored = restored.first_stored.is_none() ? Index(1) : restored.first_stored;
  member.applied = restored.applied;
  member.applied_durable = restored.applied;
  Restart(id.value());
  return member;
}

void Cluster::Restart(uint64_t id) {
  Member& member = members_.at(Id(id));
  GAVEL_CHECK(!member.alive());
  member.incarnation = member.incarnation.Next();
  member.options.incarnation = member.incarnation;
  Restored restored{.hard_state = member.disk.hard_state,
                    .start = member.disk.start,
                    .entries = member.disk.entries,
                    .applied = member.applied,
                    .first_stored = member.disk.first_stored};
  const uint64_t seed = settings_.seed * 1000003 + id * 1009 + member.incarnation.value();
  member.core = std::make_unique<Raft>(member.options, std::move(restored), Random(seed));
  Drain(member);
  Check();
}

void Cluster::Crash(uint64_t id, bool forget_applied) {
  Member& member = Alive(id);
  member.core.reset();
  member.writing.clear();
  member.applying.clear();
  member.older.clear();
  if (forget_applied) member.applied = std::max(member.applied_durable, member.disk.start.index);
  Check();
}

Member& Cluster::Alive(uint64_t id) {
  Member& member = members_.at(Id(id));
  GAVEL_CHECK(member.alive()) << "member" << id << "is not running";
  return member;
}

void Cluster::Check() { invariants_.Check(members_); }

void Cluster::Tick(uint64_t id, int count) {
  for (int i = 0; i < count; ++i) {
    Member& member = Alive(id);
    member.core->Tick();
    Drain(member);
    Check();
  }
}

void Cluster::TickAll(int count) {
  for (int i = 0; i < count; ++i) {
    for (auto& [id, member] : members_) {
      if (member.alive()) Tick(id.value());
    }
  }
}

void Cluster::Step(Message message) {
  const auto to = members_.find(message.to);
  if (to == members_.end() || !to->second.alive()) return;
  Member& member = to->second;
  if (const auto* install = std::get_if<InstallSnapshot>(&message.body)) {
    const auto from = members_.find(message.from);
    if (from != members_.end() && from->second.alive()) {
      from->second.core->OnSnapshotSent(message.to, install->meta.index);
      Drain(from->second);
    }
  }
  member.core->Step(std::move(message));
  Drain(member);
  Check();
}

void Cluster::Propose(uint64_t id, const std::string& text) {
  Proposal proposal = Command(id, ++sequence_, text);
  proposal.id.incarnation = Alive(id).incarnation;
  Propose(id, {proposal});
}

void Cluster::Propose(uint64_t id, std::vector<Proposal> proposals) {
  Alive(id).core->Propose(std::move(proposals));
  Drain(member(id));
  Check();
}

bool Cluster::Change(uint64_t id, const Configuration& target) {
  const bool taken = Alive(id).core->ProposeChange(target);
  Drain(member(id));
  Check();
  return taken;
}

void Cluster::Read(uint64_t id, uint64_t read) {
  invariants_.OnReadRequested(Id(id), Alive(id).incarnation, ReadId(read));
  Alive(id).core->RequestRead(ReadId(read));
  Drain(member(id));
  Check();
}

void Cluster::Transfer(uint64_t id, uint64_t target) {
  Alive(id).core->TransferLeadership(Id(target));
  Drain(member(id));
  Check();
}

void Cluster::LoseConnection(uint64_t at, uint64_t peer) {
  Alive(at).core->OnPeerConnectionLost(Id(peer));
  Drain(member(at));
  Check();
}

void Cluster::Connect(uint64_t at, uint64_t peer) {
  Alive(at).core->OnPeerConnected(Id(peer));
  Drain(member(at));
  Check();
}

void Cluster::Unreachable(uint64_t at, uint64_t peer) {
  Alive(at).core->OnPeerUnreachable(Id(peer));
  Drain(member(at));
  Check();
}

void Cluster::Persist(uint64_t id, size_t batches) {
  Member& member = Alive(id);
  for (; batches > 0 && !member.writing.empty(); --batches) {
    CompleteNext(member);
    Drain(member);
  }
  Check();
}

void Cluster::Apply(uint64_t id, size_t entries) {
  Member& member = Alive(id);
  for (; entries > 0 && !member.applying.empty(); --entries) ApplyNext(member);
  Drain(member);
  Check();
}

// Takes effects until there are none, and carries them out as far as nothing is held back. One
// completion at a time, so that the invariants see every commit by itself.
void Cluster::Drain(Member& member) {
  while (member.alive()) {
    if (member.core->HasEffects()) {
      Effects effects = member.core->TakeEffects();
      invariants_.OnEffects(members_, member, effects);
      Trace(member, effects);
      Carry(member, std::move(effects));
    } else if (!member.holds_disk && !member.writing.empty()) {
      CompleteNext(member);
    } else if (!member.holds_apply && !member.applying.empty()) {
      ApplyNext(member);
    } else {
      return;
    }
  }
}

void Cluster::ApplyNext(Member& member) {
  const Entry entry = member.applying.front();
  member.applying.pop_front();
  invariants_.OnApply(member, entry);
  member.applied = entry.index;
  member.core->OnApplied(entry.index);
}

void Cluster::Carry(Member& member, Effects effects) {
  Post(effects.send_now);
  for (const EntriesWanted& wanted : effects.older) member.older.push_back(wanted);
  if (!member.holds_older && !member.older.empty()) {
    for (const EntriesWanted& wanted : std::exchange(member.older, {})) {
      std::vector<Entry> entries;
      size_t bytes = 0;
      for (const Entry& entry : member.disk.entries) {
        if (entry.index < wanted.from || wanted.from < member.disk.first_stored) continue;
        bytes += entry.payload_bytes();
        if (!entries.empty() && bytes > wanted.bytes_max) break;
        entries.push_back(entry);
      }
      member.core->OnOlderEntries(wanted.to, wanted.from, std::move(entries));
    }
  }
  for (const SnapshotWanted& wanted : effects.snapshots) SendSnapshot(member, wanted.to);
  member.reads.insert(member.reads.end(), effects.reads.begin(), effects.reads.end());
  member.failed_reads.insert(member.failed_reads.end(), effects.failed_reads.begin(),
                             effects.failed_reads.end());
  member.outcomes.insert(member.outcomes.end(), effects.proposals.begin(), effects.proposals.end());
  member.applying.insert(member.applying.end(), effects.committed.begin(), effects.committed.end());
  member.writing.push_back(std::move(effects));
}

// The oldest batch under way is durable.
void Cluster::CompleteNext(Member& member) {
  const Effects effects = std::move(member.writing.front());
  member.writing.pop_front();
  if (effects.install) Install(member, *effects.install);
  member.disk.Write(effects);
  invariants_.OnPromises(member, effects.send_after_persist);
  Post(effects.send_after_persist);
  member.core->OnPersisted(effects.number);
}

void Cluster::Install(Member& member, const SnapshotMeta& meta) {
  invariants_.OnInstall(member, meta);
  member.applying.clear();
  member.applied = meta.index;
  member.applied_durable = meta.index;
  member.core->OnApplied(meta.index);
}

// The snapshot is the state machine as it stands, with the configuration applied there.
void Cluster::SendSnapshot(Member& member, NodeId to) {
  SnapshotMeta meta = member.disk.start;
  for (const Entry& entry : member.disk.entries) {
    if (entry.index > member.applied) break;
    meta.index = entry.index;
    meta.term = entry.term;
    if (entry.kind == EntryKind::kConfiguration) {
      meta.configuration = *DecodeConfiguration(*entry.payload);
    }
  }
  const Message message{member.id, to, member.core->status().term, InstallSnapshot{meta}};
  if (meta.index.is_none() || IsCut(message) || !members_.contains(to)) {
    member.core->OnSnapshotSent(to, std::nullopt);
    return;
  }
  Post({message});
}

void Cluster::AnswerOlder(uint64_t id) {
  Member& member = Alive(id);
  member.holds_older = false;
  Effects nothing;
  Carry(member, std::move(nothing));
  member.writing.pop_back();
  Drain(member);
  Check();
}

// Drops log entries below `first_kept` from the disk, as far as they are applied.
void Cluster::Compact(uint64_t id, Index first_kept) {
  Member& member = Alive(id);
  Disk& disk = member.disk;
  first_kept = std::min(first_kept, member.applied.Next());
  while (!disk.entries.empty() && disk.entries.front().index < first_kept) {
    const Entry& entry = disk.entries.front();
    disk.start.index = entry.index;
    disk.start.term = entry.term;
    if (entry.kind == EntryKind::kConfiguration) {
      disk.start.configuration = *DecodeConfiguration(*entry.payload);
    }
    disk.entries.erase(disk.entries.begin());
  }
  disk.first_stored = std::max(disk.first_stored, disk.start.index.Next());
  member.applied_durable = std::max(member.applied_durable, disk.start.index);
  member.core->CompactTo(disk.first_stored);
  Drain(member);
  Check();
}

void Cluster::Post(const std::vector<Message>& messages) {
  for (const Message& message : messages) network_.push_back(message);
}

void Cluster::DeliverAt(size_t position) {
  Message message = std::move(network_[position]);
  network_.erase(network_.begin() + static_cast<ptrdiff_t>(position));
  const auto to = members_.find(message.to);
  const bool lost = IsCut(message) || to == members_.end() || !to->second.alive();
  if (trace_messages_) Say(absl::StrCat(lost ? "lost " : "", Text(message)));
  if (lost) {
    Lose(message);
  } else {
    Step(std::move(message));
  }
}

// A snapshot that does not arrive is reported by the stream that carried it.
void Cluster::Lose(const Message& message) {
  const auto from = members_.find(message.from);
  if (!std::holds_alternative<InstallSnapshot>(message.body)) return;
  if (from == members_.end() || !from->second.alive()) return;
  from->second.core->OnSnapshotSent(message.to, std::nullopt);
  Drain(from->second);
  Check();
}

int Cluster::Deliver(const Filter& filter, int limit) {
  int delivered = 0;
  while (delivered < limit) {
    const auto at = std::find_if(network_.begin(), network_.end(), filter);
    if (at == network_.end()) return delivered;
    DeliverAt(static_cast<size_t>(at - network_.begin()));
    ++delivered;
  }
  if (limit >= 100000) ADD_FAILURE() << "the cluster does not come to rest";
  return delivered;
}

void Cluster::DropAt(size_t position) {
  const Message message = std::move(network_[position]);
  network_.erase(network_.begin() + static_cast<ptrdiff_t>(position));
  if (trace_messages_) Say(absl::StrCat("dropped ", Text(message)));
  Lose(message);
}

int Cluster::Drop(const Filter& filter) {
  int dropped = 0;
  for (size_t i = 0; i < network_.size();) {
    if (!filter(network_[i])) {
      ++i;
      continue;
    }
    DropAt(i);
    ++dropped;
  }
  return dropped;
}

void Cluster::CutBoth(uint64_t a, uint64_t b) {
  Cut(a, b);
  Cut(b, a);
}

void Cluster::HealBoth(uint64_t a, uint64_t b) {
  cut_.erase({Id(a), Id(b)});
  cut_.erase({Id(b), Id(a)});
}

void Cluster::Isolate(uint64_t id) {
  for (const auto& [other, member] : members_) {
    if (other != Id(id)) CutBoth(id, other.value());
  }
}

void Cluster::Campaign(uint64_t id) {
  for (int i = 0; i < 100 && core(id).status().role == Role::kFollower; ++i) Tick(id);
}

// Others whose ears still ring of an earlier leader are given the time to forget it.
void Cluster::Elect(uint64_t id) {
  for (int round = 0; round < 20; ++round) {
    Campaign(id);
    Deliver();
    if (core(id).status().role == Role::kLeader) return;
    for (auto& [other, member] : members_) {
      if (member.alive() && member.core->status().role != Role::kLeader &&
          member.core->status().leader && *member.core->status().leader != Id(id)) {
        Tick(other.value(), static_cast<int>(settings_.election_ticks) / 2);
      }
    }
  }
  ADD_FAILURE() << "member " << id << " is not elected";
}

void Cluster::Run(int rounds) {
  for (int i = 0; i < rounds; ++i) {
    TickAll();
    Deliver();
  }
}

std::optional<uint64_t> Cluster::Leader() const {
  std::optional<uint64_t> leader;
  Term term;
  for (const auto& [id, member] : members_) {
    if (!member.alive()) continue;
    const Status status = member.core->status();
    if (status.role == Role::kLeader && status.term >= term) {
      leader = id.value();
      term = status.term;
    }
  }
  return leader;
}

}  // namespace gavel::raft
