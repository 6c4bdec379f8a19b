// The cluster services, etcd's and Gavel's: who the members are, and changing it.
#pragma once

#include "server/rpc/call_guard.h"
#include "server/rpc/service_support.h"

namespace gavel::server {

// Adds the methods of etcdserverpb.Cluster and gavel.v1.Cluster. What `surroundings` points to must
// outlive all calls.
void AddClusterService(const ServiceSurroundings& surroundings, const CallGuard& guard,
                       Router& router);

}  // namespace gavel::server
