// etcd's lease service.
#pragma once

#include <cstdint>
#include <optional>

#include "absl/functional/any_invocable.h"

#include "proto/etcdserverpb/lease.pb.h"
#include "server/rpc/call_guard.h"
#include "server/rpc/service.h"
#include "server/rpc/service_support.h"

namespace gavel::server {

// Adds the methods of etcdserverpb.Lease. The gate must outlive all calls.
//
// Grants, revocations and renewals go through the log, so what is answered has happened on a
// majority. TimeToLive is linearizable; LeaseLeases is answered from this member's own state.
void AddLeaseService(const ServiceSurroundings& surroundings, const CallGuard& guard,
                     Router& router);

// Grants a lease: raises the TTL to the shortest there is, and picks an id if it is 0.
using LeaseGranted = absl::AnyInvocable<void(RpcStatus, etcdserverpb::LeaseGrantResponse) &&>;
void GrantLease(const ServiceSurroundings& surroundings, etcdserverpb::LeaseGrantRequest request,
                std::optional<MonotonicNs> deadline, LeaseGranted done);

}  // namespace gavel::server
