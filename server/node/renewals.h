// Renewals of leases that wait for the core, to become one command.
//
// Passive: no lock, no clock, no thread. MemberGate owns one and guards it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "proto/internal/command.pb.h"
#include "server/clock.h"
#include "server/node/gate.h"

namespace gavel::server {

// A renewal is in no hurry, and every command costs all members a turn, however many it renews. A
// command of many is therefore followed by a pause, in which the next gathers.
class Renewals {
 public:
  // Of one command.
  static constexpr int kIdsMax = 4096;
  // A command of fewer is followed by no pause.
  static constexpr size_t kPauseRenewalsMin = 8;
  static constexpr MonotonicNs kPause = 5 * kNsPerMs;
  // What a waiting renewal costs.
  static constexpr size_t kBytes = 128;

  void Add(int64_t id, MonotonicNs deadline, RenewDone done);

  struct Command {
    std::string request;       // An encoded RenewLeases.
    MonotonicNs deadline = 0;  // The latest of all.
    std::vector<RenewDone> waiters;
  };
  // All that wait, in the order in which they came; nothing in a pause.
  std::vector<Command> TakeDue(MonotonicNs now);
  std::vector<Command> TakeAll();

  bool empty() const { return commands_.empty(); }
  // When TakeDue must be called, to end the pause of those that wait.
  std::optional<MonotonicNs> due_at() const {
    return empty() ? std::nullopt : std::optional(pause_until_);
  }
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
  MonotonicNs pause_until_ = 0;
};

}  // namespace gavel::server
