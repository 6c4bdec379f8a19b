// From a server's messages for one watcher to batches of whole revisions, each event once.
//
// Passive: no lock, no thread, no I/O.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "client/watch.h"
#include "proto/etcdserverpb/watch.pb.h"

namespace gavel::client::internal {

class WatchAssembly {
 public:
  // `start_revision` as in WatchOptions.
  explicit WatchAssembly(int64_t start_revision);

  // The server has taken the watch on, at this revision of its store.
  void OnCreated(int64_t server_revision);
  // Takes the events of a message. Gives those whose revisions are complete; what is left of a
  // revision that was split waits for the rest.
  std::vector<WatchEvent> TakeEvents(etcdserverpb::WatchResponse* response);
  // Everything up to this revision was sent.
  void OnProgress(int64_t revision);
  // The stream is gone, and with it the rest of a split revision.
  void OnStreamLost() { partial_.clear(); }

  // Where a new stream goes on; 0 if that is "now".
  int64_t next_revision() const { return next_revision_; }

 private:
  int64_t next_revision_;
  // Events below it were delivered, or not asked for. Signs of progress do not move it: an event
  // that comes in spite of one is delivered all the same.
  int64_t floor_;
  std::vector<WatchEvent> partial_;  // Of one revision.
};

// What an event takes in memory, about.
size_t BytesOf(const WatchEvent& event);

}  // namespace gavel::client::internal
