// What is asked of every call before its method sees it: metadata, leader, learner.
#pragma once

#include <memory>
#include <string_view>

#include "server/metrics.h"
#include "server/node/gate.h"
#include "server/rpc/service.h"

namespace gavel::server {

// Wraps methods. Cheap to copy; thread-safe. The gate and the metrics must outlive all calls.
class CallGuard {
 public:
  // `leader_patience`: how long a stream that wants a leader goes on without one.
  CallGuard(Gate& gate, Metrics& metrics, MonotonicNs leader_patience);

  // Whether a learner may serve the method.
  enum class Learner { kServes, kRefuses };

  UnaryMethod Unary(Learner learner, UnaryMethod method) const;
  // `shape` is what the call counts as.
  StreamMethod Stream(Learner learner, StreamMethod method,
                      StreamShape shape = StreamShape::kBidi) const;

 private:
  class State;
  std::shared_ptr<State> state_;
};

}  // namespace gavel::server
