// How far a member may lag behind before the log is cut all the same.
//
// Passive. A member that needs what has been cut is brought up by a snapshot.
#pragma once

#include <cstdint>
#include <deque>

#include "raft/types.h"

namespace gavel::server {

struct LagLimits {
  uint64_t entries_max = 100'000;
  uint64_t bytes_max = 512 << 20;  // Of the log, about.
};

class LagBound {
 public:
  explicit LagBound(const LagLimits& limits) : limits_(limits) {}

  // Entries up to `last`, of so many bytes of the log, have been applied.
  void OnApplied(raft::Index last, uint64_t log_bytes);
  // What lies below is not kept for those that lag.
  raft::Index Floor() const;

 private:
  // Precise enough, and few.
  static constexpr uint64_t kPoints = 64;

  struct Point {
    raft::Index last;
    uint64_t bytes = 0;  // Up to here, since this object began.
  };

  const LagLimits limits_;
  raft::Index last_;
  uint64_t bytes_ = 0;
  std::deque<Point> points_;
  raft::Index too_far_;  // The newest point that lies more than bytes_max back.
};

}  // namespace gavel::server
