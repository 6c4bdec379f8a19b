// Decides, on the leader, which leases are due, and when the lease clock is put into the log.
//
// Passive: no thread, lock, clock or I/O; the core's driver feeds it. Every member has one and
// tells it what was applied, so that a new leader knows all leases at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "absl/container/flat_hash_map.h"

#include "raft/types.h"
#include "server/clock.h"
#include "server/lease/lease_clock.h"
#include "server/lease/lease_table.h"
#include "storage/state/lease_reader.h"
#include "storage/state/leases.h"

namespace gavel::server {

// What apply has come to.
struct AppliedLeases {
  raft::EntryId last;    // The last entry applied.
  int64_t clock_ms = 0;  // The lease clock after it.
  std::span<const storage::LeaseChange> changes;
};

// For one entry: leases to be ended, by the leader of `term`.
struct LeaseExpiries {
  raft::Term term;
  int64_t now_ms = 0;
  std::vector<DueLease> leases;
};

// A lease in an entry under way is *expiring*. Whether it ends is decided when the entry is
// applied; what then lives on is looked at anew, as is everything when leadership is lost.
class LeaseKeeper {
 public:
  // Bounds of what a storm of expiries puts before other work: one entry is under way at a time.
  // After one that is full the next waits for a kPausePart-th of the time that it took, up to
  // kPauseMax; after one that was dropped, for kPauseMax.
  static constexpr MonotonicNs kPausePart = 4;
  static constexpr MonotonicNs kPauseMax = 10 * kNsPerMs;
  // What an entry may end. Where entries take long, as beside much other work, the next one grows
  // with that time, so that ends keep a pace, but never beyond a bound that rises with how late the
  // longest due is: from kEntryLeasesMin at kLateMsMin to kEntryLeasesLate at kLateMsMax, and to
  // kEntryLeasesMax at twice kGoneMs from kGoneMs on. A larger entry itself takes longer, and all
  // that is written waits for it.
  static constexpr size_t kEntryLeasesMin = 48;
  static constexpr size_t kEntryLeasesLate = 112;
  static constexpr size_t kEntryLeasesMax = 512;
  static constexpr int64_t kLateMsMin = 500;
  static constexpr int64_t kLateMsMax = 2000;
  // The pace, in leases a second: what is due ends within a second, up to kPaceSteady; beyond that
  // it only has to be gone kGoneMs after it was due, up to kPaceMax.
  static constexpr int64_t kPaceSteady = 5000;
  static constexpr int64_t kPaceMax = 12000;
  static constexpr int64_t kGoneMs = 8000;
  // Leases looked at in one turn of the core.
  static constexpr size_t kTurnLeasesMax = 4096;

  // The state begins with `leases` leases, which OnFound will name, and this reading.
  LeaseKeeper(int64_t leases, int64_t clock_ms);

  // Batches come in the order of the log.
  void OnApplied(const AppliedLeases& applied);
  // Leases that a scan has found in the state, which may be older or newer than what OnApplied
  // has told. `all`: the scan is at its end.
  void OnFound(std::span<const storage::LeaseScan::Lease> found, bool all);

  // This member leads in `term`, or does not lead (any more).
  void OnRole(std::optional<raft::Term> leads_in);
  bool leads() const { return leads_in_.has_value(); }

  // Once a turn, after OnApplied. `now` is not before anything of this turn was received.
  void Look(MonotonicNs now);

  // The reading of the lease clock that goes before what this turn appends, if one is due.
  // `dating`: grants or renewals are among it.
  std::optional<int64_t> Stamp(MonotonicNs now, bool dating) const;
  void OnStamped(int64_t reading_ms) { clock_.OnStamped(reading_ms); }

  // What to end next, to be answered by OnExpiryAppended or OnExpiryDropped before the next call.
  std::optional<LeaseExpiries> Expire(MonotonicNs now);
  void OnExpiryAppended(raft::EntryId entry);
  void OnExpiryDropped();

  // Something is to be done soon even if nothing happens.
  bool busy() const { return !walked_ || MayExpire(); }
  // When Expire has something to say at the earliest, if all stays as it is.
  std::optional<MonotonicNs> NextExpiry() const;
  size_t size() const { return table_.size(); }
  std::optional<KeptLease> Find(int64_t id) const { return table_.Find(id); }

 private:
  struct UnderWay {
    std::vector<int64_t> ids;
    MonotonicNs began = 0;
    int64_t now_ms = 0;                // The reading in it.
    bool full = false;                 // More may have been due.
    std::optional<raft::Index> index;  // Once it is appended.
    bool applied = false;              // Look, which knows the time, ends it.
  };

  void Take(const storage::LeaseChange& change);
  void SetIfNewer(int64_t id, const storage::LeaseRow& row);
  void GiveBack();
  bool MayExpire() const;
  // How many leases the next entry may end.
  size_t EntryLeases(MonotonicNs now) const;
  static size_t EntryBound(int64_t late_ms);

  LeaseClock clock_;
  LeaseTable table_;
  raft::EntryId applied_;
  std::optional<raft::Term> leads_in_;
  std::optional<UnderWay> under_way_;
  MonotonicNs next_expiry_ = 0;
  std::optional<MonotonicNs> full_began_;  // The last entry, if it was full.
  bool walked_ = true;                     // Nothing past is left to look at.

  // Until all leases are found: what ended meanwhile, by its last renewal.
  bool finding_;
  absl::flat_hash_map<int64_t, raft::Index> ended_;  // Never iterated.
};

}  // namespace gavel::server
