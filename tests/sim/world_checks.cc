// What must hold of one member after an event.
#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"

#include "storage/mvcc/hash.h"
#include "storage/mvcc/key_codec.h"
#include "storage/mvcc/record.h"
#include "tests/sim/random_streams.h"
#include "tests/sim/world.h"

namespace gavel::sim {
namespace {

// HashKV is compared at every so many revisions, contents at each; of those from before a start,
// of so many.
constexpr int64_t kHashEvery = 64;
constexpr int64_t kRevisionsAgain = 64;

// The window of appends to one follower (raft::Options).
constexpr size_t kInflightMessagesMax = 256;
// Queues that have no limit of their own are fed by what has one.
// The log: a batch holds entries, of which the limit of writes bounds those of a leader, and the
// window of appends those of a follower, for each of the few leaders that can follow each other
// while its disk stands still.
constexpr size_t kLogBatchesMax = 4 * kInflightMessagesMax;
// Apply takes all there is whenever it runs. Meanwhile a turn of the core adds one batch, for an
// append or for the answers to some; a flush and a collection add one each.
constexpr size_t kApplyInputsMax = kInflightMessagesMax;
// Background: reads for followers and clients, walks for streams, scans, and what has a timer: some
// for each member and client.
constexpr size_t kJobsMax = 128;
// A waiting proposal costs so much beside its request, and a request is taken if the others
// leave room for its bytes alone.
constexpr size_t kProposalOverhead = 512;

constexpr const char* kQueueNames[] = {"inputs of the core", "batches of the log",
                                       "inputs of apply", "background jobs", "bytes of proposals"};

}  // namespace

void World::CheckCore(Machine& machine) {
  const raft::Status status = machine.node->core().stage().status();
  Record(EventKind::kCore, machine.index, status.term.value(), status.commit.value());
  if (machine.impostor) {
    if (status.role == raft::Role::kLeader) {
      Fail(absl::StrCat("m", machine.index,
                        " lost its disk and leads although the others know better"));
    }
    return;
  }
  if (const raft::Contradiction& seen = status.contradiction; seen.count > 0) {
    Fail(absl::StrCat(seen.index.is_none() ? "I1: m" : "I2: m", machine.index, " refuses what m",
                      IndexOf(seen.from), " says as leader of term ", seen.term.value(),
                      seen.index.is_none() ? ", of which it knows another"
                                           : ": it contradicts a committed entry"));
  }
  ledger_->OnStatus(machine.index, machine.starts, status);
  committed_at_.resize(ledger_->committed().value(), now_);
  NoteBehind(machine, status);
  for (const raft::PeerProgress& peer : status.peers) {
    longest_inflight_ = std::max<size_t>(longest_inflight_, peer.inflight_messages);
    if (peer.inflight_messages > kInflightMessagesMax) {
      Fail(absl::StrCat("V5: m", machine.index, " has ", peer.inflight_messages,
                        " appends under way to one member"));
    }
  }
}

// A new leader first applies what its log holds, which is much after a restart. The lease clock
// stands still until then.
void World::NoteBehind(Machine& machine, const raft::Status& status) {
  const bool leads = status.role == raft::Role::kLeader;
  if (leads && machine.leads_in != status.term) {
    machine.leads_in = status.term;
    machine.leads_from = status.last;
    machine.behind = slow_times_.size();
    slow_times_.emplace_back(now_, now_);
  }
  if (machine.behind.has_value() && leads) slow_times_[*machine.behind].second = now_;
  if (!leads || status.applied >= machine.leads_from) machine.behind.reset();
}

void World::CheckApplied(Machine& machine) {
  const auto view = machine.node->gate().view();
  const uint64_t applied = view->applied.value();
  if (applied == machine.applied_seen) return;
  if (applied < machine.applied_seen) Fail(absl::StrCat("I4: m", machine.index, " applies back"));
  machine.applied_seen = applied;
  if (machine.impostor || machine.must_die || machine.disk->crashed()) return;
  const storage::StateMachine::Sizes sizes = machine.node->state().sizes();
  uint64_t digest = Mix(0, static_cast<uint64_t>(view->revision));
  digest = Mix(digest, static_cast<uint64_t>(view->compacted));
  digest = Mix(digest, static_cast<uint64_t>(sizes.live_bytes));
  digest = Mix(digest, static_cast<uint64_t>(sizes.superseded_bytes));
  digest = Mix(digest, static_cast<uint64_t>(sizes.keys));
  ledger_->OnApplied(machine.index, view->applied, digest);
  Record(EventKind::kApply, machine.index, applied, static_cast<uint64_t>(view->revision));
  CheckRevisions(machine, *view);
  const int64_t target = view->revision / kHashEvery * kHashEvery;
  if (target <= machine.hashed_revision || target <= view->compacted) return;
  machine.hashed_revision = target;
  storage::HashCursor cursor(view, target);
  while (!cursor.Step(1 << 20)) {
  }
  if (cursor.status().ok() && cursor.error() == storage::RequestError::kNone) {
    ledger_->OnHash(machine.index, target, cursor.compact_revision(), cursor.hash());
  }
}

// I7 and I8, row by row: what a member holds of each revision since the last look.
void World::CheckRevisions(Machine& machine, const storage::ReadView& view) {
  const int64_t last = view.revision;
  // Nothing made revision 1, and what is compacted may be collected.
  const int64_t seen = machine.revision_seen > 0 ? machine.revision_seen : last - kRevisionsAgain;
  const int64_t before = std::max({int64_t{1}, seen, view.compacted});
  machine.revision_seen = last;
  if (before >= last) return;
  const auto iterator = view.engine->NewIterator(storage::Family::kChanges);
  int64_t at = before;
  uint64_t digest = 0;
  const auto done = [&] {
    if (at > before) ledger_->OnRevision(machine.index, at, digest);
    digest = 0;
  };
  std::string value;
  for (iterator->Seek(storage::ChangeKey({before + 1, 0})); iterator->Valid(); iterator->Next()) {
    const std::optional<storage::ChangeId> id = storage::ParseChangeKey(iterator->key());
    storage::ChangeRecord change;
    if (!id.has_value() || !storage::ParseChangeRecord(iterator->value(), &change)) {
      return Fail(absl::StrCat("m", machine.index, " holds a change that cannot be read"));
    }
    if (id->main != at) {
      done();
      if (id->main != at + 1) break;
      at = id->main;
    }
    const std::string row = storage::VersionKey(change.user_key, *id);
    if (!view.engine->Get(storage::Family::kVersions, row, &value).ok()) {
      return Fail(absl::StrCat("m", machine.index, " lacks a version of revision ", at));
    }
    for (const std::string_view part :
         {iterator->key(), iterator->value(), std::string_view(row), std::string_view(value)}) {
      digest = Mix(digest, DigestOf(part));
    }
  }
  if (at != last) {
    return Fail(absl::StrCat("I7: m", machine.index, " is at revision ", last,
                             ", and has nothing of revision ", at + 1));
  }
  done();
}

void World::CheckQueues(Machine& machine) {
  server::Node& node = *machine.node;
  const auto look = [&](size_t queue, size_t length, size_t most) {
    size_t& longest = longest_queues_[queue];
    if (length <= longest && length <= most) return;
    longest = length;
    if (length > most) {
      Fail(absl::StrCat("V5: the queue of ", kQueueNames[queue], " of m", machine.index,
                        " has grown to ", length, ", at most ", most, " are allowed"));
    }
  };
  server::Queues& queues = node.queues();
  look(0, queues.core.size(), server::Queues::kCoreInputsMax);
  // While its disk is slow a leader goes on as long as the others do, up to the limit of writes;
  // renewals have twice that.
  look(1, queues.log.size(), kLogBatchesMax + 2 * plan_.backlog_entries_max);
  look(2, queues.apply.size(), kApplyInputsMax);
  look(3, queues.background.size(), kJobsMax);
  const size_t proposals = node.gate().pending_proposals();
  look(4, node.gate().pending_bytes(),
       plan_.pending_bytes_max + (proposals + 1) * kProposalOverhead);
}

void World::NoteQueues() {
  for (size_t i = 0; i < kQueues; ++i) figures_.longest[kQueueNames[i]] = longest_queues_[i];
  figures_.longest["appends under way"] = longest_inflight_;
}

}  // namespace gavel::sim
