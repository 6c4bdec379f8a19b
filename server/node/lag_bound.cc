#include "server/node/lag_bound.h"

#include <algorithm>

namespace gavel::server {

void LagBound::OnApplied(raft::Index last, uint64_t log_bytes) {
  last_ = last;
  bytes_ += log_bytes;
  if (points_.empty() || bytes_ - points_.back().bytes >= limits_.bytes_max / kPoints) {
    points_.push_back({last, bytes_});
  }
  while (!points_.empty() && bytes_ - points_.front().bytes > limits_.bytes_max) {
    too_far_ = points_.front().last;
    points_.pop_front();
  }
}

raft::Index LagBound::Floor() const {
  const uint64_t by_entries = last_.value() - std::min(last_.value(), limits_.entries_max);
  return std::max(too_far_, raft::Index(by_entries));
}

}  // namespace gavel::server
