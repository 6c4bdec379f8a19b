// What must hold in every cluster after every step: checks of the state as it is, and checks of
// the change since the step before (delta).
//
// The names I1 to I10 are used in the messages and in raft/README.md.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "raft/raft.h"

namespace gavel::raft {

struct Member;
struct Disk;

class Invariants {
 public:
  // Called with every batch when it is taken, before anything of it is carried out.
  void OnEffects(const std::map<NodeId, Member>& members, const Member& member,
                 const Effects& effects);
  // Called when the batch is durable and its promises are about to be sent.
  void OnPromises(const Member& member, const std::vector<Message>& messages);
  // Called when the state machine of `member` executes `entry`.
  void OnApply(const Member& member, const Entry& entry);
  void OnInstall(const Member& member, const SnapshotMeta& meta);
  void OnReadRequested(NodeId member, Incarnation incarnation, ReadId id);
  // From here on it is no violation that a leader is contradicted: somebody lies.
  void ExpectContradictions() { contradictions_expected_ = true; }
  // Called after every step.
  void Check(const std::map<NodeId, Member>& members);

  // Highest index any leader has committed so far.
  Index committed() const { return committed_.empty() ? Index() : committed_.rbegin()->first; }
  // The committed entry's term. Requires: index <= committed().
  Term CommittedTerm(Index index) const { return committed_.at(index).term; }
  // The payloads of all committed commands, in order.
  std::vector<std::string> CommittedCommands() const;
  const std::vector<std::string>& violations() const { return violations_; }

 private:
  struct Known {
    Term previous_term;
    EntryKind kind = EntryKind::kEmpty;
    std::string payload;
  };
  struct Last {
    Incarnation incarnation;
    Status status;
    HardState durable;
  };
  struct Asked {
    NodeId member;
    Incarnation incarnation;
    ReadId id;
    friend auto operator<=>(const Asked&, const Asked&) = default;
  };

  void Fail(const std::string& text);
  void CheckState(const Member& member);
  void CheckDelta(const Member& member);
  void CheckConfiguration(const Member& member);
  void CheckLeader(const std::map<NodeId, Member>& members, const Member& member);
  void RecordCommits(const std::map<NodeId, Member>& members, const Member& leader);
  Configuration InForce(const Member& leader, Index commit) const;
  void CheckFollowerCommit(const Member& member);

  std::map<Term, NodeId> leaders_;                            // I1
  std::map<std::pair<Term, Index>, Known> entries_;           // I2
  std::map<Index, EntryId> committed_;                        // I3, I4, I10
  std::map<NodeId, Last> last_;                               // delta checks
  std::map<NodeId, std::pair<Incarnation, Index>> log_ends_;  // At the last effects.
  std::map<NodeId, std::pair<Incarnation, Term>> complete_;   // I3 is checked once a reign.
  std::map<Asked, Index> asked_;                              // reads
  bool contradictions_expected_ = false;
  std::vector<std::string> violations_;
};

}  // namespace gavel::raft
