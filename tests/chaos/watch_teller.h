// One watcher of the watch scenario, from its start to its end.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/client.h"
#include "raft/random.h"
#include "tests/chaos/change_log.h"
#include "tests/chaos/watch_check.h"

namespace gavel::chaos {

// What happened to all watchers together.
struct TellerCounts {
  std::atomic<int64_t> watchers = 0;
  std::atomic<int64_t> resumed = 0;    // On another stream, where the one before had come to.
  std::atomic<int64_t> compacted = 0;  // Ended since their history was compacted.
  std::atomic<int64_t> progress = 0;
};

// What the watchers share. See watches.cc.
struct TellerWorld {
  const ChangeLog& log;
  const std::atomic<int64_t>& compacted;
  const std::atomic<int64_t>& finish_at;
  std::atomic<int64_t>& events;
  TellerCounts& counts;
};

std::vector<SeenEvent> ToSeen(const std::vector<client::WatchEvent>& events);

// Chosen at random: one key, some or all; from now, the past, below the compaction or the future;
// with filters or not; one that reads slowly. Goes on where it was on another stream now and then,
// and where history begins if it was compacted.
class WatchTeller {
 public:
  WatchTeller(const TellerWorld& world, const client::Client& client, raft::Random* random);

  // Returns the violation, or nothing when it has lived long enough or, in the end, was told of
  // everything.
  std::string Run();
  // For messages.
  std::string description() const;

 private:
  int64_t ChooseStart();
  client::WatchOptions Options(int64_t start) const;
  void Begin(int64_t start);
  std::optional<std::string> Created();
  std::optional<std::string> OnBatch(const client::WatchBatch& batch);
  std::optional<std::string> OnEnd(const client::Status& status);
  std::optional<std::string> GoOnElsewhere();
  std::optional<client::Result<client::WatchBatch>> Next();
  bool finished() const { return world_.finish_at != 0 && check_->next() > world_.finish_at; }

  const TellerWorld& world_;
  const client::Client& client_;
  raft::Random& random_;
  Interest interest_;
  int64_t start_ = 0;
  bool slow_ = false;
  int64_t batches_left_ = 0;
  std::optional<client::Watcher> watcher_;
  std::optional<WatchCheck> check_;
};

}  // namespace gavel::chaos
