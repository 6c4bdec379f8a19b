#include "server/node/semantics_driver.h"

#include <string>

#include "absl/strings/str_format.h"

#include "proto/internal/command.pb.h"

namespace gavel::server {

LowestSemantics FindLowestSemantics(const raft::Status& leader, uint32_t own,
                                    const SemanticsSaid& said) {
  LowestSemantics lowest{leader.id, own};
  for (const raft::PeerProgress& peer : leader.peers) {
    if (peer.id == leader.id) continue;
    const uint32_t version = peer.recently_active ? said(peer.id) : 0;
    if (version < lowest.version) lowest = {peer.id, version};
  }
  return lowest;
}

void SemanticsDriver::Start() {
  told_agreed_ = surroundings_.agreed();
  if (told_agreed_ > own_) {
    surroundings_.logger.Warn(
        "--semantics-max is below what the members have agreed on, and has no effect",
        {{"agreed", told_agreed_}, {"--semantics-max", own_}});
  }
  LookLater(kSoon);
}

void SemanticsDriver::LookLater(MonotonicNs after) {
  surroundings_.background.AddAt(surroundings_.clock.Now() + after, [this] {
    Look();
    return false;
  });
}

void SemanticsDriver::Look() {
  const uint32_t agreed = surroundings_.agreed();
  TellAgreed(agreed);
  const raft::Status status = surroundings_.gate.status().raft;
  if (status.role == raft::Role::kLeader && own_ > agreed) {
    const LowestSemantics lowest = FindLowestSemantics(status, own_, surroundings_.said);
    if (lowest.version > agreed) return Propose(lowest.version);
    TellWaiting(lowest, agreed);
  }
  LookLater(surroundings_.gate.has_leader() ? kEvery : kSoon);
}

void SemanticsDriver::Propose(uint32_t version) {
  internal::AgreeSemantics agree;
  agree.set_version(version);
  // To agree twice is harmless.
  surroundings_.gate.Propose(CommandField::kAgreeSemantics, agree.SerializeAsString(), std::nullopt,
                             [this](const ProposeResult& result) {
                               if (result.result != GateResult::kStopped) LookLater(kEvery);
                             });
}

void SemanticsDriver::TellAgreed(uint32_t agreed) {
  if (std::exchange(told_agreed_, agreed) == agreed) return;
  surroundings_.logger.Info(
      "the members have agreed on a semantics version: an older build stops by name from here on",
      {{"version", agreed}});
}

void SemanticsDriver::TellWaiting(const LowestSemantics& lowest, uint32_t agreed) {
  // What a member has just been started for changes soon.
  const bool again = std::exchange(waiting_, lowest) == lowest;
  if (!again || std::exchange(told_waiting_, lowest) == lowest) return;
  surroundings_.logger.Info(
      "the members have not agreed on this build's semantics version yet",
      {{"agreed", agreed},
       {"this build", own_},
       {"waits for", absl::StrFormat("%x", lowest.member.value())},
       {"which says", lowest.version == 0 ? "nothing" : std::to_string(lowest.version)}});
}

}  // namespace gavel::server
