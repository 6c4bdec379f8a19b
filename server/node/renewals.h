// Renewals of leases that wait for the core, to become one command.
//
// Passive: no lock, no clock, no thread. MemberGate owns one and guards it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "proto/internal/command.pb.h"
#include "server/clock.h"
#include "server/node/gate.h"

namespace gavel::server {

class Renewals {
 public:
  // Of one command.
  static constexpr int kIdsMax = 4096;
  // What a waiting renewal costs.
  static constexpr size_t kBytes = 128;

  void Add(int64_t id, MonotonicNs deadline, RenewDone done);

  struct Command {
    std::string request;       // An encoded RenewLeases.
    MonotonicNs deadline = 0;  // The latest of all.
    std::vector<RenewDone> waiters;
  };
  // All that wait, in the order in which they came.
  std::vector<Command> Take();

  bool empty() const { return commands_.empty(); }
  size_t bytes() const { return count_ * kBytes; }

  // Tells each waiter of a command how its own renewal ended.
  static void Finish(std::vector<RenewDone> waiters, const ProposeResult& result);

 private:
  struct Open {
    internal::RenewLeases command;
    MonotonicNs deadline = 0;
    std::vector<RenewDone> waiters;
  };
  std::vector<Open> commands_;
  size_t count_ = 0;
};

}  // namespace gavel::server
