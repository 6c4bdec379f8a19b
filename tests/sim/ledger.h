// What all members together have promised so far, and the checks of Raft's safety against it.
//
// Kept across crashes and fed by what is durable on the simulated disks, not by what members say.
// The names I1 to I10 are those of raft/README.md.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "raft/message.h"
#include "raft/raft.h"
#include "tests/sim/wal_watch.h"

namespace gavel::sim {

class Ledger {
 public:
  using OnViolation = std::function<void(const std::string&)>;
  // `watches` outlive the ledger, one for each member.
  Ledger(std::vector<raft::NodeId> voters, std::vector<const WalWatch*> watches,
         OnViolation on_violation);

  // A snapshot took the place of the member's state; durable.
  void OnInstalled(int member, raft::EntryId last);
  // I2: an entry became durable on `member`, or was found there after a start.
  void OnDurableEntry(int member, raft::EntryId previous, const raft::Entry& entry);
  // I6: what a message promises is durable on its sender.
  void OnSend(int member, const raft::Message& message);
  // I1, I3, I4, I6, I10: what a member believes after its core has run.
  void OnStatus(int member, uint64_t life, const raft::Status& status);
  // I4, I8: a member's state after it has applied up to `applied`.
  void OnApplied(int member, raft::Index applied, uint64_t state_digest);
  // I8: what a member's changes of one revision come to.
  void OnRevision(int member, int64_t revision, uint64_t digest);
  // I8: HashKV of one member at a revision.
  void OnHash(int member, int64_t revision, int64_t compacted, uint32_t hash);
  // I6: a member has recovered; `before` is what its disk had held for certain.
  void OnRecovered(int member, const WalWatch& before);

  raft::Index committed() const { return raft::Index(committed_.size()); }
  // The payload of the committed entry; null for an empty one. Requires: index <= committed().
  const raft::Payload& CommittedPayload(raft::Index index) const;
  // The committed entry. Requires: index <= committed().
  raft::Entry CommittedEntry(raft::Index index) const;
  size_t leaders_seen() const { return leaders_.size(); }
  size_t states_compared() const { return states_compared_; }

 private:
  struct Known {
    raft::Term term;
    uint64_t chain = 0;
    raft::EntryKind kind = raft::EntryKind::kEmpty;
    raft::Payload payload;
  };
  struct Last {
    uint64_t life = 0;
    raft::Term term;
    std::optional<raft::NodeId> voted_for;
    raft::Index commit;
    bool led = false;
  };

  // A commit index that a message has named, to be judged when the sender's turn is over.
  struct Told {
    raft::Index commit;
    std::optional<int> holder;  // Who must hold the entry for certain.
  };

  const Known* Find(raft::EntryId id) const;
  // Whether the entry was ever durable on `member`.
  bool EverHeld(int member, raft::EntryId id) const;
  bool HeldByQuorum(raft::EntryId id) const;
  void OnLeader(int member, const raft::Status& status);
  void Commit(int member, raft::Term term, raft::Index index);
  void JudgeTold(int member);
  // The entry at `index` in the log of the leader of `term`, as far as its messages told it.
  std::optional<raft::Term> ToldTerm(raft::Term term, raft::Index index) const;
  void OnAppend(int member, raft::Term term, const raft::AppendRequest& append);
  bool KeepsAppendReply(int member, raft::Term term, const raft::AppendReply& reply) const;
  bool KeepsGrant(int member, const raft::Message& message);
  bool KeepsVoteRequest(int member, const raft::Message& message,
                        const raft::VoteRequest& request) const;
  int MemberOf(raft::NodeId id) const;
  void Fail(const std::string& text) const { on_violation_(text); }

  const std::vector<raft::NodeId> voters_;
  const std::vector<const WalWatch*> watches_;
  const OnViolation on_violation_;

  std::map<raft::Term, raft::NodeId> leaders_;
  std::vector<std::vector<Known>> entries_;         // By index - 1: all that ever were durable.
  std::vector<raft::Term> committed_;               // By index - 1.
  std::map<raft::Term, raft::Index> committed_by_;  // The last that the leader of a term did.
  std::vector<Told> told_;
  std::map<raft::Term, std::vector<raft::Term>> logs_told_;  // By the leader's term; by index - 1.
  std::vector<std::unordered_set<uint64_t>> held_;           // By member: what was ever durable.
  std::vector<raft::Index> installed_;                       // By member: by a snapshot.
  std::map<std::pair<int, raft::Term>, raft::NodeId> grants_;
  std::vector<Last> last_;
  std::unordered_map<uint64_t, uint64_t> states_;  // By applied index.
  std::unordered_map<int64_t, uint64_t> revisions_;
  std::map<std::pair<int64_t, int64_t>, uint32_t> hashes_;
  size_t states_compared_ = 0;
};

}  // namespace gavel::sim
