// One member's machine: disk, engine, clocks, and the node that runs on them while it is up.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"

#include "raft/random.h"
#include "server/metrics.h"
#include "server/node/node.h"
#include "server/rpc/client_services.h"
#include "storage/engine/map_engine.h"
#include "tests/sim/random_streams.h"
#include "tests/sim/sim_clock.h"
#include "tests/sim/wal_watch.h"
#include "tests/support/crash_disk.h"
#include "tests/support/map_stores.h"

namespace gavel::sim {

enum class Stage : uint8_t { kCore, kLog, kApply, kBackground, kFlush };
inline constexpr int kStages = 5;
inline constexpr int64_t kNever = INT64_MAX;

// When a stage runs next.
struct StageSlot {
  int64_t at = kNever;
  bool ready = false;  // Something waits for it; otherwise `at` is its own timer.
  int64_t held_until = 0;
};

// A copy of everything durable on one machine.
struct Image {
  std::unique_ptr<testing::CrashDisk> disk;
  testing::MapEnginePtr engine;
  testing::MapEnginePtr received;
  uint64_t life = 0;
};

struct Machine {
  Machine(uint64_t seed, int place, const int64_t& now, int64_t rate_ppm)
      : index(place),
        clock(now, rate_ppm),
        stage_random(Stream(seed, "stages", static_cast<uint64_t>(place))),
        crash_random(Stream(seed, "crashes", static_cast<uint64_t>(place))),
        point_random(Stream(seed, "points", static_cast<uint64_t>(place))),
        stream_random(Stream(seed, "streams", static_cast<uint64_t>(place))) {}

  bool up() const { return node != nullptr; }
  // Its disk may be why it stops.
  bool failing() const { return faulty || bad_sector; }

  const int index;
  raft::NodeId id;
  SimClock clock;
  // Its own streams of chance.
  raft::Random stage_random;
  raft::Random crash_random;
  raft::Random point_random;
  raft::Random stream_random;
  std::unique_ptr<testing::CrashDisk> disk = std::make_unique<testing::CrashDisk>();
  testing::MapEnginePtr engine = testing::NewMapEngine();
  testing::MapEnginePtr received;  // A snapshot that arrives.
  std::unique_ptr<server::Metrics> metrics = std::make_unique<server::Metrics>();
  std::unique_ptr<server::Node> node;
  std::unique_ptr<server::ClientServices> services;
  server::PeerEvents events;
  WalWatch watch;
  WalWatch before_crash;

  uint64_t starts =
      0;              // Counts lives, the failed ones too; what is under way for one dies with it.
  uint64_t life = 0;  // The incarnation.
  std::array<StageSlot, kStages> slots;
  int64_t log_slow_until = 0;
  int64_t log_slow_by = 0;
  int64_t slow_until = 0;  // All its stages take `slow_times` as long.
  int64_t slow_times = 1;
  int64_t paused_until = 0;
  std::vector<std::function<void()>> held;  // What arrived while it was paused.
  absl::Status failure;                     // Why the node stopped by itself.
  bool faulty = false;                      // Its disk was told to fail in this life.
  bool bad_sector = false;                  // A part of its log cannot be read.
  bool armed = false;                       // Its disk will crash it, perhaps.
  bool must_die = false;                    // A point asked for a crash.
  bool must_restart = false;                // It has received a snapshot.
  int64_t next_point_fault = 0;             // When a point may be one again.
  raft::Term leads_in;                      // When it led last.
  raft::Index leads_from;                   // The end of its log when that began.
  std::optional<size_t> behind;  // The time that it takes to apply that, in World::slow_times_.
  uint64_t applied_seen = 0;
  int64_t revision_seen = 0;
  int64_t hashed_revision = 0;

  // While another copy of its disk runs in its place.
  bool impostor = false;
  Image real;
  Image old;  // Taken some time ago.
  // A bit that was changed, to be changed back.
  struct Flip {
    std::string path;
    uint64_t offset = 0;
    uint8_t mask = 0;
  };
  std::vector<Flip> flips;
  std::vector<uint64_t> heard;  // The newest life of each other member that this one has heard.
};

}  // namespace gavel::sim
