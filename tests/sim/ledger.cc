#include "tests/sim/ledger.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"

#include "tests/sim/random_streams.h"

namespace gavel::sim {
namespace {

std::string Text(raft::EntryId id) { return absl::StrCat(id.index.value(), "/", id.term.value()); }

// Terms of a run stay far below.
uint64_t KeyOf(raft::EntryId id) { return id.index.value() << 20 | id.term.value(); }

}  // namespace

Ledger::Ledger(std::vector<raft::NodeId> voters, std::vector<const WalWatch*> watches,
               OnViolation on_violation)
    : voters_(std::move(voters)),
      watches_(std::move(watches)),
      on_violation_(std::move(on_violation)),
      held_(watches_.size()),
      installed_(watches_.size()),
      last_(watches_.size()) {}

int Ledger::MemberOf(raft::NodeId id) const {
  const auto found = std::find(voters_.begin(), voters_.end(), id);
  return static_cast<int>(found - voters_.begin());
}

const Ledger::Known* Ledger::Find(raft::EntryId id) const {
  if (id.index.is_none() || id.index.value() > entries_.size()) return nullptr;
  for (const Known& known : entries_[id.index.value() - 1]) {
    if (known.term == id.term) return &known;
  }
  return nullptr;
}

bool Ledger::EverHeld(int member, raft::EntryId id) const {
  const bool in_snapshot = id.index <= installed_[static_cast<size_t>(member)] &&
                           !id.index.is_none() && id.term == committed_[id.index.value() - 1];
  return in_snapshot || held_[static_cast<size_t>(member)].contains(KeyOf(id));
}

// A snapshot holds what is committed, and nothing else.
void Ledger::OnInstalled(int member, raft::EntryId last) {
  if (last.index > committed() || last.term != committed_[last.index.value() - 1]) {
    return Fail(absl::StrCat("I4: m", member, " installs a snapshot up to ", Text(last),
                             ", which is not committed"));
  }
  raft::Index& installed = installed_[static_cast<size_t>(member)];
  installed = std::max(installed, last.index);
}

void Ledger::OnDurableEntry(int member, raft::EntryId previous, const raft::Entry& entry) {
  const raft::EntryId id{entry.index, entry.term};
  held_[static_cast<size_t>(member)].insert(KeyOf(id));
  const Known* known = Find(id);
  uint64_t chain = 0;
  if (!previous.index.is_none() && previous.term.is_none()) {
    // Its log begins in the middle of a replacement; what came before it was durable before.
    const bool same = known != nullptr && known->kind == entry.kind &&
                      (known->payload == nullptr) == (entry.payload == nullptr) &&
                      (entry.payload == nullptr || *known->payload == *entry.payload);
    if (!same) Fail(absl::StrCat("I2: a log begins with another entry ", Text(id)));
    return;
  }
  if (!previous.index.is_none()) {
    const Known* before = Find(previous);
    if (before == nullptr)
      return Fail(absl::StrCat("I2: an entry follows unknown ", Text(previous)));
    chain = before->chain;
  }
  if (previous.index.Next() != entry.index) {
    return Fail(absl::StrCat("I2: entry ", entry.index.value(), " follows ", Text(previous)));
  }
  chain = Mix(chain, entry.term.value());
  chain = Mix(chain, static_cast<uint64_t>(entry.kind));
  if (entry.payload != nullptr) chain = Mix(chain, DigestOf(*entry.payload));
  if (known != nullptr) {
    if (known->chain != chain) Fail(absl::StrCat("I2: two histories end with ", Text(id)));
    return;
  }
  if (entries_.size() < id.index.value()) entries_.resize(id.index.value());
  entries_[id.index.value() - 1].push_back({entry.term, chain, entry.kind, entry.payload});
}

std::optional<raft::Term> Ledger::ToldTerm(raft::Term term, raft::Index index) const {
  const auto found = logs_told_.find(term);
  if (found == logs_told_.end() || index.value() > found->second.size()) return std::nullopt;
  const raft::Term told = found->second[index.value() - 1];
  if (told.is_none()) return std::nullopt;
  return told;
}

// A leader changes nothing in its own log (Ongaro §3.5).
void Ledger::OnAppend(int member, raft::Term term, const raft::AppendRequest& append) {
  std::vector<raft::Term>& log = logs_told_[term];
  const auto tell = [&](raft::EntryId id) {
    if (id.index.is_none()) return;
    if (log.size() < id.index.value()) log.resize(id.index.value());
    raft::Term& told = log[id.index.value() - 1];
    if (!told.is_none() && told != id.term) {
      Fail(absl::StrCat("I2: m", member, " leads term ", term.value(), " and sends both ",
                        Text({id.index, told}), " and ", Text(id)));
    }
    told = id.term;
  };
  tell(append.previous);
  for (const raft::Entry& entry : append.entries) tell({entry.index, entry.term});
  told_.push_back({append.commit, std::nullopt});
}

// What is confirmed to the leader of a term is the leader's entry there, and was durable. If the
// disk is in a later term already, the entry may have been replaced since.
bool Ledger::KeepsAppendReply(int member, raft::Term term, const raft::AppendReply& reply) const {
  const WalWatch& watch = *watches_[static_cast<size_t>(member)];
  if (watch.hard_state().term < term) return false;
  if (reply.match.is_none()) return true;
  std::optional<raft::Term> entry = ToldTerm(term, reply.match);
  if (!entry.has_value() && reply.match <= committed()) {
    entry = committed_[reply.match.value() - 1];
  }
  if (!entry.has_value() || !EverHeld(member, {reply.match, *entry})) return false;
  return watch.hard_state().term > term || reply.match < watch.first() ||
         watch.TermAt(reply.match) == entry;
}

// A vote is given once in a term, whatever crashes come between.
bool Ledger::KeepsGrant(int member, const raft::Message& message) {
  const raft::HardState& durable = watches_[static_cast<size_t>(member)]->hard_state();
  const auto [at, fresh] = grants_.emplace(std::pair(member, message.term), message.to);
  if (!fresh && at->second != message.to) {
    Fail(absl::StrCat("I1: m", member, " gives two votes in term ", message.term.value()));
  }
  return durable.term > message.term ||
         (durable.term == message.term && durable.voted_for == message.to);
}

// The log that a candidate asks with is durable, unless a leader of its term has replaced some
// of it meanwhile: then the request can win nothing any more.
bool Ledger::KeepsVoteRequest(int member, const raft::Message& message,
                              const raft::VoteRequest& request) const {
  const WalWatch& watch = *watches_[static_cast<size_t>(member)];
  const raft::HardState& durable = watch.hard_state();
  if (durable.term > message.term) return true;
  return durable.term == message.term && durable.voted_for == message.from &&
         (watch.last() == request.last || leaders_.contains(message.term));
}

void Ledger::OnSend(int member, const raft::Message& message) {
  bool kept = true;
  if (const auto* reply = std::get_if<raft::AppendReply>(&message.body)) {
    kept = !reply->accepted || KeepsAppendReply(member, message.term, *reply);
  } else if (const auto* vote = std::get_if<raft::VoteReply>(&message.body)) {
    kept = vote->pre || !vote->granted || KeepsGrant(member, message);
  } else if (const auto* request = std::get_if<raft::VoteRequest>(&message.body)) {
    kept = request->pre || KeepsVoteRequest(member, message, *request);
  } else if (const auto* append = std::get_if<raft::AppendRequest>(&message.body)) {
    OnAppend(member, message.term, *append);
  } else if (const auto* heartbeat = std::get_if<raft::Heartbeat>(&message.body)) {
    // It names nothing that its receiver is not known to hold.
    told_.push_back({heartbeat->commit, MemberOf(message.to)});
  } else if (const auto* read = std::get_if<raft::ReadReply>(&message.body)) {
    if (read->confirmed) told_.push_back({read->index, std::nullopt});
  }
  if (kept) return;
  const WalWatch& watch = *watches_[static_cast<size_t>(member)];
  Fail(absl::StrCat("I6: m", member, " sends what its disk does not hold: message kind ",
                    message.body.index(), " of term ", message.term.value(), "; the disk has term ",
                    watch.hard_state().term.value(), ", last ", Text(watch.last())));
}

void Ledger::JudgeTold(int member) {
  for (const Told& told : std::exchange(told_, {})) {
    if (told.commit > committed()) {
      return Fail(absl::StrCat("I10: m", member, " tells of commit ", told.commit.value(),
                               ", committed is ", committed().value()));
    }
    if (!told.holder.has_value() || told.commit.is_none()) continue;
    if (!EverHeld(*told.holder, {told.commit, committed_[told.commit.value() - 1]})) {
      return Fail(absl::StrCat("I10: m", member, " tells m", *told.holder, " of commit ",
                               told.commit.value(), ", which that does not hold"));
    }
  }
}

bool Ledger::HeldByQuorum(raft::EntryId id) const {
  const auto held = std::count_if(watches_.begin(), watches_.end(), [&](const WalWatch* watch) {
    return watch->TermAt(id.index) == id.term;
  });
  return static_cast<size_t>(held) > voters_.size() / 2;
}

void Ledger::OnLeader(int member, const raft::Status& status) {
  const auto [at, fresh] = leaders_.emplace(status.term, status.id);
  if (!fresh) {
    if (at->second != status.id) {
      Fail(absl::StrCat("I1: two leaders of term ", status.term.value(), ", one is m", member));
    }
    return;
  }
  const WalWatch& watch = *watches_[static_cast<size_t>(member)];
  if (watch.hard_state().term < status.term) {
    Fail(absl::StrCat("I6: m", member, " leads term ", status.term.value(),
                      ", which is not on its disk"));
  }
  // I3: it has what leaders of earlier terms have committed. Votes may come late, when a leader of
  // a later term has committed already. Whoever holds the newest entry holds all before it (I2).
  raft::Index newest;
  for (const auto& [term, index] : committed_by_) {
    if (term < status.term) newest = std::max(newest, index);
  }
  if (newest.is_none()) return;
  const raft::Term term = committed_[newest.value() - 1];
  const std::optional<raft::Term> held = watch.TermAt(newest);
  const bool cut_away = !held.has_value() && newest < watch.first();
  if (held != term && !cut_away) {
    Fail(absl::StrCat("I3: m", member, " leads term ", status.term.value(), " without ",
                      Text({newest, term})));
  }
}

// A leader commits what a quorum holds for certain, through an entry of its own term, and what it
// commits continues what was committed before.
void Ledger::Commit(int member, raft::Term term, raft::Index index) {
  if (!HeldByQuorum({index, term})) {
    const WalWatch& watch = *watches_[static_cast<size_t>(member)];
    const std::optional<raft::Term> other = watch.TermAt(index);
    if (other.has_value() && *other != term && HeldByQuorum({index, *other})) {
      return Fail(absl::StrCat("I10: m", member, " leads term ", term.value(),
                               " and commits through an entry of term ", other->value()));
    }
    return Fail(absl::StrCat("I10: m", member, " commits ", index.value(), " in term ",
                             term.value(), " without a durable quorum"));
  }
  committed_by_[term] = index;
  const size_t before = committed_.size();
  committed_.resize(index.value());
  for (size_t i = committed_.size(); i >= std::max<size_t>(before, 1); --i) {
    const raft::Index at(i);
    std::optional<raft::Term> held;
    for (const WalWatch* watch : watches_) {
      if (watch->TermAt(index) == term && !held.has_value()) held = watch->TermAt(at);
    }
    if (i == before) {
      if (held.has_value() && *held != committed_[i - 1]) {
        Fail(absl::StrCat("I3: m", member, " commits ", index.value(), " of term ", term.value(),
                          " in place of ", Text({at, committed_[i - 1]})));
      }
      return;
    }
    if (!held.has_value()) return Fail("I10: nobody holds what was committed");
    committed_[i - 1] = *held;
  }
}

void Ledger::OnStatus(int member, uint64_t life, const raft::Status& status) {
  Last& last = last_[static_cast<size_t>(member)];
  const WalWatch& watch = *watches_[static_cast<size_t>(member)];
  if (last.life == life) {
    if (status.term < last.term) Fail(absl::StrCat("I6: the term of m", member, " goes back"));
    if (status.commit < last.commit)
      Fail(absl::StrCat("I6: the commit of m", member, " goes back"));
    if (status.term == last.term && last.voted_for && status.voted_for != last.voted_for) {
      Fail(absl::StrCat("I1: m", member, " changes its vote in term ", status.term.value()));
    }
  }
  // It may have committed, and then stepped down, in the same turn.
  if (status.role != raft::Role::kLeader && last.life == life && last.led &&
      status.commit > committed()) {
    Commit(member, last.term, status.commit);
  }
  const bool leads = status.role == raft::Role::kLeader;
  last = {life, status.term, status.voted_for, status.commit, leads};
  if (status.applied > status.commit || status.commit > status.last ||
      status.persisted > status.last) {
    Fail(absl::StrCat("I4: the indexes of m", member, " are out of order"));
  }
  if (status.persisted > watch.last().index) {
    Fail(absl::StrCat("I6: m", member, " counts ", status.persisted.value(),
                      " as durable, its disk ends at ", watch.last().index.value()));
  }
  if (leads) {
    OnLeader(member, status);
    if (status.commit > committed()) Commit(member, status.term, status.commit);
  }
  JudgeTold(member);
  if (status.commit > committed()) {
    return Fail(absl::StrCat("I10: m", member, " has commit ", status.commit.value(),
                             ", no leader has committed more than ", committed().value()));
  }
  // What it takes for committed and for durable is the committed entry. Its disk may lag behind
  // its log with everything else.
  const raft::Index both = std::min(status.commit, status.persisted);
  const std::optional<raft::Term> held = watch.TermAt(both);
  if (!both.is_none() && held.has_value() && *held != committed_[both.value() - 1]) {
    Fail(absl::StrCat("I4: m", member, " takes ", Text({both, *held}),
                      " for committed, which is of term ", committed_[both.value() - 1].value()));
  }
}

void Ledger::OnApplied(int member, raft::Index applied, uint64_t state_digest) {
  const WalWatch& watch = *watches_[static_cast<size_t>(member)];
  if (applied > committed()) {
    return Fail(absl::StrCat("I4: m", member, " applies ", applied.value(), ", committed is ",
                             committed().value()));
  }
  if (applied.is_none()) return;
  if (applied > watch.last().index) {
    return Fail(
        absl::StrCat("I4: m", member, " applies ", applied.value(), " before it is durable there"));
  }
  const auto durable = watch.TermAt(applied);
  if (durable.has_value() && *durable != committed_[applied.value() - 1]) {
    return Fail(absl::StrCat("I4: m", member, " applies another entry ", applied.value()));
  }
  const auto [at, fresh] = states_.emplace(applied.value(), state_digest);
  if (fresh) return;
  ++states_compared_;
  if (at->second != state_digest) {
    Fail(absl::StrCat("I8: the state of m", member, " after entry ", applied.value(),
                      " differs from another member's"));
  }
}

void Ledger::OnRevision(int member, int64_t revision, uint64_t digest) {
  const auto [at, fresh] = revisions_.emplace(revision, digest);
  if (fresh) return;
  ++states_compared_;
  if (at->second != digest) {
    Fail(absl::StrCat("I8: what m", member, " holds of revision ", revision,
                      " differs from another member's"));
  }
}

void Ledger::OnHash(int member, int64_t revision, int64_t compacted, uint32_t hash) {
  const auto [at, fresh] = hashes_.emplace(std::pair(revision, compacted), hash);
  if (!fresh && at->second != hash) {
    Fail(absl::StrCat("I8: HashKV of m", member, " at revision ", revision, ", compacted ",
                      compacted, ", differs from another member's"));
  }
}

void Ledger::OnRecovered(int member, const WalWatch& before) {
  const WalWatch& now = *watches_[static_cast<size_t>(member)];
  if (!before.found()) return;
  if (now.sequence() < before.sequence()) {
    Fail(absl::StrCat("I6: the log of m", member, " ended with record ", before.sequence(),
                      " for certain, and after its recovery with ", now.sequence()));
  }
  if (now.hard_state().term < before.hard_state().term ||
      (now.hard_state().term == before.hard_state().term && before.hard_state().voted_for &&
       now.hard_state().voted_for != before.hard_state().voted_for)) {
    Fail(absl::StrCat("I6: m", member, " has forgotten its term or its vote"));
  }
  if (now.sequence() == before.sequence() &&
      (now.last() != before.last() || now.hard_state() != before.hard_state())) {
    Fail(absl::StrCat("I6: the log of m", member, " ended with ", Text(before.last()),
                      ", and the same records read again end with ", Text(now.last())));
  }
  const uint64_t last = std::min(before.last().index.value(), committed().value());
  for (uint64_t i = before.first().value(); i <= last; ++i) {
    const raft::Index index(i);
    if (index < now.first() || before.TermAt(index) != committed_[i - 1]) continue;
    if (now.TermAt(index) != committed_[i - 1]) {
      return Fail(absl::StrCat("I6: m", member, " has lost committed entry ", i));
    }
  }
}

const raft::Payload& Ledger::CommittedPayload(raft::Index index) const {
  static const raft::Payload kNone;
  const Known* known = Find({index, committed_[index.value() - 1]});
  return known == nullptr ? kNone : known->payload;
}

raft::Entry Ledger::CommittedEntry(raft::Index index) const {
  const raft::Term term = committed_[index.value() - 1];
  const Known* known = Find({index, term});
  if (known == nullptr) return {index, term, raft::EntryKind::kEmpty, nullptr};
  return {index, term, known->kind, known->payload};
}

}  // namespace gavel::sim
