// Gauges that are read from the member's status when someone looks.
#pragma once

#include <memory>

#include "server/metrics.h"
#include "server/node/member_gate.h"
#include "storage/state/state_machine.h"

namespace gavel::server {

// Registers them; the call-back goes with the handle returned. What is passed must outlive it.
[[nodiscard]] std::shared_ptr<void> AddStatusMetrics(Metrics& metrics, const MemberGate& gate,
                                                     const storage::StateMachine& machine);

}  // namespace gavel::server
