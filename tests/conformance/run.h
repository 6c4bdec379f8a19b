// One run: the operations of a seed, sent to a fresh pair of servers until an answer differs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tests/conformance/exchange.h"
#include "tests/conformance/servers.h"
#include "tests/conformance/session.h"

namespace gavel::conformance {

struct RunOptions {
  ServerPrograms programs;
  std::string directory;  // For data and logs.
  int members = 1;
  uint64_t seed = 1;
  int64_t operations = 0;
  // Watch streams and leases, with the writes that they are about; else requests alone.
  bool streams = false;
  // Gavel's answer to this operation, or what its streams receive from there until they are
  // compared, is changed; -1 for none.
  int64_t planted = -1;
  // Sent instead of what the seed makes, if there are any.
  std::vector<Operation> replay;
};

struct Failure {
  int64_t operation = 0;
  std::string kind;                 // Alike for failures that are likely to have one cause.
  std::string text;                 // What was asked, both answers, and what differs.
  std::vector<Operation> sequence;  // That led there, the last included.
};

struct RunResult {
  std::optional<Failure> failure;
  int64_t sent = 0;
  SessionCounts counts;
};

// Sends the operations in step and compares. Every answer of Gavel, and what a watch stream of it
// received, is also compared once with a change made to it, which must show.
RunResult Run(const RunOptions& options);

// Takes out of a failed run's sequence what is not needed for an answer to differ, on fresh
// servers, for at most `seconds`.
Failure Shrink(const RunOptions& options, const Failure& failure, int seconds);

}  // namespace gavel::conformance
