// Ends the streams of clients that want a leader when there has been none for too long.
#pragma once

#include <memory>
#include <vector>

#include "server/node/gate.h"
#include "server/rpc/service.h"
#include "storage/mutex.h"

namespace gavel::server {

// Looks for a leader while there are such streams. Thread-safe; shared with what it has to run.
class LeaderMonitor : public std::enable_shared_from_this<LeaderMonitor> {
 public:
  // `patience`: how long there may be no leader. The gate must outlive all calls.
  LeaderMonitor(Gate& gate, MonotonicNs patience) : gate_(gate), patience_(patience) {}

  // Puts the handler of a call that wants a leader in charge of one that ends it.
  std::shared_ptr<StreamHandler> Watch(std::shared_ptr<StreamHandler> handler,
                                       std::shared_ptr<StreamWriter> writer,
                                       std::shared_ptr<Executor> executor);

 private:
  class Stream;

  void LookLater();
  void Look();

  Gate& gate_;
  const MonotonicNs patience_;
  Mutex mutex_;
  std::vector<std::weak_ptr<Stream>> streams_ ABSL_GUARDED_BY(mutex_);
  // Streams that were left when the dead ones were last removed.
  size_t swept_ ABSL_GUARDED_BY(mutex_) = 0;
  bool looking_ ABSL_GUARDED_BY(mutex_) = false;
  int misses_ ABSL_GUARDED_BY(mutex_) = 0;  // Looks in a row that found no leader.
};

}  // namespace gavel::server
