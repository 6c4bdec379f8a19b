#include "tests/sim/plan.h"

#include <algorithm>
#include <array>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "server/clock.h"
#include "server/node/lag_bound.h"
#include "tests/sim/random_streams.h"

namespace gavel::sim {
namespace {

using server::kNsPerMs;
using server::kNsPerSecond;

constexpr std::array<std::string_view, kFaultKinds> kNames = {
    "crash",     "crash-in-disk", "crash-all",     "stop",         "pause",        "isolate",
    "halves",    "one-way",       "bridge",        "flap",         "clog",         "wall-jump",
    "fail-sync", "fail-write",    "fail-read",     "full-disk",    "slow-disk",    "engine-stall",
    "bit-flip",  "wiped-disk",    "old-image",     "hand-over",    "crash-quorum", "slow-process",
    "ring",      "swizzle",       "fail-dir-sync", "engine-fails", "bad-sector"};

// Mean time between faults of a kind when it is on, and how long one lasts.
struct Rhythm {
  int64_t every_ms;
  int64_t lasts_min_ms;
  int64_t lasts_max_ms;
};

Rhythm RhythmOf(FaultKind kind) {
  switch (kind) {
    case FaultKind::kCrash:
    case FaultKind::kCrashInDisk:
      return {6000, 1, 5000};
    case FaultKind::kCrashAll:
    case FaultKind::kCrashQuorum:
      return {20000, 1, 3000};
    case FaultKind::kStop:
      return {15000, 1, 2000};
    case FaultKind::kPause:
      return {8000, 5, 6000};
    case FaultKind::kIsolate:
    case FaultKind::kHalves:
    case FaultKind::kOneWay:
    case FaultKind::kBridge:
    case FaultKind::kRing:
    case FaultKind::kSwizzle:
    case FaultKind::kSlowProcess:
      return {10000, 50, 8000};
    case FaultKind::kFlap:
    case FaultKind::kClog:
      return {8000, 50, 4000};
    case FaultKind::kFailSync:
    case FaultKind::kFailWrite:
    case FaultKind::kFailRead:
    case FaultKind::kFailDirSync:
      return {12000, 1, 3000};
    case FaultKind::kFullDisk:
      return {15000, 500, 8000};
    case FaultKind::kSlowDisk:
      return {10000, 100, 30000};
    case FaultKind::kEngineStall:
      return {8000, 10, 3000};
    case FaultKind::kEngineFails:
      return {15000, 1, 1};
    case FaultKind::kBadSector:
      return {15000, 100, 10000};
    case FaultKind::kBitFlip:
      return {12000, 500, 4000};
    case FaultKind::kWipedDisk:
    case FaultKind::kOldImage:
      return {15000, 3000, 8000};
    case FaultKind::kHandOver:
      return {6000, 1, 1};
    default:
      return {10000, 1, 1000};
  }
}

// A number whose logarithm is uniform in [low, high].
uint64_t Scaled(raft::Random& random, uint64_t low, uint64_t high) {
  uint64_t steps = 0;
  for (uint64_t value = low; value < high; value *= 2) ++steps;
  const uint64_t at = low << random.Below(steps + 1);
  return std::min(high, at + random.Below(at + 1));
}

int64_t ScaledTime(raft::Random& random, int64_t low, int64_t high) {
  return static_cast<int64_t>(
      Scaled(random, static_cast<uint64_t>(low), static_cast<uint64_t>(high)));
}

NetworkPlan MakeNetwork(uint64_t seed) {
  raft::Random random = Stream(seed, "plan-network");
  NetworkPlan network;
  network.delay_min = ScaledTime(random, 50'000, 5 * kNsPerMs);
  network.delay_max = network.delay_min + ScaledTime(random, 50'000, 100 * kNsPerMs);
  const auto rate = [&](uint64_t one_in, uint64_t max) {
    const bool on = random.OneIn(one_in);
    const uint64_t value = Scaled(random, 100, max);
    return on ? value : 0;
  };
  network.loss = rate(2, 300'000);
  network.duplicate = rate(2, 500'000);
  network.late = rate(2, 50'000);
  network.misdeliver = rate(3, 10'000);
  network.corrupt = rate(3, 10'000);
  network.reorder = random.OneIn(2);
  network.cut_short = rate(4, 10'000);
  network.foreign = rate(4, 10'000);
  const auto most = static_cast<int>(Scaled(random, 8, 1000));
  if (random.OneIn(2)) network.in_flight_max = most;
  return network;
}

// Some links are quick and others slow, each way by itself.
void MakeLinks(uint64_t seed, Plan& plan) {
  raft::Random random = Stream(seed, "plan-links");
  if (!random.OneIn(3)) return;
  for (int i = 0; i < plan.members * plan.members; ++i) {
    plan.network.delay_percent.push_back(static_cast<int64_t>(Scaled(random, 10, 1000)));
  }
}

void MakeFaults(uint64_t seed, const Without& without, Plan& plan) {
  raft::Random kinds = Stream(seed, "plan-kinds");
  // Few kinds at once find more than all together: an eighth to three quarters of them.
  const uint64_t share = kinds.Between(1, 6);
  for (int k = 0; k < kFaultKinds; ++k) {
    const auto kind = static_cast<FaultKind>(k);
    const bool on = kinds.Below(8) < share;
    const uint64_t intensity = Scaled(kinds, 25, 400);  // Percent.
    if (!on) continue;
    raft::Random random = Stream(seed, "plan-fault", static_cast<uint64_t>(k));
    const Rhythm rhythm = RhythmOf(kind);
    const auto mean =
        static_cast<uint64_t>(rhythm.every_ms * kNsPerMs * 100 / static_cast<int64_t>(intensity));
    for (int64_t at = 0;;) {
      at += static_cast<int64_t>(random.Below(2 * mean));
      if (at >= plan.duration) break;
      Fault fault;
      fault.at = at;
      fault.kind = kind;
      fault.node = static_cast<int>(random.Below(static_cast<uint64_t>(plan.members)));
      fault.other = static_cast<int>(random.Below(static_cast<uint64_t>(plan.members)));
      fault.duration =
          ScaledTime(random, rhythm.lasts_min_ms * kNsPerMs, rhythm.lasts_max_ms * kNsPerMs);
      fault.chance = random.Next();
      plan.faults.push_back(fault);
    }
  }
  std::stable_sort(plan.faults.begin(), plan.faults.end(),
                   [](const Fault& a, const Fault& b) { return a.at < b.at; });
  std::vector<Fault> kept;
  for (size_t i = 0; i < plan.faults.size(); ++i) {
    const FaultKind kind = plan.faults[i].kind;
    const bool dropped = std::count(without.faults.begin(), without.faults.end(), i) > 0 ||
                         std::count(without.kinds.begin(), without.kinds.end(), kind) > 0;
    plan.faults[i].number = i;
    if (!dropped) kept.push_back(plan.faults[i]);
  }
  plan.faults = std::move(kept);
}

void MakeStreams(uint64_t seed, Plan& plan) {
  raft::Random random = Stream(seed, "plan-streams");
  plan.watch_clients = random.OneIn(4) ? 0 : static_cast<int>(Scaled(random, 1, 6));
  plan.watch_think_time = ScaledTime(random, 20 * kNsPerMs, 1000 * kNsPerMs);
  plan.watch_progress_interval = ScaledTime(random, 100 * kNsPerMs, 10 * kNsPerSecond);
  // Small ones make more of what is rare in production.
  plan.watch_recent_bytes_max = random.OneIn(3) ? 4 << 20 : Scaled(random, 1, 1 << 16);
  plan.watch_catch_up_rows = static_cast<int64_t>(random.OneIn(3) ? 1024 : Scaled(random, 1, 64));
  plan.watch_undelivered_bytes_max = random.OneIn(3) ? 32 << 20 : Scaled(random, 256, 1 << 16);
  plan.lease_clients = random.OneIn(4) ? 0 : static_cast<int>(Scaled(random, 1, 6));
  plan.lease_think_time = ScaledTime(random, 50 * kNsPerMs, 2000 * kNsPerMs);
  plan.lease_renewals_max = random.OneIn(3) ? 64 << 10 : Scaled(random, 1, 64);
  plan.lease_cache_rows_max = random.OneIn(3) ? 128 << 10 : Scaled(random, 1, 16);
  plan.stream_high_mark = Scaled(random, 64, 64 << 10);
}

// Every second cluster keeps so little of the log that whoever was away needs a snapshot.
void MakeLag(uint64_t seed, Plan& plan) {
  raft::Random random = Stream(seed, "lag");
  plan.lag_entries_max = server::LagLimits().entries_max;
  if (random.OneIn(2)) return;
  plan.lag_entries_max = Scaled(random, 1, 300);
  plan.recent_bytes_max = Scaled(random, 1, 64 << 10);
}

// In every second cluster some are to lead rather than others.
void MakePriorities(uint64_t seed, Plan& plan) {
  raft::Random random = Stream(seed, "priorities");
  const bool differ = random.OneIn(2);
  for (int i = 0; i < plan.members; ++i) {
    const uint64_t priority = random.Below(3);
    plan.leader_priorities.push_back(differ ? static_cast<uint32_t>(priority) : 0);
  }
}

}  // namespace

int64_t NetworkPlan::SlowestDelay() const {
  int64_t percent = 100;
  for (const int64_t one : delay_percent) percent = std::max(percent, one);
  return delay_max * percent / 100;
}

std::string_view FaultName(FaultKind kind) { return kNames[static_cast<size_t>(kind)]; }

FaultKind FaultFromName(std::string_view name) {
  const auto* const found = std::find(kNames.begin(), kNames.end(), name);
  return static_cast<FaultKind>(found - kNames.begin());
}

Plan MakePlan(uint64_t seed, int64_t duration, const Without& without) {
  raft::Random random = Stream(seed, "plan");
  Plan plan;
  plan.seed = seed;
  plan.duration = duration;
  // Mostly 3 and 5; 2, 4, 6 and 7 have their own arithmetic, 1 has none to elect with.
  constexpr int kSizes[] = {3, 3, 3, 3, 3, 5, 5, 3, 5, 3, 2, 4, 1, 7, 3, 6};
  plan.members = kSizes[random.Below(16)];
  plan.clients = static_cast<int>(Scaled(random, 1, 24));
  plan.keys = static_cast<int>(Scaled(random, 2, 60));
  plan.think_time = ScaledTime(random, 2 * kNsPerMs, 400 * kNsPerMs);
  plan.client_timeout = ScaledTime(random, 200 * kNsPerMs, 8 * kNsPerSecond);
  plan.reads_percent = static_cast<uint32_t>(random.Between(10, 80));
  plan.compactions_per_mille = static_cast<uint32_t>(random.Between(0, 30));
  for (int i = 0; i < plan.members; ++i) {
    plan.clock_rates_ppm.push_back(static_cast<int64_t>(random.Between(900'000, 1'100'000)));
  }
  if (random.OneIn(2)) plan.clock_rates_ppm.assign(static_cast<size_t>(plan.members), 1'000'000);
  plan.stage_latency_max = ScaledTime(random, 5'000, 3 * kNsPerMs);
  plan.sync_latency_min = ScaledTime(random, 20'000, 2 * kNsPerMs);
  plan.sync_latency_max = plan.sync_latency_min + ScaledTime(random, 20'000, 30 * kNsPerMs);
  plan.heartbeat = static_cast<int64_t>(random.Between(5, 10)) * 10 * kNsPerMs;
  plan.election_timeout = static_cast<int64_t>(random.Between(5, 10)) * plan.heartbeat;
  plan.wal_segment_bytes = Scaled(random, 8 << 10, 512 << 10);
  plan.flush_entries = Scaled(random, 10, 3000);
  plan.catchup_entries = Scaled(random, 1, 500);
  plan.batch_entries_max = random.OneIn(2) ? 1 : Scaled(random, 1, 256);
  plan.append_bytes_max = Scaled(random, 1, 1 << 20);
  plan.value_bytes_max = Scaled(random, 8, 2048);
  const uint64_t share = random.Between(2, 12);
  const uint64_t chance = Scaled(random, 30, 3000);
  if (random.OneIn(2) && !without.points) {
    plan.point_share = share;
    plan.point_chance = chance;
  }
  plan.backlog_entries_max = random.OneIn(2) ? 5000 : Scaled(random, 8, 1000);
  plan.pending_bytes_max = random.OneIn(2) ? 256 << 20 : Scaled(random, 4 << 10, 1 << 20);
  MakeLag(seed, plan);
  plan.network = MakeNetwork(seed);
  MakeLinks(seed, plan);
  if (without.network) {
    plan.network = {};
    plan.network.delay_min = kNsPerMs / 10;
    plan.network.delay_max = kNsPerMs;
  }
  MakeStreams(seed, plan);
  MakePriorities(seed, plan);
  MakeFaults(seed, without, plan);
  return plan;
}

std::string Describe(const Plan& plan) {
  std::string text = absl::StrFormat(
      "seed %d: %d members, %d clients, %d keys, %.0f s with faults\n"
      "frames: %.2f to %.2f ms, lost %.2f %%, twice %.2f %%, late %.2f %%, misdelivered %.2f %%, "
      "damaged %.2f %%, cut short %.2f %%, of another cluster %.2f %%, %d on a link%s%s\n"
      "segments of %d bytes, a flush after %d entries, %d kept, %d for who lags; batches of %d "
      "entries\n"
      "writes are refused beyond %d entries or %d bytes\n",
      plan.seed, plan.members, plan.clients, plan.keys,
      static_cast<double>(plan.duration) / kNsPerSecond,
      static_cast<double>(plan.network.delay_min) / kNsPerMs,
      static_cast<double>(plan.network.delay_max) / kNsPerMs,
      static_cast<double>(plan.network.loss) / 1e4,
      static_cast<double>(plan.network.duplicate) / 1e4,
      static_cast<double>(plan.network.late) / 1e4,
      static_cast<double>(plan.network.misdeliver) / 1e4,
      static_cast<double>(plan.network.corrupt) / 1e4,
      static_cast<double>(plan.network.cut_short) / 1e4,
      static_cast<double>(plan.network.foreign) / 1e4, plan.network.in_flight_max,
      plan.network.reorder ? ", reordered" : "",
      plan.network.delay_percent.empty() ? "" : ", links of different speeds",
      plan.wal_segment_bytes, plan.flush_entries, plan.catchup_entries, plan.lag_entries_max,
      plan.batch_entries_max, plan.backlog_entries_max, plan.pending_bytes_max);
  if (plan.point_share > 0) {
    absl::StrAppendFormat(&text, "one point in %d is hot, once in %d passages\n", plan.point_share,
                          plan.point_chance);
  }
  absl::StrAppend(&text, plan.faults.size(), " faults:");
  std::set<FaultKind> kinds;
  for (const Fault& fault : plan.faults) kinds.insert(fault.kind);
  for (const FaultKind kind : kinds) {
    absl::StrAppend(&text, " ", std::string(FaultName(kind)));
  }
  return text + "\n";
}

}  // namespace gavel::sim
