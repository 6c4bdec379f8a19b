// How events of a cluster read in a transcript.
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "tests/raft/cluster.h"

namespace gavel::raft {
namespace {

std::string Text(EntryId id) { return absl::StrCat(id.index.value(), "/", id.term.value()); }

std::string Text(const std::vector<NodeId>& ids) {
  return absl::StrJoin(ids, ",",
                       [](std::string* out, NodeId id) { absl::StrAppend(out, id.value()); });
}

std::string Text(const RequestId& id) {
  return absl::StrCat(id.member.value(), ".", id.incarnation.value(), ".", id.sequence);
}

std::string Text(const Entry& entry) {
  std::string text = absl::StrCat(entry.index.value(), "/", entry.term.value());
  if (entry.kind == EntryKind::kCommand) absl::StrAppend(&text, ":", *entry.payload);
  if (entry.kind == EntryKind::kConfiguration) {
    absl::StrAppend(&text, ":{", Text(*DecodeConfiguration(*entry.payload)), "}");
  }
  return text;
}

std::string Text(const std::vector<Entry>& entries) {
  return absl::StrJoin(entries, " ",
                       [](std::string* out, const Entry& entry) { *out += Text(entry); });
}

struct BodyText {
  std::string operator()(const AppendRequest& m) const {
    return absl::StrCat("append after ", Text(m.previous), " [", Text(m.entries),
                        "] commit=", m.commit.value());
  }
  std::string operator()(const AppendReply& m) const {
    if (m.accepted) return absl::StrCat("append-ok match=", m.match.value());
    return absl::StrCat("append-no rejected=", m.rejected.value(), " hint=", Text(m.hint));
  }
  std::string operator()(const Heartbeat& m) const {
    return absl::StrCat("heartbeat round=", m.round.value(), " commit=", m.commit.value(),
                        " everywhere=", m.replicated_everywhere.value());
  }
  std::string operator()(const HeartbeatReply& m) const {
    return absl::StrCat("heartbeat-ok round=", m.round.value());
  }
  std::string operator()(const VoteRequest& m) const {
    return absl::StrCat(m.pre ? "pre-vote" : "vote", "? for=", m.campaign_term.value(),
                        " last=", Text(m.last), m.transfer ? " transfer" : "");
  }
  std::string operator()(const VoteReply& m) const {
    return absl::StrCat(m.pre ? "pre-vote" : "vote", m.granted ? " yes" : " no",
                        " for=", m.campaign_term.value());
  }
  std::string operator()(const ReadRequest& m) const {
    return absl::StrCat("read? id=", m.id.value());
  }
  std::string operator()(const ReadReply& m) const {
    if (!m.confirmed) return absl::StrCat("read no id=", m.id.value());
    return absl::StrCat("read yes id=", m.id.value(), " index=", m.index.value());
  }
  std::string operator()(const ForwardProposals& m) const {
    return absl::StrCat("forward for-term=", m.leader_term.value(), " ",
                        absl::StrJoin(m.proposals, " ", [](std::string* out, const Proposal& p) {
                          absl::StrAppend(out, Text(p.id), ":", *p.payload);
                        }));
  }
  std::string operator()(const ProposalsDropped& m) const {
    return absl::StrCat("dropped ", absl::StrJoin(m.ids, " ", [](std::string* out, RequestId id) {
                          *out += Text(id);
                        }));
  }
  std::string operator()(const TimeoutNow&) const { return "timeout-now"; }
  std::string operator()(const InstallSnapshot& m) const {
    return absl::StrCat("snapshot ", Text(EntryId{m.meta.index, m.meta.term}), " {",
                        Text(m.meta.configuration), "}");
  }
};

}  // namespace

std::string Text(Role role) {
  switch (role) {
    case Role::kFollower:
      return "follower";
    case Role::kPreCandidate:
      return "pre-candidate";
    case Role::kCandidate:
      return "candidate";
    case Role::kLeader:
      return "leader";
  }
  return "?";
}

std::string Text(const Configuration& configuration) {
  std::string text = absl::StrCat("voters=", Text(configuration.voters));
  if (configuration.joint()) {
    absl::StrAppend(&text, " outgoing=", Text(configuration.outgoing_voters));
  }
  std::vector<NodeId> learners;
  for (const MemberAddress& member : configuration.members) {
    if (configuration.IsLearner(member.id)) learners.push_back(member.id);
  }
  if (!learners.empty()) absl::StrAppend(&text, " learners=", Text(learners));
  if (!configuration.leaving.empty()) {
    absl::StrAppend(&text, " leaving=", Text(configuration.leaving));
  }
  return text;
}

std::string Text(const Message& message) {
  return absl::StrCat(message.from.value(), ">", message.to.value(), " t", message.term.value(),
                      " ", std::visit(BodyText{}, message.body));
}

void Cluster::Say(const std::string& line) {
  if (trace_) trace_(line);
}

void Cluster::Trace(const Member& member, const Effects& effects) {
  if (!trace_) return;
  const std::string id = absl::StrCat(member.id.value(), " ");
  if (effects.configuration) Say(absl::StrCat(id, "uses ", Text(*effects.configuration)));
  if (effects.role) {
    const std::string leader = effects.role->leader && effects.role->leader != member.id
                                   ? absl::StrCat(" of ", effects.role->leader->value())
                                   : "";
    Say(absl::StrCat(id, Text(effects.role->role), leader, " term=", effects.role->term.value()));
  }
  if (effects.install) {
    Say(absl::StrCat(id, "installs ",
                     Text(EntryId{effects.install->index, effects.install->term})));
  }
  for (const ProposalOutcome& outcome : effects.proposals) {
    if (outcome.kind == ProposalOutcome::Kind::kAppended) {
      Say(absl::StrCat(id, "appended ", Text(outcome.id), " at ", Text(outcome.entry)));
    } else {
      Say(absl::StrCat(id, "dropped ", Text(outcome.id)));
    }
  }
  if (!effects.committed.empty()) Say(absl::StrCat(id, "commits ", Text(effects.committed)));
  for (const ReadGrant& read : effects.reads) {
    Say(absl::StrCat(id, "read ", read.id.value(), " at ", read.index.value()));
  }
  for (ReadId read : effects.failed_reads) Say(absl::StrCat(id, "read ", read.value(), " failed"));
  for (const EntriesWanted& wanted : effects.older) {
    Say(absl::StrCat(id, "wants older entries from ", wanted.from.value(), " for ",
                     wanted.to.value()));
  }
  for (const SnapshotWanted& wanted : effects.snapshots) {
    Say(absl::StrCat(id, "wants a snapshot for ", wanted.to.value()));
  }
}

std::string Cluster::LogText(uint64_t id) const {
  const Member& member = members_.at(Id(id));
  Disk disk = member.disk;
  for (const Effects& batch : member.writing) disk.Write(batch);
  std::string text = disk.start.index.is_none() ? ""
                                                : absl::StrCat("(", disk.start.index.value(), "/",
                                                               disk.start.term.value(), ") ");
  return text + Text(disk.entries);
}

}  // namespace gavel::raft
