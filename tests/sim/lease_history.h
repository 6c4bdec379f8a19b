// What holders of leases were told, and the check that the committed log bears it out.
//
// The names E1 to E5 are those of what is checked: a lease does not end early, a renewal holds,
// an end is not late, and what is said of a lease is true.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "proto/etcdserverpb/lease.pb.h"
#include "proto/internal/command.pb.h"
#include "tests/storage/mvcc/model.h"

namespace gavel::sim {

// A renewal on a stream. Times are the world's; entries count the committed log.
struct RenewalRecord {
  int64_t id = 0;
  int64_t sent_at = 0;
  uint64_t committed_before = 0;  // When it was sent.
  bool answered = false;
  int64_t ttl_seconds = 0;       // As answered.
  uint64_t committed_after = 0;  // When it was answered.
};

// A question about one lease, or about all.
struct LeaseQuestion {
  int64_t id = 0;  // 0: which leases there are.
  bool keys = false;
  uint64_t committed_before = 0;  // 0 for those that any state may answer.
  uint64_t committed_after = 0;
  etcdserverpb::LeaseTimeToLiveResponse about_one;
  etcdserverpb::LeaseLeasesResponse about_all;
};

class LeaseHistory {
 public:
  struct Surroundings {
    // When each entry was committed, by index - 1.
    const std::vector<int64_t>* committed_at = nullptr;
    // When some stage of some member was held up: from, until; by their beginnings. May be null.
    const std::vector<std::pair<int64_t, int64_t>>* slow_times = nullptr;
    int64_t ended_at = 0;  // When the run ended.
    // How fast and slow the members' clocks are, in parts of a million.
    int64_t fastest_ppm = 1'000'000;
    int64_t slowest_ppm = 1'000'000;
    // What one turn of a stage may take, where all goes well.
    int64_t turn = 0;
    // When the write of that number was sent.
    std::function<int64_t(uint64_t number)> sent_at;
    std::function<void(const char*)> sometimes;
  };
  LeaseHistory(const std::vector<RenewalRecord>& renewals,
               const std::vector<LeaseQuestion>& questions, Surroundings surroundings);

  // The entry `index` of the committed log, as the model has carried it out.
  void OnEntry(uint64_t index, uint64_t term, const internal::Command& command,
               const testing::ModelOutcome& outcome, const testing::Model& after);
  void OnEnd();

  const std::optional<std::string>& violation() const { return violation_; }
  uint64_t renewals_checked() const { return renewals_checked_; }
  uint64_t leases() const { return leases_; }
  uint64_t expired() const { return expired_; }

 private:
  struct Live {
    int64_t ttl_seconds = 0;
    uint64_t renewed = 0;    // Index of the entry that did it last.
    int64_t not_before = 0;  // It does not end before.
    int64_t deadline_ms = 0;
  };

  void Fail(const std::string& what) {
    if (!violation_) violation_ = what;
  }
  int64_t CommittedAt(uint64_t index) const { return (*s_.committed_at)[index - 1]; }
  void Renew(uint64_t index, const internal::RenewLeases& command,
             const storage::RenewOutcome& outcome, const testing::Model& after);
  void Expire(uint64_t index, const internal::ExpireLeases& command, const testing::Model& after);
  // How long, between two moments, some stage was held up, and made up for it.
  int64_t HeldUp(int64_t from, int64_t until) const;
  void CheckEnd(int64_t id, const Live& lease, int64_t ended_at, bool ended);
  void Answer(uint64_t index, const testing::Model& model);
  bool RowIsTrue(const LeaseQuestion& question, const testing::Model& model) const;
  bool KeysAreTrue(const LeaseQuestion& question, const testing::Model& model) const;

  const std::vector<RenewalRecord>& renewals_;
  const std::vector<LeaseQuestion>& questions_;
  const Surroundings s_;
  std::map<int64_t, std::vector<size_t>> renewals_of_;  // Answered ones, by lease.
  std::vector<bool> found_;                             // Those whose entry has been seen.
  std::multimap<int64_t, size_t> questions_at_;         // By the revision of their answer.
  std::vector<size_t> asked_;                           // Those whose revision has been reached.
  std::vector<bool> row_true_;                          // Questions, but for the keys.
  std::vector<bool> explained_;
  std::map<int64_t, Live> live_;
  std::vector<std::pair<int64_t, uint64_t>> terms_;  // When each term's first entry committed.
  uint64_t renewals_checked_ = 0;
  uint64_t leases_ = 0;
  uint64_t expired_ = 0;
  std::optional<std::string> violation_;
};

}  // namespace gavel::sim
