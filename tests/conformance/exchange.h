// One operation with both answers, decoded and normalised, and the verdict on them.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <google/protobuf/message.h>

#include "tests/conformance/difference.h"
#include "tests/conformance/operation.h"

namespace gavel::conformance {

struct Side {
  int code = 0;
  std::string message;
  std::unique_ptr<google::protobuf::Message> body;  // Null unless code is 0 and it decodes.
};

// Between which times of this process a lease ends on either server.
struct LeaseEnd {
  std::chrono::steady_clock::time_point earliest;
  std::chrono::steady_clock::time_point latest;
};
using LeaseEnds = std::map<int64_t, LeaseEnd>;

// What an exchange is judged by, besides itself.
struct Terms {
  int64_t revision = 0;  // The store's newest when the operation was sent.
  // By how much the clocks of the two servers' leases may be apart: no request took longer.
  int64_t slack_seconds = 1;
  bool both_are_etcd = false;             // The harness compares etcd with itself.
  uint64_t gavel_cluster = 0;             // The id that Gavel's answers have; 0: not known yet.
  const LeaseEnds* lease_ends = nullptr;  // Of every lease that was granted; null: of none.
};

struct Exchange {
  Exchange(const Operation& sent, const Terms& known, const Answer& from_etcd,
           const Answer& from_gavel);

  const Operation& operation;
  Terms terms;
  std::unique_ptr<google::protobuf::Message> request;  // Null if the body is none.
  Side etcd;
  Side gavel;
};

// Everything that differs, accepted or not.
std::vector<Difference> AllDifferences(const Exchange& exchange);

// How often each accepted difference (accepted.h) was met, in the order of its table.
using Hits = std::vector<int64_t>;

// What differs and is not accepted. Counts what is accepted in `hits`, unless that is null.
std::vector<Difference> Compare(const Operation& operation, const Terms& terms, const Answer& etcd,
                                const Answer& gavel, Hits* hits);

}  // namespace gavel::conformance
