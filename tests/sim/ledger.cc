#include "tests/sim/ledger.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"

#include "tests/sim/random_streams.h"

namespace gavel::sim {
namespace {

std::string Text(raft::EntryId id) { return absl::StrCat(id.index.value(), "/", id.term.value()); }

// Ongaro §3.6.1. What a candidate asked with may have been replaced by a leader of its term
// before the disk was done; then the request can win nothing any more.
bool UpToDate(raft::EntryId held, raft::EntryId claimed) {
  return held.term > claimed.term || (held.term == claimed.term && held.index >= claimed.index);
}

}  // namespace

Ledger::Ledger(std::vector<raft::NodeId> voters, std::vector<const WalWatch*> watches,
               OnViolation on_violation)
    : voters_(std::move(voters)),
      watches_(std::move(watches)),
      on_violation_(std::move(on_violation)),
      last_(watches_.size()) {}

const Ledger::Known* Ledger::Find(raft::EntryId id) const {
  if (id.index.is_none() || id.index.value() > entries_.size()) return nullptr;
  for (const Known& known : entries_[id.index.value() - 1]) {
    if (known.term == id.term) return &known;
  }
  return nullptr;
}

void Ledger::OnDurableEntry(raft::EntryId previous, const raft::Entry& entry) {
  uint64_t chain = 0;
  if (!previous.index.is_none() && previous.term.is_none()) {
    if (Find({entry.index, entry.term}) == nullptr) Fail("I2: a log begins with an unknown entry");
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
  const raft::EntryId id{entry.index, entry.term};
  if (const Known* known = Find(id)) {
    if (known->chain != chain) Fail(absl::StrCat("I2: two histories end with ", Text(id)));
    return;
  }
  if (entries_.size() < id.index.value()) entries_.resize(id.index.value());
  entries_[id.index.value() - 1].push_back({entry.term, chain, entry.kind, entry.payload});
}

void Ledger::OnSend(int member, const raft::Message& message) {
  const WalWatch& watch = *watches_[static_cast<size_t>(member)];
  const raft::HardState& durable = watch.hard_state();
  bool kept = true;
  if (const auto* reply = std::get_if<raft::AppendReply>(&message.body); reply && reply->accepted) {
    kept = durable.term > message.term ||
           (durable.term == message.term && watch.last().index >= reply->match);
  } else if (const auto* vote = std::get_if<raft::VoteReply>(&message.body);
             vote && !vote->pre && vote->granted) {
    kept = durable.term > message.term ||
           (durable.term == message.term && durable.voted_for == message.to);
  } else if (const auto* request = std::get_if<raft::VoteRequest>(&message.body);
             request && !request->pre) {
    kept = durable.term > message.term ||
           (durable.term == message.term && durable.voted_for == message.from &&
            UpToDate(watch.last(), request->last));
  } else if (const auto* append = std::get_if<raft::AppendRequest>(&message.body)) {
    told_ = std::max(told_, append->commit);  // Compared once the sender's status is known.
  }
  if (!kept) {
    Fail(absl::StrCat("I6: m", member, " sends what its disk does not hold: message kind ",
                      message.body.index(), " of term ", message.term.value(),
                      "; the disk has term ", durable.term.value(), ", last ", Text(watch.last())));
  }
}

bool Ledger::HeldByQuorum(raft::EntryId id) const {
  const auto held = std::count_if(watches_.begin(), watches_.end(), [&](const WalWatch* watch) {
    return watch->TermAt(id.index) == id.term || watch->first() > id.index;
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
  // I3. Whoever holds the newest committed entry holds all before it (I2).
  if (committed().is_none()) return;
  const raft::EntryId newest{committed(), committed_.back()};
  if (watch.TermAt(newest.index) != newest.term) {
    Fail(absl::StrCat("I3: m", member, " leads term ", status.term.value(), " without ",
                      Text(newest)));
  }
}

void Ledger::Commit(int member, const raft::Status& status) {
  const WalWatch& watch = *watches_[static_cast<size_t>(member)];
  // The term of what is committed: on a leader's own disk, or on those of the others.
  std::optional<raft::Term> term = watch.TermAt(status.commit);
  if (!term.has_value() || !HeldByQuorum({status.commit, *term})) {
    for (const WalWatch* other : watches_) {
      const auto candidate = other->TermAt(status.commit);
      if (candidate.has_value() && HeldByQuorum({status.commit, *candidate})) term = candidate;
    }
  }
  if (!term.has_value() || !HeldByQuorum({status.commit, *term})) {
    return Fail(absl::StrCat("I10: m", member, " commits ", status.commit.value(), " in term ",
                             status.term.value(), " without a durable quorum"));
  }
  if (*term != status.term) {
    return Fail(absl::StrCat("I10: m", member, " leads term ", status.term.value(),
                             " and commits through an entry of term ", term->value()));
  }
  const size_t before = committed_.size();
  committed_.resize(status.commit.value());
  for (size_t i = committed_.size(); i > before; --i) {
    const raft::Index index(i);
    const WalWatch* holder = nullptr;
    for (const WalWatch* other : watches_) {
      if (other->TermAt(status.commit) == term && other->TermAt(index).has_value()) holder = other;
    }
    if (holder == nullptr) return Fail("I10: nobody holds what was committed");
    committed_[i - 1] = *holder->TermAt(index);
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
    raft::Status before = status;
    before.term = last.term;
    Commit(member, before);
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
  if (status.role == raft::Role::kLeader) {
    OnLeader(member, status);
    if (status.commit > committed()) Commit(member, status);
  }
  if (told_ > committed()) {
    Fail(absl::StrCat("I10: m", member, " tells of commit ", told_.value(), ", committed is ",
                      committed().value()));
  }
  if (status.commit > committed()) {
    Fail(absl::StrCat("I10: m", member, " has commit ", status.commit.value(),
                      ", no leader has committed more than ", committed().value()));
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

}  // namespace gavel::sim
