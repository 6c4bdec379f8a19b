// Rows that are equal in what a range is sorted by, and whose order etcd leaves to chance.
#pragma once

#include "tests/conformance/exchange.h"

namespace gavel::conformance {

// For every range without a limit, of more than 12 rows, that is sorted by something other than the
// key: if both answers agree but for the order of equal rows, and Gavel's are in key order, makes
// Gavel's rows etcd's. True if that changed any.
bool SettleTiedRows(Exchange& exchange);

}  // namespace gavel::conformance
