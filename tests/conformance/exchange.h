// One operation with both answers, decoded and normalised, and the verdict on them.
#pragma once

#include <cstdint>
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

struct Exchange {
  Exchange(const Operation& sent, int64_t revision_before, const Answer& from_etcd,
           const Answer& from_gavel);

  const Operation& operation;
  int64_t revision;  // The store's newest when the operation was sent.
  std::unique_ptr<google::protobuf::Message> request;  // Null if the body is none.
  Side etcd;
  Side gavel;
};

// Everything that differs, accepted or not.
std::vector<Difference> AllDifferences(const Exchange& exchange);

// How often each accepted difference (accepted.h) was met, in the order of its table.
using Hits = std::vector<int64_t>;

// What differs and is not accepted. Counts what is accepted in `hits`, unless that is null.
// `revision` is the store's newest when the operation was sent.
std::vector<Difference> Compare(const Operation& operation, int64_t revision, const Answer& etcd,
                                const Answer& gavel, Hits* hits);

}  // namespace gavel::conformance
