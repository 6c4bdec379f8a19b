// Every difference between etcd 3.4 and Gavel that is accepted, with its reason: those between the
// answers to requests, and (watch_exchange.h) those between what watch streams receive.
//
// The one list: what is not in it is a failure, and what is in it and never met is one too.
#pragma once

#include <span>
#include <string_view>

#include "tests/conformance/exchange.h"

namespace gavel::conformance {

struct AcceptedDifference {
  std::string_view name;
  std::string_view reason;
  // If the exchange shows this difference, makes Gavel's answer equal to etcd's in this one
  // respect and returns true.
  bool (*settle)(Exchange& exchange);
  // Met where leases are asked about, which is where watch streams are.
  bool of_leases = false;
};

std::span<const AcceptedDifference> AcceptedDifferences();

}  // namespace gavel::conformance
