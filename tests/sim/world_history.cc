// After the run: what clients saw is compared with the log that was committed.
#include <algorithm>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tests/sim/history.h"
#include "tests/sim/lease_clients.h"
#include "tests/sim/lease_history.h"
#include "tests/sim/watch_clients.h"
#include "tests/sim/watch_history.h"
#include "tests/sim/workload.h"
#include "tests/sim/world.h"

namespace gavel::sim {
namespace {

class Replayed final : public ReplayObserver {
 public:
  Replayed(WatchClients& watches, LeaseHistory& leases) : watches_(watches), leases_(leases) {}

  void OnEntry(uint64_t index, uint64_t term, const internal::Command& command,
               const testing::ModelOutcome& outcome, const testing::Model& after) override {
    leases_.OnEntry(index, term, command, outcome, after);
    if (command.has_compact() && outcome.error == storage::RequestError::kNone) {
      compactions_.push_back(command.compact().revision());
    }
  }
  void OnEnd(const testing::Model& model) override {
    WatchHistory history(model);
    history.SetCompactions(std::move(compactions_));
    violation_ = watches_.Check(history);
    leases_.OnEnd();
    if (!violation_) violation_ = leases_.violation();
  }
  const std::optional<std::string>& violation() const { return violation_; }

 private:
  WatchClients& watches_;
  LeaseHistory& leases_;
  std::vector<int64_t> compactions_;
  std::optional<std::string> violation_;
};

}  // namespace

void World::CheckHistories() {
  std::vector<raft::Payload> log;
  std::vector<uint64_t> terms;
  for (uint64_t i = 1; i <= ledger_->committed().value(); ++i) {
    const raft::Entry entry = ledger_->CommittedEntry(raft::Index(i));
    log.push_back(ledger_->CommittedPayload(raft::Index(i)));
    terms.push_back(entry.term.value());
  }
  std::unordered_map<uint64_t, int64_t> sent_at;
  for (const Operation& operation : workload_->operations()) {
    if (operation.write) sent_at[operation.number] = operation.start;
  }
  const auto [slowest, fastest] =
      std::minmax_element(plan_.clock_rates_ppm.begin(), plan_.clock_rates_ppm.end());
  LeaseHistory leases(
      lease_clients_->renewals(), lease_clients_->questions(),
      {.committed_at = &committed_at_,
       .slow_times = &slow_times_,
       .ended_at = now_,
       .fastest_ppm = *fastest,
       .slowest_ppm = *slowest,
       .turn = plan_.stage_latency_max + plan_.sync_latency_max + plan_.network.SlowestDelay(),
       .sent_at = [&](uint64_t number) { return sent_at[number]; },
       .sometimes = [this](const char* state) { Sometimes(state); }});
  Replayed replayed(*watch_clients_, leases);
  const HistoryResult history = CheckHistory(workload_->operations(), log, terms, &replayed);
  figures_.writes = history.writes;
  figures_.reads = history.reads;
  figures_.unknown_writes = history.unknown;
  if (history.unknown_present > 0) Sometimes("a write of unknown outcome was carried out");
  if (!history.violations.empty()) return Fail(history.violations[0]);
  figures_.leases = leases.leases();
  figures_.leases_expired = leases.expired();
  figures_.renewals = leases.renewals_checked();
  if (replayed.violation()) Fail(*replayed.violation());
}

}  // namespace gavel::sim
