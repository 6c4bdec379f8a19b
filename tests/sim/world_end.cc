// After the faults: everything must come together again within a bound.
#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "proto/etcdserverpb/maintenance.pb.h"
#include "tests/sim/lease_clients.h"
#include "tests/sim/random_streams.h"
#include "tests/sim/watch_clients.h"
#include "tests/sim/workload.h"
#include "tests/sim/world.h"

namespace gavel::sim {

using server::kNsPerMs;
using server::kNsPerSecond;

namespace {

// Election timeouts are at most a second; ten of them, and time to catch up. The longest seen is a
// fifth of this.
constexpr int64_t kBound = 20 * kNsPerSecond;

}  // namespace

void World::HealAmong(const std::vector<int>& core) {
  for (const int i : core) {
    Machine& machine = this->machine(i);
    if (machine.impostor) EndImpostor(i);
    machine.paused_until = std::min(machine.paused_until, now_);
    machine.log_slow_until = 0;
    // What has struck already may still show.
    machine.disk->Disarm();
    MendSector(machine);
    machine.armed = false;
    machine.disk->SetUnlimitedSpace();
    machine.slow_until = 0;
    machine.engine->SetStalled(false);
    for (StageSlot& slot : machine.slots) {
      slot.held_until = 0;
      // A write of the log that would have taken long ends.
      if (slot.ready) slot.at = std::min(slot.at, now_ + kNsPerMs);
    }
    for (const int other : core) {
      Link& link = this->link(i, other);
      const bool was_cut = link.cuts > 0;
      link.cuts = 0;
      link.clogged_until = 0;
      link.last_arrival = 0;
      if (!was_cut || !machine.up()) continue;
      machine.events.on_connected(this->machine(other).id);
    }
    if (!machine.up()) StartLater(i, kNsPerMs);
    AfterEvent(i);
  }
}

bool World::Probe(const std::vector<int>& members, int64_t until) {
  for (const int index : members) {
    auto done = std::make_shared<bool>(false);
    int64_t again = now_;
    while (!*done) {
      if (now_ >= until || over()) return false;
      if (now_ >= again) {
        again = now_ + 500 * kNsPerMs;
        current_ = index;
        workload_->Probe(index, done);
        AfterEvent(index);
      }
      RunUntil(now_ + 5 * kNsPerMs);
    }
  }
  return true;
}

std::string World::ProgressText() {
  std::string text;
  for (const auto& machine : machines_) {
    absl::StrAppend(&text, "\n  m", machine->index, ": ");
    if (!machine->up()) {
      absl::StrAppend(&text, "down");
      continue;
    }
    const raft::Status status = machine->node->core().stage().status();
    absl::StrAppend(&text, "role ", static_cast<int>(status.role), ", term ", status.term.value(),
                    ", leader ", status.leader.has_value() ? IndexOf(*status.leader) : -1,
                    ", last ", status.last.value(), ", commit ", status.commit.value(),
                    ", applied ", machine->node->gate().view()->applied.value());
  }
  return text;
}

bool World::AllEqual() {
  return std::all_of(machines_.begin(), machines_.end(), [&](const auto& machine) {
    return machine->up() && machine->node->gate().view()->applied == ledger_->committed();
  });
}

bool World::DrainWatches(int64_t until) {
  const int64_t head = machine(0).node->gate().view()->revision;
  watch_clients_->AskAll(head, /*again=*/false);
  int64_t again = now_ + kNsPerSecond;
  while (!watch_clients_->AllToldHead()) {
    if (now_ >= until || over()) return false;
    if (now_ >= again) {
      again = now_ + kNsPerSecond;
      watch_clients_->AskAll(head, /*again=*/true);
    }
    RunUntil(now_ + 20 * kNsPerMs);
  }
  return true;
}

bool World::DrainLeases(int64_t until) {
  const auto none = [this] {
    return std::all_of(machines_.begin(), machines_.end(), [](const auto& machine) {
      return machine->up() && machine->node->core().leases().keeper().size() == 0;
    });
  };
  while (!none()) {
    if (now_ >= until || over()) return false;
    RunUntil(now_ + 50 * kNsPerMs);
  }
  return true;
}

// H1: the keys of all members are the same.
void World::CompareHashes() {
  // Leases go on to end, on one member sooner than on another: what all have is compared.
  int64_t everywhere = INT64_MAX;
  for (const auto& machine : machines_) {
    everywhere = std::min(everywhere, machine->node->gate().view()->revision);
  }
  etcdserverpb::HashKVRequest request;
  request.set_revision(everywhere);
  auto hashes = std::make_shared<std::vector<std::string>>();
  for (int i = 0; i < size(); ++i) {
    current_ = i;
    Call(i, "/etcdserverpb.Maintenance/HashKV", 0, request.SerializeAsString(), 5 * kNsPerSecond,
         [hashes](const server::RpcStatus& status, const std::string& bytes) {
           etcdserverpb::HashKVResponse response;
           if (!status.ok()) hashes->push_back(status.message);
           if (!status.ok() || !response.ParseFromString(bytes)) return;
           hashes->push_back(absl::StrCat(response.hash(), " ", response.compact_revision()));
         });
    AfterEvent(i);
  }
  RunUntil(now_ + kNsPerSecond);
  if (over()) return;
  if (hashes->size() != machines_.size() ||
      std::count(hashes->begin(), hashes->end(), hashes->front()) !=
          static_cast<std::ptrdiff_t>(size())) {
    Fail(absl::StrCat("H1: HashKV differs between members that have applied the same: ",
                      absl::StrJoin(*hashes, ", "), " at ", request.revision()));
  }
}

// Whether no member has a higher --leader-priority.
bool World::MayLead(raft::NodeId leader) const {
  const std::vector<uint32_t>& all = plan_.leader_priorities;
  return all[static_cast<size_t>(IndexOf(leader))] == *std::max_element(all.begin(), all.end());
}

// What still waits somewhere, or nothing.
std::string World::Unrest() {
  std::optional<raft::Status> first;
  for (const auto& machine : machines_) {
    if (!machine->up()) return absl::StrCat("m", machine->index, " is down");
    server::Node& node = *machine->node;
    const raft::Status status = node.core().stage().status();
    if (!first.has_value()) first = status;
    const auto due = node.queues().background.NextDue();
    const char* const waits =
        !status.leader.has_value() || status.leader != first->leader || status.term != first->term
            ? "no leader that all agree on"
        : !node.queues().core.empty()                     ? "inputs of the core"
        : !node.queues().log.empty()                      ? "batches of the log"
        : !node.queues().apply.empty()                    ? "inputs of apply"
        : due.has_value() && *due <= machine->clock.Now() ? "background jobs"
        : node.gate().pending_proposals() > 0             ? "proposals"
        : machine->engine->has_pending_flushes()          ? "flushes"
                                                          : nullptr;
    if (waits != nullptr) return absl::StrCat("m", machine->index, " has ", waits);
    if (!MayLead(*status.leader)) return "a leader that is not to lead";
    for (const raft::PeerProgress& peer : status.peers) {
      if (peer.inflight_messages > 0) {
        return absl::StrCat("m", machine->index, " has appends under way");
      }
    }
  }
  return "";
}

void World::CheckRest() {
  const int64_t until = now_ + kBound;
  std::string unrest;
  // Heartbeats and what members do by themselves are seldom under way.
  while (!(unrest = Unrest()).empty()) {
    if (over()) return;
    if (now_ >= until) {
      return Fail(absl::StrCat("V5: nobody asks for anything, but ", unrest, ProgressText()));
    }
    RunUntil(now_ + kNsPerMs);
  }
  const raft::Status before = machine(0).node->core().stage().status();
  RunUntil(now_ + 3 * plan_.election_timeout);
  if (over()) return;
  for (const auto& machine : machines_) {
    if (!machine->up()) return Fail(absl::StrCat("V1: m", machine->index, " has stopped"));
    const raft::Status status = machine->node->core().stage().status();
    if (status.term == before.term && status.leader == before.leader) continue;
    return Fail(absl::StrCat("V1: nothing fails, but the leader of term ", before.term.value(),
                             " has not stayed", ProgressText()));
  }
}

void World::Converge() {
  faults_on_ = false;
  workload_->Stop();
  watch_clients_->Stop();
  lease_clients_->Stop();
  // A quorum that can talk, while the others stay as they are and cannot reach it.
  raft::Random random = Stream(plan_.seed, "end");
  std::vector<int> all;
  for (int i = 0; i < size(); ++i) all.push_back(i);
  std::vector<int> core = all;
  for (size_t i = core.size(); i > 1; --i) std::swap(core[i - 1], core[random.Below(i)]);
  core.resize(static_cast<size_t>(size()) / 2 + 1);
  for (const int i : all) {
    if (std::count(core.begin(), core.end(), i) > 0) continue;
    for (const int j : core) {
      SetCut(i, j, true);
      SetCut(j, i, true);
    }
  }
  // What takes longest, for the figures; milliseconds.
  const auto note = [this](const char* what, int64_t since) {
    uint64_t& longest = figures_.longest[what];
    longest = std::max(longest, static_cast<uint64_t>((now_ - since) / kNsPerMs));
  };
  const int64_t healed = now_;
  HealAmong(core);
  if (!Probe(core, now_ + kBound) && !over()) {
    return Fail(absl::StrCat("V1: a healed quorum takes no writes", ProgressText()));
  }
  note("ms until a quorum takes writes", healed);
  const int64_t all_healed = now_;
  HealAmong(all);
  if (!Probe(all, now_ + kBound) && !over()) {
    return Fail(absl::StrCat("V2: a healed cluster takes no writes everywhere", ProgressText()));
  }
  note("ms until all take writes", all_healed);
  for (int restart = 0; restart < 2 && !over(); ++restart) {
    const int64_t began = now_;
    const int64_t until = now_ + kBound;
    while (!AllEqual()) {
      if (over()) return;
      if (now_ >= until) {
        return Fail(absl::StrCat("V2: members do not catch up with ", ledger_->committed().value(),
                                 ProgressText()));
      }
      RunUntil(now_ + 20 * kNsPerMs);
    }
    note("ms until all have caught up", began);
    const int64_t asked = now_;
    if (!DrainWatches(now_ + kBound) && !over()) {
      return Fail(absl::StrCat("V3: watchers are not told everything:", watch_clients_->Missing(),
                               ProgressText()));
    }
    note("ms until all watchers were told all", asked);
    CompareHashes();
    if (over()) return;
    // Before the restart too: it makes every member find its leases anew.
    if (restart > 0 || random.OneIn(2)) {
      const int64_t waited = now_;
      if (!DrainLeases(now_ + kBound) && !over()) {
        return Fail(absl::StrCat("E3: leases that nobody renews do not end", ProgressText()));
      }
      note("ms until all leases had ended", waited);
    }
    if (over()) return;
    if (restart > 0) return CheckRest();
    for (const int i : all) {
      Down(i, testing::CrashMode::kLoseAll);
      StartLater(i, kNsPerMs);
    }
    RunUntil(now_ + 10 * kNsPerMs);
    if (!Probe(all, now_ + kBound) && !over()) {
      return Fail(absl::StrCat("V2: no writes after a restart of all", ProgressText()));
    }
  }
}

}  // namespace gavel::sim
