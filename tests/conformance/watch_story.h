// What one watch stream has received between two rests, told watch by watch, and what in it breaks
// the contract whatever the other server says.
//
// Pure functions of messages.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "proto/etcdserverpb/watch.pb.h"

namespace gavel::conformance {

using WatchSegment = std::vector<etcdserverpb::WatchResponse>;  // In the order of arrival.

// One response that held events.
struct Cut {
  int events = 0;
  int64_t header_revision = 0;
  bool fragment = false;

  bool operator==(const Cut&) const = default;
};

struct WatchStory {
  // By watch id, in order: each event alone, under a header without revision, and each other
  // message whole. What is for no one watch is under -1.
  std::map<int64_t, std::vector<etcdserverpb::WatchResponse>> items;
  // How the events of a watch came.
  std::map<int64_t, std::vector<Cut>> cuts;
  // The answers of the stream in order, in words: what was created, canceled because the client
  // asked for it, and told of progress.
  std::vector<std::string> answers;
};

WatchStory Tell(const WatchSegment& segment);

// Whether it is an answer to a progress request.
bool IsProgress(const etcdserverpb::WatchResponse& response);

// The requests of the watches that were created, by id, in order.
using CreatedWatches = std::map<int64_t, std::vector<etcdserverpb::WatchCreateRequest>>;

// What is known of a stream when a segment begins, and carried on from one segment to the next.
struct WatchContext {
  struct Watch {
    etcdserverpb::WatchCreateRequest request;
    int64_t last_revision = 0;  // Of its last event.
    bool continues = false;     // The last response was a fragment that is not the last.
    int64_t progress = 0;       // Told for this watch, or for the stream while it was open.
  };

  std::map<int64_t, Watch> open;
  CreatedWatches created;  // In the last segment.
  // Canceled because of a compaction. A server holds these until it is told to cancel them, which
  // it answers.
  std::set<int64_t> compacted;
  std::deque<etcdserverpb::WatchCreateRequest> asked;  // Not answered yet, in order.
};

// Returns what breaks the contract, a sentence each: events of a watch that is not open, or out of
// order, or at a revision that a progress message had promised to be past, a revision that is
// split without being asked to be, a header that is older than what it is above of or newer than
// `newest`, a fragment without an end, a message without a meaning. Carries `context` on.
std::vector<std::string> FindFaults(const WatchSegment& segment, int64_t newest,
                                    WatchContext* context);

}  // namespace gavel::conformance
