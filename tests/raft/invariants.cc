#include "tests/raft/invariants.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "absl/strings/str_cat.h"

#include "raft/quorum.h"
#include "tests/raft/cluster.h"

namespace gavel::raft {
namespace {

std::string PayloadText(const Entry& entry) { return entry.payload ? *entry.payload : ""; }

// The log as it will be once every batch under way is durable: what the core believes it is.
struct Model {
  SnapshotMeta start;
  std::vector<Entry> entries;
};

Model Written(const Member& member) {
  Disk disk = member.disk;
  for (const Effects& batch : member.writing) disk.Write(batch);
  return Model{disk.start, std::move(disk.entries)};
}

}  // namespace

std::vector<std::string> Invariants::CommittedCommands() const {
  std::vector<std::string> commands;
  for (const auto& [index, id] : committed_) {
    const auto known = entries_.find({id.term, index});
    if (known != entries_.end() && known->second.kind == EntryKind::kCommand) {
      commands.push_back(known->second.payload);
    }
  }
  return commands;
}

void Invariants::Fail(const std::string& text) {
  violations_.push_back(text);
  ADD_FAILURE() << "invariant: " << text;
}

void Invariants::OnEffects(const std::map<NodeId, Member>& members, const Member& member,
                           const Effects& effects) {
  // Also a leader that has just stepped down because its own removal is committed.
  const auto before = last_.find(member.id);
  const Status status = member.core->status();
  const bool led = before != last_.end() && before->second.incarnation == member.incarnation &&
                   before->second.status.role == Role::kLeader &&
                   before->second.status.term == status.term;
  if (status.role == Role::kLeader || led) CheckLeader(members, member);
  log_ends_[member.id] = {member.incarnation, status.last};
  for (const Message& message : effects.send_now) {
    const auto* vote = std::get_if<VoteRequest>(&message.body);
    if (std::holds_alternative<AppendReply>(message.body) ||
        std::holds_alternative<VoteReply>(message.body) || (vote && !vote->pre)) {
      Fail(absl::StrCat("sent before it is durable: ", Text(message)));
    }
  }
  // I2: an entry is named by its index and term, and so is everything before it.
  std::optional<EntryId> previous;
  if (!effects.append.empty()) {
    const Index fits_after = effects.append[0].index.Previous();
    Disk disk = member.disk;
    for (const Effects& batch : member.writing) disk.Write(batch);
    Effects install_only;
    install_only.install = effects.install;
    disk.Write(install_only);
    previous = disk.Find(fits_after);
    if (!previous) Fail(absl::StrCat("I2: append after a gap at ", fits_after.value()));
  }
  for (const Entry& entry : effects.append) {
    const Known known{previous ? previous->term : Term(), entry.kind, PayloadText(entry)};
    const auto [at, fresh] = entries_.emplace(std::pair{entry.term, entry.index}, known);
    if (!fresh && (at->second.previous_term != known.previous_term ||
                   at->second.kind != known.kind || at->second.payload != known.payload)) {
      Fail(absl::StrCat("I2: two entries ", entry.index.value(), "/", entry.term.value(), " at ",
                        member.id.value()));
    }
    previous = EntryId{entry.index, entry.term};
  }
  for (const ReadGrant& grant : effects.reads) {
    const auto asked = asked_.find(Asked{member.id, member.incarnation, grant.id});
    if (asked == asked_.end()) {
      Fail(absl::StrCat("read ", grant.id.value(), " granted but not asked for, or twice"));
    } else {
      if (grant.index < asked->second) {
        Fail(absl::StrCat("read ", grant.id.value(), " granted at ", grant.index.value(),
                          " although ", asked->second.value(), " was committed before"));
      }
      asked_.erase(asked);
    }
  }
  if (effects.must_sync && !(effects.hard_state || effects.install || !effects.append.empty())) {
    Fail("must_sync without anything to write");
  }
}

void Invariants::OnPromises(const Member& member, const std::vector<Message>& messages) {
  const HardState& durable = member.disk.hard_state;
  for (const Message& message : messages) {
    bool kept = true;
    if (const auto* reply = std::get_if<AppendReply>(&message.body); reply && reply->accepted) {
      kept = durable.term > message.term ||
             (durable.term == message.term && member.disk.last().index >= reply->match);
    } else if (const auto* vote = std::get_if<VoteReply>(&message.body);
               vote && !vote->pre && vote->granted) {
      kept = durable.term > message.term ||
             (durable.term == message.term && durable.voted_for == message.to);
    } else if (const auto* request = std::get_if<VoteRequest>(&message.body)) {
      kept = durable.term > message.term ||
             (durable.term == message.term && durable.voted_for == member.id &&
              request->last == member.disk.last());
    }
    if (!kept) Fail(absl::StrCat("I6: not durable at ", member.id.value(), ": ", Text(message)));
  }
}

void Invariants::OnApply(const Member& member, const Entry& entry) {
  if (entry.index != member.applied.Next()) {
    Fail(absl::StrCat("I4: ", member.id.value(), " applies ", entry.index.value(), " after ",
                      member.applied.value()));
  }
  const auto at = committed_.find(entry.index);
  if (at == committed_.end() || at->second.term != entry.term) {
    Fail(absl::StrCat("I4: ", member.id.value(), " applies ", entry.index.value(), "/",
                      entry.term.value(), ", which is not what was committed"));
  }
  const auto durable = member.disk.Find(entry.index);
  if (!durable || durable->term != entry.term) {
    Fail(absl::StrCat("I4: ", member.id.value(), " applies ", entry.index.value(),
                      " before it is durable there"));
  }
}

void Invariants::OnInstall(const Member& member, const SnapshotMeta& meta) {
  const auto at = committed_.find(meta.index);
  if (at == committed_.end() || at->second.term != meta.term) {
    Fail(absl::StrCat("I4: ", member.id.value(), " installs ", meta.index.value(),
                      ", which was never committed"));
  }
  if (meta.index <= member.applied) {
    Fail(absl::StrCat("I4: ", member.id.value(), " goes back to a snapshot at ",
                      meta.index.value()));
  }
}

void Invariants::OnReadRequested(NodeId member, Incarnation incarnation, ReadId id) {
  asked_[Asked{member, incarnation, id}] = committed();
}

void Invariants::Check(const std::map<NodeId, Member>& members) {
  for (const auto& [id, member] : members) {
    if (member.alive()) {
      CheckState(member);
      CheckFollowerCommit(member);
      CheckConfiguration(member);
    }
    CheckDelta(member);
  }
}

void Invariants::CheckState(const Member& member) {
  const Status status = member.core->status();
  if (status.applied > status.commit || status.commit > status.last ||
      status.persisted > status.last) {
    Fail(absl::StrCat("indexes out of order at ", member.id.value()));
  }
  if (const Contradiction& seen = status.contradiction;
      seen.count > 0 && !contradictions_expected_) {
    Fail(absl::StrCat(seen.index.is_none() ? "I1: " : "I2: ", seen.from.value(), " contradicts ",
                      member.id.value(), " in term ", seen.term.value()));
  }
  // What the core counts as persisted is on disk, or replaced by an install under way.
  const bool installing =
      std::any_of(member.writing.begin(), member.writing.end(),
                  [](const Effects& batch) { return batch.install.has_value(); });
  if (!installing && status.persisted > member.disk.last().index) {
    Fail(absl::StrCat("I6: ", member.id.value(), " counts ", status.persisted.value(),
                      " as persisted, the disk ends at ", member.disk.last().index.value()));
  }
  if (!installing) {
    for (Index index = status.commit; index <= status.persisted; index = index.Next()) {
      const std::optional<Entry> entry = member.core->EntryAt(index);
      const std::optional<EntryId> durable = member.disk.Find(index);
      if (entry && durable && entry->term != durable->term) {
        Fail(absl::StrCat("I6: ", member.id.value(), " counts entry ", index.value(),
                          " as persisted, the disk has another"));
      }
    }
  }
}

// Only what some leader has committed may be committed anywhere.
void Invariants::CheckFollowerCommit(const Member& member) {
  const Index commit = member.core->status().commit;
  if (commit > committed()) {
    Fail(absl::StrCat("I10: ", member.id.value(), " has commit ", commit.value(),
                      ", no leader committed more than ", committed().value()));
    return;
  }
  const std::optional<Entry> entry = member.core->EntryAt(commit);
  if (entry && committed_.contains(commit) && committed_[commit].term != entry->term) {
    Fail(absl::StrCat("I4: ", member.id.value(), " has committed another entry ", commit.value()));
  }
}

void Invariants::CheckDelta(const Member& member) {
  const HardState& durable = member.disk.hard_state;
  const auto found = last_.find(member.id);
  if (found != last_.end()) {
    const Last& before = found->second;
    if (durable.term < before.durable.term) Fail("I6: a durable term went back");
    if (durable.term == before.durable.term && before.durable.voted_for &&
        durable.voted_for != before.durable.voted_for) {
      Fail(absl::StrCat("I6: ", member.id.value(), " changed its vote on disk"));
    }
    if (member.alive() && before.incarnation == member.incarnation) {
      const Status now = member.core->status();
      if (now.term < before.status.term) Fail("a term went back");
      if (now.term == before.status.term && before.status.voted_for &&
          now.voted_for != before.status.voted_for) {
        Fail(absl::StrCat("I1: ", member.id.value(), " changed its vote in term ",
                          now.term.value()));
      }
      if (now.commit < before.status.commit) Fail("a commit index went back");
      if (now.applied < before.status.applied) Fail("an applied index went back");
    }
  }
  Last& last = last_[member.id];
  last.durable = durable;
  last.incarnation = member.incarnation;
  if (member.alive()) last.status = member.core->status();
}

// I9: the configuration in force is the one of the latest entry in the log.
void Invariants::CheckConfiguration(const Member& member) {
  const Model model = Written(member);
  Configuration expected = model.start.configuration;
  for (const Entry& entry : model.entries) {
    if (entry.kind != EntryKind::kConfiguration) continue;
    auto decoded = DecodeConfiguration(*entry.payload);
    if (!decoded.ok()) {
      Fail("I9: a configuration entry cannot be read");
      return;
    }
    expected = *std::move(decoded);
  }
  if (expected != member.core->configuration()) {
    Fail(absl::StrCat("I9: ", member.id.value(), " uses ", Text(member.core->configuration()),
                      " but its log says ", Text(expected)));
  }
}

void Invariants::CheckLeader(const std::map<NodeId, Member>& members, const Member& member) {
  const Status status = member.core->status();
  const auto [at, fresh] = leaders_.emplace(status.term, member.id);
  if (!fresh && at->second != member.id) {
    Fail(absl::StrCat("I1: term ", status.term.value(), " has leaders ", at->second.value(),
                      " and ", member.id.value()));
  }
  if (member.disk.hard_state.term < status.term) {
    Fail(absl::StrCat("I6: ", member.id.value(), " leads term ", status.term.value(),
                      ", which is not durable there"));
  }
  auto& complete = complete_[member.id];
  if (complete != std::pair{member.incarnation, status.term}) {
    complete = {member.incarnation, status.term};
    // I3: a new leader holds everything that was ever committed.
    for (const auto& [index, id] : committed_) {
      const std::optional<Entry> entry = member.core->EntryAt(index);
      const bool held = entry ? entry->term == id.term : index <= status.applied;
      if (!held) {
        Fail(absl::StrCat("I3: leader ", member.id.value(), " of term ", status.term.value(),
                          " lacks committed entry ", index.value(), "/", id.term.value()));
      }
    }
  }
  RecordCommits(members, member);
}

// The configuration that decided on `commit`: the latest one, except for an entry that was only
// appended because of this commit.
Configuration Invariants::InForce(const Member& leader, Index commit) const {
  const auto before = log_ends_.find(leader.id);
  Index upto = commit;
  if (before != log_ends_.end() && before->second.first == leader.incarnation) {
    upto = std::max(upto, before->second.second);
  }
  const Model model = Written(leader);
  Configuration in_force = model.start.configuration;
  for (const Entry& entry : model.entries) {
    if (entry.kind != EntryKind::kConfiguration || entry.index > upto) continue;
    in_force = *DecodeConfiguration(*entry.payload);
  }
  return in_force;
}

// I10: what a leader commits is durable on a quorum of the configuration in force.
void Invariants::RecordCommits(const std::map<NodeId, Member>& members, const Member& leader) {
  const Status status = leader.core->status();
  if (status.commit <= committed()) return;
  const std::optional<Entry> newest = leader.core->EntryAt(status.commit);
  if (!newest) {
    Fail("I10: a leader has committed what it does not have");
    return;
  }
  const bool durable = HasQuorum(InForce(leader, status.commit), [&](NodeId id) {
    const auto member = members.find(id);
    if (member == members.end()) return false;
    const Disk& disk = member->second.disk;
    const auto held = disk.Find(status.commit);
    return disk.start.index > status.commit || (held && held->term == newest->term);
  });
  if (!durable) {
    Fail(absl::StrCat("I10: ", leader.id.value(), " commits ", status.commit.value(), "/",
                      newest->term.value(), " without a durable quorum of ",
                      Text(InForce(leader, status.commit))));
  }
  if (newest->term != status.term) {
    Fail(absl::StrCat("I10: leader of term ", status.term.value(), " commits through an entry of ",
                      newest->term.value()));
  }
  for (Index index = committed().Next(); index <= status.commit; index = index.Next()) {
    const std::optional<Entry> entry = leader.core->EntryAt(index);
    committed_[index] = EntryId{index, entry ? entry->term : Term()};
  }
}

}  // namespace gavel::raft
