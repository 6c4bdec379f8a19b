// v3lockpb.Lock: locks held as long as a lease lives.
#pragma once

#include "server/rpc/call_guard.h"
#include "server/rpc/service.h"
#include "server/rpc/service_support.h"

namespace gavel::server {

// Adds Lock and Unlock. The gate must outlive all calls.
//
// A lock is the oldest key under "<name>/"; its create revision is the fencing token, which grows
// with every grant. Lock answers once the caller's key is the oldest and, as a read of the whole
// cluster confirms, still there. That a lock is held does not keep a holder that has stalled from
// acting after its lease has ended: what it protects must check the token.
void AddLockService(const ServiceSurroundings& surroundings, const CallGuard& guard,
                    Router& router);

}  // namespace gavel::server
