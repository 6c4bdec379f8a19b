// etcd's maintenance service: how this member is, and whether it agrees with the others.
#pragma once

#include "server/rpc/call_guard.h"
#include "server/rpc/service_support.h"

namespace gavel::server {

// Adds the methods of etcdserverpb.Maintenance that are served. The gate must outlive all calls.
void AddMaintenanceService(const ServiceSurroundings& surroundings, const CallGuard& guard,
                           Router& router);

}  // namespace gavel::server
