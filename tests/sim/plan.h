// Everything that one seed decides before the world starts: how many members and clients, which
// faults there are, how hard they strike and when (swarm testing, Groce et al., ISSTA 2012).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace gavel::sim {

// What can go wrong once, at a moment of its own. Each kind is switched on or off by the seed.
enum class FaultKind : uint8_t {
  kCrash,        // One member loses power, or its process dies.
  kCrashInDisk,  // The same, between two operations of its disk.
  kCrashAll,     // All members at once.
  kStop,         // The clean stop, then a start.
  kPause,        // A process is not scheduled; what arrives waits, then comes in a burst.
  kIsolate,      // A member is cut off from all others.
  kHalves,       // Two groups that cannot reach each other.
  kOneWay,       // Frames between two members arrive in one direction only.
  kBridge,       // Two groups that only one member can reach.
  kFlap,         // A link fails and comes back, many times.
  kClog,         // Frames on a link wait, then arrive together.
  kWallJump,     // Wall time jumps by up to a day.
  kFailSync,     // A sync fails, its pages are dropped, later ones succeed.
  kFailWrite,    // A write fails.
  kFailRead,     // A read fails.
  kFullDisk,     // No space for a while.
  kSlowDisk,     // Writes of the log take long.
  kEngineStall,  // The state engine takes no writes for a while.
  kBitFlip,      // A bit of the confirmed log changes while a member is down.
  kWipedDisk,    // A member comes back with nothing: the others must refuse it.
  kOldImage,     // A member comes back with an old copy of its disk: the same.
  kHandOver,     // The leader gives leadership away.
  kCrashQuorum,  // Just enough members at once that the others cannot go on.
  kSlowProcess,  // A member's stages take many times as long.
  kRing,         // Each member reaches two others only.
  kSwizzle,      // Links of some members clog one after the other, and clear in another order.
  kFailDirSync,  // The sync of a directory fails.
  kEngineFails,  // The state engine takes nothing more until it is opened anew.
  kBadSector,    // A part of the log cannot be read, at starts neither.
  kCount,
};
inline constexpr int kFaultKinds = static_cast<int>(FaultKind::kCount);

std::string_view FaultName(FaultKind kind);
// kCount if there is no such kind.
FaultKind FaultFromName(std::string_view name);

struct Fault {
  int64_t at = 0;
  size_t number = 0;  // Its place in the unchanged plan, by which it is left out.
  FaultKind kind = FaultKind::kCrash;
  int node = 0;
  int other = 0;
  int64_t duration = 0;
  uint64_t chance = 0;  // Seeds whatever else the fault has to draw.
};

// What happens to single frames all the time; parts of a million.
struct NetworkPlan {
  // What a frame takes at most on the slowest link, if it is not late.
  int64_t SlowestDelay() const;

  int64_t delay_min = 0;
  int64_t delay_max = 0;
  // Of these, by link, at from * members + to; empty: all the same. Ends with the faults.
  std::vector<int64_t> delay_percent;
  uint64_t loss = 0;
  uint64_t duplicate = 0;
  uint64_t late = 0;  // Delayed by up to a second.
  uint64_t misdeliver = 0;
  uint64_t corrupt = 0;
  uint64_t cut_short = 0;  // Its end is missing.
  uint64_t foreign = 0;    // One of another cluster arrives beside it.
  bool reorder = false;
  int in_flight_max = 1000;  // Frames under way on one link; what comes then is dropped.
};

struct Plan {
  uint64_t seed = 0;
  int members = 3;
  int clients = 4;
  int keys = 10;
  int64_t duration = 0;    // Of the phase with faults.
  int64_t think_time = 0;  // Of a client between requests, on average.
  int64_t client_timeout = 0;
  int watch_clients = 0;
  int64_t watch_think_time = 0;
  int64_t watch_progress_interval = 10'000'000'000;
  uint64_t watch_recent_bytes_max = 4 << 20;
  int64_t watch_catch_up_rows = 1024;
  uint64_t watch_undelivered_bytes_max = 32 << 20;
  int lease_clients = 0;
  int64_t lease_think_time = 0;
  size_t lease_renewals_max = 64 << 10;
  size_t lease_cache_rows_max = 128 << 10;
  uint64_t stream_high_mark = 64 << 10;  // Bytes unread, beyond which a stream waits.
  uint32_t reads_percent = 40;
  uint32_t compactions_per_mille = 5;
  NetworkPlan network;
  std::vector<int64_t> clock_rates_ppm;
  std::vector<uint32_t> leader_priorities;
  int64_t stage_latency_max = 0;
  int64_t sync_latency_min = 0;
  int64_t sync_latency_max = 0;
  int64_t heartbeat = 0;
  int64_t election_timeout = 0;
  uint64_t wal_segment_bytes = 0;
  uint64_t flush_entries = 0;
  uint64_t catchup_entries = 0;
  // What a member may miss before it is sent a snapshot.
  uint64_t lag_entries_max = 0;
  uint64_t recent_bytes_max = 16 << 20;
  uint64_t batch_entries_max = 0;
  uint64_t append_bytes_max = 0;
  uint64_t backlog_entries_max = 0;
  uint64_t pending_bytes_max = 0;
  uint64_t value_bytes_max = 0;
  // Points of the product where something is likely to happen: one name in `point_share` is hot
  // (0: none), and once in `point_chance` passages something happens.
  uint64_t point_share = 0;
  uint64_t point_chance = 0;
  std::vector<Fault> faults;  // By time.
};

// What is left out of a plan, to find out what matters in it.
struct Without {
  std::vector<FaultKind> kinds;
  std::vector<size_t> faults;  // Places in Plan::faults of the unchanged plan.
  bool network = false;        // Frames arrive, in order.
  bool points = false;
};

// `duration`: of the phase with faults, in nanoseconds of the world.
Plan MakePlan(uint64_t seed, int64_t duration, const Without& without = {});

// What the plan says, in a few lines.
std::string Describe(const Plan& plan);

}  // namespace gavel::sim
