// What differs between two answers, field by field, once what must differ has been replaced.
//
// Pure functions of messages.
#pragma once

#include <string>
#include <vector>

#include <google/protobuf/message.h>

#include "tests/conformance/operation.h"

namespace gavel::conformance {

struct Difference {
  std::string path;  // "responses[1].response_range.kvs[0].value".
  std::string etcd;
  std::string gavel;
};

std::string Describe(const std::vector<Difference>& differences);

// Replaces what no two clusters have in common: ids, terms, indexes, versions, sizes, hashes and
// ports. Zero stays zero, so that a missing id is still seen; what the rest of the answer
// contradicts becomes zero: a version that neither server has, an index that is applied before it
// is there, a size in use above the size, a term that is not the header's, an id that two members
// have.
void Normalise(google::protobuf::Message& response);

// Compares field by field, presence and unknown fields too. Requires: one type.
void AddDifferences(const google::protobuf::Message& etcd, const google::protobuf::Message& gavel,
                    const std::string& path, std::vector<Difference>* differences);

// Changes `message` in one place that Normalise leaves alone, chosen by `choice`. False if it has
// none. What it has changed must show as a difference: this is how the comparison proves itself.
bool Plant(google::protobuf::Message& message, uint64_t choice);

}  // namespace gavel::conformance
