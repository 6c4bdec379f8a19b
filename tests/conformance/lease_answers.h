// What in answers about leases depends on time, or on chance.
#pragma once

#include "tests/conformance/exchange.h"

namespace gavel::conformance {

// Each makes Gavel's answer equal to etcd's in its one respect, and returns true if that changed
// it.

// The seconds that are left of a lease: no more than were granted, and apart by no more than the
// clocks may be.
bool SettleTimeLeft(Exchange& exchange);
// The keys of a lease: the same ones, Gavel's in order.
bool SettleLeaseKeys(Exchange& exchange);
// All leases: the same ones, in an order in which they may end.
bool SettleLeases(Exchange& exchange);

}  // namespace gavel::conformance
