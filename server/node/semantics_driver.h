// Has the members agree on newer rules for commands, once every one of them can apply those.
//
// Every member says in each frame to its peers which semantics version it agrees to at most
// (storage/state/semantics.h). A leader that hears from all of them proposes the highest that all
// said. A member that comes later and knows less stops by name, so nothing is lost by being wrong
// about one that is started with an older build at that very moment.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <utility>

#include "raft/raft.h"
#include "server/clock.h"
#include "server/logging.h"
#include "server/node/background.h"
#include "server/node/gate.h"

namespace gavel::server {

// The version that a member said; 0: it has said none.
using SemanticsSaid = std::function<uint32_t(raft::NodeId)>;

// Who holds the others back, and with which version; the id is `leader.id` if nobody does. Of the
// leader's members, one that it does not hear from says 0.
struct LowestSemantics {
  raft::NodeId member;
  uint32_t version = 0;

  friend bool operator==(const LowestSemantics&, const LowestSemantics&) = default;
};
LowestSemantics FindLowestSemantics(const raft::Status& leader, uint32_t own,
                                    const SemanticsSaid& said);

// Looks from time to time, in the background.
class SemanticsDriver {
 public:
  struct Surroundings {
    const Clock& clock;
    Logger& logger;
    Background& background;
    Gate& gate;
    std::function<uint32_t()> agreed;  // As applied here.
    SemanticsSaid said;
  };
  // `own`: the highest version that this member agrees to.
  SemanticsDriver(uint32_t own, Surroundings surroundings)
      : own_(own), surroundings_(std::move(surroundings)) {}

  // Begins. The object must outlive the background's jobs.
  void Start();

 private:
  // While members find each other, and else.
  static constexpr MonotonicNs kSoon = 50 * kNsPerMs;
  static constexpr MonotonicNs kEvery = kNsPerSecond;

  // One look at a time, so that no lock is needed.
  void LookLater(MonotonicNs after);
  void Look();
  void Propose(uint32_t version);
  void TellAgreed(uint32_t agreed);
  void TellWaiting(const LowestSemantics& lowest, uint32_t agreed);

  const uint32_t own_;
  const Surroundings surroundings_;
  uint32_t told_agreed_ = 0;
  LowestSemantics waiting_;  // As of the last look.
  LowestSemantics told_waiting_;
};

}  // namespace gavel::server
