// Keeps the quota of the state equal to the leader's, and tells the cluster of a disk without
// space.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>

#include "absl/status/statusor.h"

#include "server/clock.h"
#include "server/logging.h"
#include "server/node/background.h"
#include "server/node/gate.h"
#include "storage/state/alarms.h"

namespace gavel::server {

struct LimitsOptions {
  // Of the whole store; 0: no bound. The leader's counts, and is part of the state.
  uint64_t quota_bytes = 0;
  // Below so much free space on the disk of the data directory this member raises the alarm, so
  // that what is under way still fits. 0: it does not look.
  uint64_t disk_reserve_bytes = 0;
};

// Looks from time to time, in the background. Raises and ends nothing by itself: it proposes.
class LimitsDriver {
 public:
  struct Surroundings {
    const Clock& clock;
    Logger& logger;
    Background& background;
    Gate& gate;
    std::function<int64_t()> used_bytes;  // Of the quota.
    std::function<absl::StatusOr<uint64_t>()> free_bytes;
    // While the disk is low, again and again: gives up what need not be kept.
    std::function<void(bool low)> set_disk_low;
  };
  LimitsDriver(const LimitsOptions& options, Surroundings surroundings);

  // Begins. The object must outlive the background's jobs.
  void Start() { LookLater(kSoon); }

 private:
  // While something is expected to change, and else.
  static constexpr MonotonicNs kSoon = 50 * kNsPerMs;
  static constexpr MonotonicNs kEvery = kNsPerSecond;

  static constexpr storage::Revision kNothingReclaimed = -2;

  // One look at a time, so that no lock is needed.
  void LookLater(MonotonicNs after);
  void Look();
  void ProposeQuota();
  void ProposeAlarm(bool raise);
  // While this member's alarm for its disk is raised.
  void Reclaim(bool raised);
  // Whether this member's disk should have its alarm raised; nothing: as it is.
  std::optional<bool> WantedDiskAlarm(const storage::LimitsState& limits);
  void Tell(const storage::LimitsState& limits, bool leads);
  void TellOfDifference(int64_t quota_bytes, bool leads);

  const LimitsOptions options_;
  const int64_t quota_bytes_;  // As the state would have it.
  const Surroundings surroundings_;
  storage::AlarmTable told_;
  bool free_fails_told_ = false;
  bool reclaiming_ = false;
  // The compaction after which the engine was last told to give back space.
  std::atomic<storage::Revision> reclaimed_ = kNothingReclaimed;
  int64_t other_quota_ = -1;  // Seen at the last look, if it is not this member's.
  int64_t other_quota_told_ = -1;
};

}  // namespace gavel::server
