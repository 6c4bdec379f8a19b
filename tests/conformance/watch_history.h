// Every change of a run in order, as a watch of all keys saw it at etcd: what every other watch
// must receive its part of.
//
// Not thread-safe.
#pragma once

#include <cstdint>
#include <vector>

#include "proto/etcdserverpb/watch.pb.h"
#include "proto/mvccpb/kv.pb.h"

namespace gavel::conformance {

// Whether the watch is of the event's key, and does not filter it out.
bool Matches(const etcdserverpb::WatchCreateRequest& request, const mvccpb::Event& event);

class WatchHistory {
 public:
  void Add(const mvccpb::Event& event) { events_.push_back(event); }
  // Without `physical`, etcd drops what is compacted at a time of its own.
  void Compact(int64_t revision, bool physical);

  const std::vector<mvccpb::Event>& events() const { return events_; }
  // The revision of the last event; 0 if there is none.
  int64_t newest() const;
  int64_t compacted() const { return compacted_; }

  // The first event at or above `revision`, as an index; the number of events if there is none.
  size_t First(int64_t revision) const;
  // Whether the event at `index` is one that compacting at its own revision drops: a key's last
  // change at that revision is kept, but etcd 3.4 does not keep it if it is a deletion.
  bool IsDropped(size_t index) const;
  // Whether a watch that starts at the compacted revision meets a dropped event, or one of which
  // it is chance whether etcd has dropped it.
  bool MayDropAtCompacted() const;
  bool compacted_physically() const { return physical_; }

 private:
  std::vector<mvccpb::Event> events_;
  int64_t compacted_ = 0;
  bool physical_ = false;
};

}  // namespace gavel::conformance
