// etcdserverpb.Watch: a client's stream of watchers, on the member's watch hub.
#pragma once

#include "server/rpc/call_guard.h"
#include "server/rpc/service.h"
#include "server/rpc/service_support.h"

namespace gavel::server {

void AddWatchService(const ServiceSurroundings& surroundings, const CallGuard& guard,
                     Router& router);

}  // namespace gavel::server
