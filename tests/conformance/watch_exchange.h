// What one watch stream received from both servers between two rests, and the verdict on it.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string_view>
#include <vector>

#include "tests/conformance/compacted_start.h"
#include "tests/conformance/difference.h"
#include "tests/conformance/exchange.h"
#include "tests/conformance/watch_history.h"
#include "tests/conformance/watch_story.h"

namespace gavel::conformance {

// What was asked of the stream without waiting for rest, so that some of the answer is chance.
struct Haste {
  int64_t progress_requests = 0;
  int64_t progress_owed = 0;  // Asked for in haste before, and not answered by Gavel yet.
  // The segment begins with a progress request at rest, of a stream on which no watch is open, or
  // one begins in the future.
  bool silent_progress = false;
  std::set<int64_t> canceled;   // Watches whose events may not all have come.
  bool negative_start = false;  // The segment is the answer to a watch from below zero.
};

// What both sides of a segment are judged by.
struct WatchTerms {
  WatchContext before_etcd;
  WatchContext before_gavel;
  int64_t newest = 0;             // The store's revision at rest.
  int64_t progress_revision = 0;  // And when progress was last asked for at rest.
  const WatchHistory* history = nullptr;
  Haste haste;
  bool both_are_etcd = false;  // The harness compares etcd with itself.
};

struct WatchExchange {
  WatchExchange(const WatchTerms& terms, const WatchSegment& from_etcd,
                const WatchSegment& from_gavel);

  const WatchTerms& terms;
  WatchStory etcd;
  WatchStory gavel;
  std::vector<std::string> etcd_faults;
  std::vector<std::string> gavel_faults;
  std::vector<CompactedStart> compacted_starts;  // Of Gavel's watches.
};

// Everything that differs, and every fault, accepted or not.
std::vector<Difference> AllDifferences(const WatchExchange& exchange);

// What is not accepted. Counts what is accepted in `hits`, unless that is null; the accepted
// differences of streams come after those of requests.
std::vector<Difference> Compare(const WatchTerms& terms, const WatchSegment& etcd,
                                const WatchSegment& gavel, Hits* hits);

// An accepted difference between streams (accepted.h). `settle` makes Gavel's story equal to
// etcd's in this one respect.
struct AcceptedInStreams {
  std::string_view name;
  std::string_view reason;
  bool (*settle)(WatchExchange& exchange);
};

std::span<const AcceptedInStreams> AcceptedDifferencesInStreams();

}  // namespace gavel::conformance
