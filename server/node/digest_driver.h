// Compares the members' states through the log, and names who differs.
//
// From time to time the leader has all members note the digest of their states at one entry, and
// says what its own was. Whoever differs says so, then everyone does; what most voters have is
// right, and the leader raises the alarm CORRUPT for the others. So a cluster without a fault pays
// two small entries each time.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "absl/base/thread_annotations.h"

#include "raft/configuration.h"
#include "server/clock.h"
#include "server/logging.h"
#include "server/metrics.h"
#include "server/node/background.h"
#include "server/node/gate.h"
#include "storage/mutex.h"
#include "storage/state/digest.h"

namespace gavel::server {

// What the members have said of the newest marks. Passive.
class DigestTally {
 public:
  // Takes a report; false if it says nothing new.
  bool Add(const storage::DigestReport& report);
  // More than one digest has been said for `mark`.
  bool Disagree(raft::Index mark) const;
  // The members that differ at `mark` from more than half of `voters`; empty also while too few
  // have reported.
  std::vector<raft::NodeId> Differing(raft::Index mark,
                                      const std::vector<raft::NodeId>& voters) const;

 private:
  // Those of the newest marks; a hostile member could name any number of them.
  static constexpr size_t kMarksMax = 8;
  static constexpr size_t kMembersMax = 100;

  std::map<raft::Index, std::map<raft::NodeId, uint32_t>> marks_;
};

// Thread-safe.
class DigestDriver {
 public:
  struct Surroundings {
    const Clock& clock;
    Logger& logger;
    Background& background;
    Gate& gate;
    std::function<storage::DigestMarks()> marks;
    std::function<std::shared_ptr<const raft::Configuration>()> configuration;
  };
  // `interval`: between two comparisons; 0: none.
  DigestDriver(MonotonicNs interval, Surroundings surroundings, Metrics& metrics);

  // Begins. The object must outlive the background's jobs.
  void Start();

  // What a batch of entries has said, as in storage::ApplyResult.
  struct AppliedDigests {
    bool marked = false;
    std::optional<bool> news;
    std::span<const storage::DigestReport> reports;
  };
  // For apply's driver.
  void OnApplied(const AppliedDigests& applied);

 private:
  void LookLater();
  void Look();
  void Report(const storage::DigestMark& mark);
  // Takes a report; true if this member, whose mark is `own`, has to say what its digest was.
  bool Take(const storage::DigestReport& report, const storage::DigestMark* own);
  void TellOfDiffering(raft::Index mark);
  void RaiseAlarm(raft::NodeId member);

  const MonotonicNs interval_;
  const Surroundings surroundings_;
  Gauge& differing_;

  Mutex mutex_;
  DigestTally tally_ ABSL_GUARDED_BY(mutex_);
  std::set<raft::Index> reported_ ABSL_GUARDED_BY(mutex_);
  std::set<raft::NodeId> told_ ABSL_GUARDED_BY(mutex_);
  // Something was applied after the last mark, or may have been.
  bool news_ ABSL_GUARDED_BY(mutex_) = true;
  bool unreported_ ABSL_GUARDED_BY(mutex_) = false;  // Nobody has said anything of the last mark.
};

}  // namespace gavel::server
