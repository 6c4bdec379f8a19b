// A cluster around lease keepers without the rest of it: one log, members that apply it late,
// leaders that come, pause and go, and clocks that are not the same.
//
// Promises are measured in true time, which no member knows.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "raft/random.h"
#include "server/clock.h"
#include "server/lease/lease_keeper.h"

namespace gavel::testing {

struct LeaseWorldPlan {
  uint64_t seed = 1;
  int members = 3;
  int ids = 40;               // That clients use.
  int64_t ttl_seconds = 8;    // The longest.
  uint64_t renew_one_in = 4;  // Turns of the leader.
  uint64_t lose_leader_one_in = 300;
  bool restarts = true;
};

class LeaseWorld {
 public:
  explicit LeaseWorld(const LeaseWorldPlan& plan);

  // Lets turns of all members pass.
  void Run(int turns);
  // Grants `count` leases at once.
  void GrantMany(int count, int64_t ttl_seconds);
  // No leader is lost and no client comes from here on.
  void Calm() { calm_ = true; }

  const std::vector<std::string>& failures() const { return failures_; }
  size_t leases() const { return rows_.size(); }
  uint64_t expired() const { return expired_; }
  uint64_t voided() const { return voided_; }
  uint64_t terms() const { return term_.value(); }
  server::MonotonicNs now() const { return now_; }
  // Lets everything be applied, and compares what keepers know with the leases that there are.
  void CheckTables();

 private:
  using Rows = std::map<int64_t, storage::LeaseRow>;
  struct Entry {
    enum class Kind { kEmpty, kClock, kGrant, kRenew, kRevoke, kExpire };
    Kind kind = Kind::kEmpty;
    raft::Term term = {};
    int64_t id = 0;
    int64_t ttl_seconds = 0;
    int64_t now_ms = 0;
    server::LeaseExpiries expiries = {};
    server::MonotonicNs came = 0;    // True time: when the request reached the leader.
    server::MonotonicNs gained = 0;  // gained_ at that time.
  };
  // What applying a committed entry did.
  struct Applied {
    raft::EntryId entry;
    int64_t clock_ms = 0;
    std::vector<storage::LeaseChange> changes;
  };
  struct Found {
    std::vector<storage::LeaseScan::Lease> leases;
    bool all = false;
  };
  struct Member {
    std::unique_ptr<server::LeaseKeeper> keeper;
    int64_t rate_ppm = 0;  // How much faster than true time its clock goes.
    server::MonotonicNs offset = 0;
    uint64_t applied = 0;  // Entries, by its state machine.
    Rows rows;             // Of its state machine.
    std::deque<std::variant<Applied, Found>> inbox;
    std::optional<int64_t> scan_at;  // The id at which the scan goes on.
    std::optional<raft::Term> believes;
  };
  // What is promised for a lease.
  struct Promise {
    server::MonotonicNs came = 0;
    server::MonotonicNs gained = 0;
  };

  server::MonotonicNs Clock(const Member& member) const;
  static void Tell(Member& member);
  void Turn(size_t index);
  void Requests(std::vector<Entry>* requests);
  void LeadersTurn(size_t index, std::vector<Entry> requests, server::MonotonicNs clock);
  uint64_t Append(size_t index, Entry entry);
  void ChangeLeader();
  void Commit(uint64_t upto);
  Applied Apply(const Entry& entry);
  void Set(Applied& applied, const Entry& entry, storage::LeaseChange::Kind kind);
  void End(Applied& applied, int64_t id, storage::LeaseChange::Kind kind);
  void CheckEnd(int64_t id, const storage::LeaseRow& row, const Entry& entry);
  void ApplySome(Member& member, uint64_t entries_max);
  void ScanOn(Member& member);
  void Restart(Member& member);
  void Fail(std::string what);

  const LeaseWorldPlan plan_;
  raft::Random random_;
  server::MonotonicNs now_ = 0;  // True time.
  std::vector<Member> members_;
  bool calm_ = false;

  std::vector<Entry> log_;
  uint64_t committed_ = 0;
  std::vector<Applied> applied_;  // For each committed entry.
  raft::Term term_;
  std::optional<size_t> leader_;
  server::MonotonicNs last_led_ = 0;  // When the last leader had its last turn.
  server::MonotonicNs leaderless_until_ = 0;
  bool began_ = false;  // The leader's lease clock runs.

  // The state.
  Rows rows_;
  int64_t clock_ms_ = 0;
  std::map<int64_t, Promise> promises_;
  // By how much leases may have been prolonged since the beginning.
  server::MonotonicNs gained_ = 0;
  std::vector<Entry> waiting_;  // Requests of GrantMany.
  int64_t next_id_ = 1000000;

  uint64_t expired_ = 0;
  uint64_t voided_ = 0;
  std::vector<std::string> failures_;
};

}  // namespace gavel::testing
