// What one server has sent on one watch stream, and whether that is all that it has to send.
//
// A stream is at rest when each of its watches has received as many events as the history has for
// it, and each watch that starts below the compacted revision has been canceled.
//
// Not thread-safe.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "proto/etcdserverpb/watch.pb.h"
#include "tests/conformance/watch_history.h"

namespace gavel::conformance {

class WatchReceiver {
 public:
  // `drops` tells that this server forgets what IsDropped says.
  explicit WatchReceiver(bool drops) : drops_(drops) {}

  // A watch will be asked for, at a time when `revision` is the store's newest.
  void Ask(const etcdserverpb::WatchCreateRequest& request, int64_t revision,
           const WatchHistory& history);
  void Receive(etcdserverpb::WatchResponse response);

  // How many answers to create requests, and to progress requests, have been received.
  int64_t created() const { return created_; }
  int64_t progressed() const { return progressed_; }
  // The last answer to a create request.
  const etcdserverpb::WatchResponse& last_created() const { return last_created_; }

  bool IsOpen(int64_t id) const { return watches_.contains(id); }
  // Whether a progress request is answered when all events have been sent.
  bool has_open() const { return !watches_.empty(); }
  bool has_future(int64_t revision) const;

  // Of one watch; true if there is none with that id.
  bool AtRest(int64_t id, const WatchHistory& history);
  bool AtRest(const WatchHistory& history);
  // What is missing, or too much, for being at rest.
  std::string Unrest(const WatchHistory& history);

  // Whether the watch is open, and only until it is told that its start is compacted.
  bool IsDoomed(int64_t id) const;
  // Takes the events and the progress of a watch out of what Take will return.
  void ForgetEvents(int64_t id);

  // Returns how many events have been received since the last call.
  int64_t TakeEventCount() { return std::exchange(events_, 0); }
  // Returns and forgets what has been received since the last call.
  std::vector<etcdserverpb::WatchResponse> Take();

 private:
  struct Watch {
    etcdserverpb::WatchCreateRequest request;
    int64_t start = 0;
    bool doomed = false;  // Starts below the compacted revision.
    int64_t seen = 0;
    int64_t expected = 0;
    size_t counted = 0;  // Events of the history that `expected` takes into account.
  };

  void Count(Watch& watch, const WatchHistory& history) const;

  bool drops_;
  std::deque<Watch> asked_;  // Not answered yet.
  std::map<int64_t, Watch> watches_;
  std::vector<etcdserverpb::WatchResponse> received_;
  etcdserverpb::WatchResponse last_created_;
  int64_t events_ = 0;
  int64_t created_ = 0;
  int64_t progressed_ = 0;
};

}  // namespace gavel::conformance
