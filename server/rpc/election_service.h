// v3electionpb.Election: one leader among those who campaign under a name.
#pragma once

#include "server/rpc/call_guard.h"
#include "server/rpc/service.h"
#include "server/rpc/service_support.h"

namespace gavel::server {

// Adds Campaign, Proclaim, Leader, Observe and Resign. The gate must outlive all calls.
//
// The leader is the oldest key under "<name>/"; its value is what the leader proclaims. Campaign
// answers once the caller's key is the oldest and still there. Observe tells every value that the
// leaders proclaim, in order; what a slow reader has not taken is read from history.
void AddElectionService(const ServiceSurroundings& surroundings, const CallGuard& guard,
                        Router& router);

}  // namespace gavel::server
