// The lease clock as a leader reads it.
//
// Passive: it is told the time. In the log the clock moves with a leader's readings only; between
// them a leader moves it on by its own monotonic clock.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "server/clock.h"
#include "storage/state/leases.h"

namespace gavel::server {

// Never ahead of any earlier leader's clock: it goes on from the newest reading in the log, which
// was true when it was made. So a lease is never shortened by a change of the leader; it gains the
// time between that reading and Begin.
class LeaseClock {
 public:
  // What dates leases must follow a reading that is not older.
  static constexpr int64_t kDatingAgeMsMax = 10;
  // While there are leases, the newest reading is not older.
  static constexpr int64_t kAgeMsMax = 500;
  // Readings are whole milliseconds, so one may be older by almost one more than it looks.
  static_assert(kDatingAgeMsMax + 1 < storage::kLeaseSlackMs);

  // Apply has come to a reading in the log, or begins with this one.
  void OnApplied(int64_t clock_ms) { applied_ms_ = std::max(applied_ms_, clock_ms); }

  // This member leads. Requires: everything of earlier terms is applied, and `now` is not before
  // the last of it was received.
  void Begin(MonotonicNs now);
  void Stop() { began_.reset(); }
  bool running() const { return began_.has_value(); }

  // Milliseconds. While it does not run: the newest reading applied.
  int64_t Read(MonotonicNs now) const;

  // The reading to put into the log before what is appended in this turn, if one is due. `now`
  // is not before the last of that was received. `dating`: it grants or renews leases; `leases`:
  // there are some.
  std::optional<int64_t> Stamp(MonotonicNs now, bool dating, bool leases) const;
  // A reading was appended.
  void OnStamped(int64_t reading_ms) { stamped_ms_ = std::max(stamped_ms_, reading_ms); }

 private:
  int64_t applied_ms_ = 0;
  int64_t stamped_ms_ = 0;  // The newest reading in the leader's log.
  int64_t base_ms_ = 0;     // What it was at began_.
  std::optional<MonotonicNs> began_;
};

}  // namespace gavel::server
