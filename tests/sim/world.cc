#include "tests/sim/world.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

#include "server/node/cluster_ids.h"
#include "tests/sim/client_streams.h"
#include "tests/sim/lease_clients.h"
#include "tests/sim/random_streams.h"
#include "tests/sim/scripts.h"
#include "tests/sim/watch_clients.h"
#include "tests/sim/workload.h"

namespace gavel::sim {
namespace {

using server::kNsPerMs;
using server::kNsPerSecond;

constexpr char kToken[] = "sim";
// Such that leadership has come to rest within the bounds of world_end.cc.
constexpr int64_t kPriorityWait = kNsPerSecond;

}  // namespace

void Figures::Add(const Figures& other) {
  simulated_ns += other.simulated_ns;
  for (const auto count : kFigureCounts) this->*count += other.*count;
  for (const auto& [name, count] : other.faults) faults[name] += count;
  for (const auto& [name, count] : other.sometimes) sometimes[name] += count;
  for (const auto& [name, length] : other.longest) {
    longest[name] = std::max(longest[name], length);
  }
}

World::World(Plan plan) : plan_(std::move(plan)) {
  logger_ = server::NullLogger();
  server::MemberPlace& place = options_.place;
  place.token = kToken;
  place.data_dir = "/data";
  place.wal_segment_bytes = plan_.wal_segment_bytes;
  for (int i = 0; i < plan_.members; ++i) {
    auto urls = server::ParseUrls(absl::StrCat("http://127.0.0.1:", 2380 + i));
    place.initial_cluster.push_back({absl::StrCat("m", i), *urls});
  }
  options_.heartbeat_interval = plan_.heartbeat;
  options_.election_timeout = plan_.election_timeout;
  options_.leader_priority_wait = kPriorityWait;
  options_.append_bytes_max = plan_.append_bytes_max;
  options_.gate.apply_backlog_entries_max = plan_.backlog_entries_max;
  options_.gate.pending_bytes_max = plan_.pending_bytes_max;
  options_.apply_limits.batch_entries_max = plan_.batch_entries_max;
  options_.apply.flush.entries_max = plan_.flush_entries;
  options_.apply.flush.age_max = 20 * kNsPerSecond;
  options_.apply.catchup_entries = plan_.catchup_entries;
  options_.apply.lag.entries_max = plan_.lag_entries_max;
  options_.recent_bytes_max = plan_.recent_bytes_max;
  options_.watch.progress_interval = plan_.watch_progress_interval;
  options_.watch.recent_bytes_max = plan_.watch_recent_bytes_max;
  options_.watch.catch_up_rows = plan_.watch_catch_up_rows;
  options_.watch.undelivered_bytes_max = plan_.watch_undelivered_bytes_max;
  options_.place.state.lease_renewals_max = plan_.lease_renewals_max;
  options_.place.state.lease_cache_rows_max = plan_.lease_cache_rows_max;
  options_.place.state.lease_key_cache_bytes_max = 64 * plan_.lease_cache_rows_max;
  options_.place.state.count_part_keys = 1;  // Keys are few.
  std::vector<raft::NodeId> ids;
  std::vector<const WalWatch*> watches;
  for (int i = 0; i < plan_.members; ++i) {
    auto machine = std::make_unique<Machine>(plan_.seed, i, now_,
                                             plan_.clock_rates_ppm[static_cast<size_t>(i)]);
    machine->id = server::MemberIdOf(
        server::UrlTexts(place.initial_cluster[static_cast<size_t>(i)].peer_urls), kToken);
    machine->heard.assign(static_cast<size_t>(plan_.members), 0);
    ids.push_back(machine->id);
    watches.push_back(&machine->watch);
    machines_.push_back(std::move(machine));
  }
  for (uint64_t i = 0; i < machines_.size() * machines_.size(); ++i) {
    links_.push_back({.random = Stream(plan_.seed, "network", i)});
  }
  ledger_ = std::make_unique<Ledger>(ids, watches, [this](const std::string& text) { Fail(text); });
  workload_ = std::make_unique<Workload>(*this);
  client_streams_ = std::make_unique<ClientStreams>(*this);
  watch_clients_ = std::make_unique<WatchClients>(*this);
  lease_clients_ = std::make_unique<LeaseClients>(*this, *workload_);
  SetPointHandler(this);
}

World::~World() {
  SetPointHandler(nullptr);
  // Nodes before what they use; what is queued may hold on to both.
  streams_.clear();
  client_streams_->Clear();
  for (auto& machine : machines_) {
    machine->node.reset();
    machine->services.reset();
  }
}

void World::At(int64_t at, EventKind kind, int node, std::function<void()> work) {
  uint32_t slot = 0;
  if (free_.empty()) {
    slot = static_cast<uint32_t>(work_.size());
    work_.emplace_back();
  } else {
    slot = free_.back();
    free_.pop_back();
  }
  work_[slot] = {kind, node, std::move(work)};
  due_.push({std::max(at, now_), ++order_, slot});
}

void World::Record(EventKind kind, int node, uint64_t a, uint64_t b, const char* text) {
  trace_.Add({now_, kind, node, a, b, text});
  if (auto difference = trace_.Difference(/*ended=*/false)) Fail(*std::move(difference));
}

void World::Fail(const std::string& violation) {
  if (!violation_.has_value()) violation_ = violation;
}

bool World::Step(int64_t until) {
  Machine* next = nullptr;
  auto stage = Stage::kCore;
  int64_t at = kNever;
  for (auto& machine : machines_) {
    if (!machine->up()) continue;
    for (int s = 0; s < kStages; ++s) {
      const int64_t due =
          std::max(machine->slots[static_cast<size_t>(s)].at, machine->paused_until);
      if (due < at) {
        at = due;
        next = machine.get();
        stage = static_cast<Stage>(s);
      }
    }
  }
  const bool other = !due_.empty() && due_.top().at <= at;
  if (other) at = due_.top().at;
  if (at > until) {
    now_ = std::max(now_, until);
    return false;
  }
  now_ = std::max(now_, at);
  ++figures_.events;
  if (other) {
    const uint32_t slot = due_.top().slot;
    due_.pop();
    Work work = std::move(work_[slot]);
    work_[slot].run = nullptr;
    free_.push_back(slot);
    current_ = work.node;
    work.run();
    if (work.node >= 0) AfterEvent(work.node);
  } else {
    current_ = next->index;
    RunStage(*next, stage);
    AfterEvent(next->index);
  }
  current_ = -1;
  stage_.reset();
  return !failed();
}

void World::RunUntil(int64_t until) {
  until = std::min(until, until_);
  while (!failed() && Step(until)) {
  }
}

void World::RunStage(Machine& machine, Stage stage) {
  StageSlot& slot = machine.slots[static_cast<size_t>(stage)];
  slot.ready = false;
  slot.at = kNever;
  server::Node& node = *machine.node;
  bool again = false;
  stage_ = stage;
  switch (stage) {
    case Stage::kCore:
      if (node.RunCore()) CheckCore(machine);
      break;
    case Stage::kLog:
      if (!node.RunLog()) break;
      Record(EventKind::kLog, machine.index, machine.watch.last().index.value(),
             machine.watch.hard_state().term.value());
      break;
    case Stage::kApply:
      again = node.RunApply();
      CheckApplied(machine);
      break;
    case Stage::kBackground:
      again = node.RunBackground();
      break;
    case Stage::kFlush:
      machine.engine->RunPendingFlushes();
      Record(EventKind::kFlush, machine.index, 0, 0);
      break;
  }
  if (again) {
    slot.ready = true;
    const int64_t times = now_ < machine.slow_until ? machine.slow_times : 1;
    slot.at = now_ + 1 +
              times * static_cast<int64_t>(machine.stage_random.Below(
                          static_cast<uint64_t>(plan_.stage_latency_max)));
  }
}

void World::RunBeside(Machine& machine) {
  if (beside_) return;
  const std::optional<Stage> outer = stage_;
  // An I/O thread, or a stage but the one that is at the point.
  const uint64_t other = machine.point_random.Below(kStages);
  beside_ = true;
  if (!outer.has_value()) {
    Sometimes("a stage ran while watchers were being told");
    RunStage(machine, static_cast<Stage>(other));
  } else if (other == static_cast<uint64_t>(*outer)) {
    if (client_streams_->RunBeside(machine.index)) Sometimes("an I/O thread ran beside a stage");
  } else {
    Sometimes("two stages of a member ran at once");
    RunStage(machine, static_cast<Stage>(other));
  }
  beside_ = false;
  stage_ = outer;
}

void World::AfterEvent(int index) {
  Machine& machine = this->machine(index);
  if (!machine.up()) return;
  if (machine.must_die || machine.disk->crashed()) {
    Sometimes(machine.must_die ? "crash at a point" : "crash between disk operations");
    const testing::CrashMode mode = AnyCrashMode(machine.crash_random);
    Down(index, mode);
    StartLater(index, static_cast<int64_t>(machine.crash_random.Below(3 * kNsPerSecond)));
    return;
  }
  if (machine.must_restart) {
    Down(index, testing::CrashMode::kKeepAll);
    StartLater(index, static_cast<int64_t>(machine.crash_random.Below(100 * kNsPerMs)));
    return;
  }
  if (!machine.failure.ok()) {
    if (!machine.failing() || !ComesFromTheDisk(machine.failure)) {
      return Fail(absl::StrCat("m", index,
                               machine.failing() ? " stopped" : " stopped on a sound disk", ": ",
                               machine.failure.ToString()));
    }
    Sometimes("a member stopped because of its disk");
    if (!machine.engine->health().ok()) Sometimes("a member stopped because of its engine");
    const bool power = machine.crash_random.OneIn(2);
    Down(index, power ? AnyCrashMode(machine.crash_random) : testing::CrashMode::kKeepAll);
    StartLater(index, static_cast<int64_t>(machine.crash_random.Below(2 * kNsPerSecond)));
    return;
  }
  CheckQueues(machine);
  Touch(machine);
}

void World::Touch(Machine& machine) {
  server::Queues& queues = machine.node->queues();
  const auto set = [&](Stage stage, bool waits, int64_t timer, int64_t latency_min,
                       int64_t latency_max) {
    StageSlot& slot = machine.slots[static_cast<size_t>(stage)];
    if (slot.ready) return;
    if (!waits) {
      slot.at = timer;
      return;
    }
    slot.ready = true;
    const int64_t latency =
        latency_min + static_cast<int64_t>(machine.stage_random.Below(
                          static_cast<uint64_t>(latency_max - latency_min + 1)));
    slot.at = std::max(now_, slot.held_until) + latency;
  };
  const auto timer = [&](server::MonotonicNs local) {
    return local == 0 ? kNever : std::max(now_ + 1, machine.clock.WorldAt(local));
  };
  const int64_t latency =
      plan_.stage_latency_max * (now_ < machine.slow_until ? machine.slow_times : 1);
  set(Stage::kCore, !queues.core.empty(), timer(machine.node->core().NextWake()), 1, latency);
  int64_t sync_min = plan_.sync_latency_min;
  int64_t sync_max = plan_.sync_latency_max;
  if (now_ < machine.log_slow_until) {
    sync_min = machine.log_slow_by / 2;
    sync_max = machine.log_slow_by;
  }
  set(Stage::kLog, !queues.log.empty(), timer(machine.node->log().NextMark()), sync_min, sync_max);
  set(Stage::kApply, !queues.apply.empty(), timer(machine.node->apply().NextWake()), 1, latency);
  const auto due = queues.background.NextDue();
  const bool waits = due.has_value() && *due <= machine.clock.Now();
  set(Stage::kBackground, waits, due.has_value() ? timer(*due) : kNever, 1, 2 * latency);
  set(Stage::kFlush, machine.engine->has_pending_flushes(), kNever, 1, latency + 200 * kNsPerMs);
}

void World::OnPoint(const char* name) {
  if (current_ >= 0 && at_point_) at_point_(current_, name);
  if (current_ < 0 || !faults_on_ || plan_.point_share == 0) return;
  if (!machine(current_).up() && !starting_) return;
  const auto known = hot_points_.find(std::string_view(name));
  bool hot = false;
  if (known == hot_points_.end()) {
    hot = Stream(plan_.seed, name).OneIn(plan_.point_share);
    hot_points_.emplace(name, hot);
  } else {
    hot = known->second;
  }
  if (!hot || impostor_about()) return;
  Machine& machine = this->machine(current_);
  if (machine.must_die) return;
  // That two threads run at once is no fault, and may come often.
  if (!starting_ && machine.point_random.OneIn(1 + plan_.point_chance / 8))
    return RunBeside(machine);
  if (now_ < machine.next_point_fault || !machine.point_random.OneIn(plan_.point_chance)) return;
  // Who starts has no stages yet that could stand still.
  uint64_t what = machine.point_random.Below(5);
  if (starting_ && what < 4) what = 0;
  const auto how_long = static_cast<int64_t>(machine.point_random.Below(3 * kNsPerSecond));
  Record(EventKind::kPoint, current_, what, 0, name);
  ++figures_.faults["at a point"];
  slow_times_.emplace_back(now_, now_ + how_long);
  machine.next_point_fault =
      now_ + static_cast<int64_t>(machine.point_random.Below(2 * kNsPerSecond));
  if (what <= 1) {
    // Nothing of this event may leave the machine from here on.
    machine.must_die = true;
    machine.disk->CrashAfter(0);
    machine.engine->Fail(absl::InternalError("the machine has crashed"));
    if (machine.received != nullptr) {
      machine.received->Fail(absl::InternalError("the machine has crashed"));
    }
  } else if (what == 2) {
    machine.paused_until = std::max(machine.paused_until, now_ + how_long);
  } else if (what == 3) {
    const auto stage = machine.point_random.Below(kStages);
    machine.slots[stage].held_until = now_ + how_long / 4;
  } else {
    FailDiskNow(machine, how_long);
  }
}

std::optional<std::string> World::Run(const Limits& limits) {
  trace_.SetPrinting(limits.trace);
  until_ = limits.until;
  if (limits.tail != nullptr) trace_.KeepIn(*limits.tail);
  for (int i = 0; i < size(); ++i) {
    const auto when = static_cast<int64_t>(machine(i).crash_random.Below(200 * kNsPerMs));
    At(when, EventKind::kTimer, -1, [this, i] { Start(i); });
  }
  for (const Fault& fault : plan_.faults) {
    At(fault.at, EventKind::kTimer, -1, [this, fault] { Inject(fault); });
  }
  if (limits.script != nullptr) {
    RunScript(*this, *limits.script);
  } else {
    workload_->Start();
    watch_clients_->Start();
    lease_clients_->Start();
    RunUntil(plan_.duration);
  }
  if (!over()) Converge();
  figures_.simulated_ns = now_;
  figures_.entries = ledger_->committed().value();
  figures_.states_compared = ledger_->states_compared();
  NoteQueues();
  if (!failed()) CheckHistories();
  for (const auto& [state, count] : reached_) figures_.sometimes[state] += count;
  return violation_;
}

}  // namespace gavel::sim
