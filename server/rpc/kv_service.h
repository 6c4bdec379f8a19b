// etcd's key-value service: checks, then a proposal to the log or a read on a view.
#pragma once

#include "server/rpc/call_guard.h"
#include "server/rpc/service.h"
#include "server/rpc/service_support.h"

namespace gavel::server {

// Adds the methods of etcdserverpb.KV. The gate must outlive all calls.
//
// Writes are replicated as the bytes the client sent, so that fields unknown here are kept.
void AddKvService(const ServiceSurroundings& surroundings, const CallGuard& guard, Router& router);

}  // namespace gavel::server
