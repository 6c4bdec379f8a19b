// The whole contract under anything that can happen: random watchers, batches, compactions,
// collections, full and emptied streams, and every thread stopped anywhere.

#include <algorithm>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "tests/server/watch/hub_world.h"
#include "tests/storage/mvcc/random_requests.h"

namespace gavel::testing {
namespace {

using server::WatchId;
using server::WatchLimits;
using server::WatchOptions;
using storage::Revision;

// Small enough that every limit is met.
WatchLimits SmallLimits(raft::Random& random) {
  WatchLimits limits;
  limits.catch_up_bytes = random.Between(1, 4000);
  limits.catch_up_revisions = static_cast<int64_t>(random.Between(1, 12));
  limits.catch_up_rows = static_cast<int64_t>(random.Between(1, 20));
  limits.recent_bytes_max = random.OneIn(3) ? 0 : random.Between(100, 20000);
  limits.undelivered_bytes_max = random.OneIn(3) ? random.Between(500, 5000) : 1 << 20;
  limits.stream_portion_bytes_max = random.OneIn(2) ? random.Between(1, 2000) : 1 << 20;
  limits.progress_interval = 200 * server::kNsPerMs;
  return limits;
}

class Driver {
 public:
  explicit Driver(uint64_t seed)
      : random_(seed), requests_(seed * 3 + 1), world_(SmallLimits(random_)) {
    for (const int64_t lease : RandomRequests::kLeases) world_.store.AddLease(lease);
    for (int i = 0; i < 3; ++i) executors_.push_back(std::make_shared<HeldExecutor>());
  }

  void Step() {
    switch (random_.Below(20)) {
      case 0:
      case 1:
      case 2:
      case 3:
        world_.ApplyOnly(Commands());
        // Anything may happen between the publishing of a view and the handing over.
        if (random_.OneIn(3)) Consumer();
        world_.HandOver();
        break;
      case 4:
      case 5:
      case 6:
      case 7:
        Consumer();
        break;
      case 8:
      case 9:
      case 10:
        world_.RunBackground();
        break;
      case 11:
        world_.store.CollectStep(static_cast<int64_t>(random_.Between(1, 5)));
        break;
      case 12:
        world_.PassTime(static_cast<server::MonotonicNs>(random_.Below(150)) * server::kNsPerMs);
        break;
      case 13:
      case 14:
        if (!streams_.empty()) Any().MakeRoom();
        break;
      default:
        executors_[random_.Below(executors_.size())]->RunOne();
        break;
    }
  }

  // Lets everything come to rest: then everybody knows everything.
  void Settle() {
    for (int i = 0; i < 100000; ++i) {
      bool busy = world_.RunBackground();
      for (const auto& executor : executors_) busy = executor->RunOne() || busy;
      for (LoggedStream& stream : streams_) {
        if (!stream.log->MakeRoom()) continue;
        busy = true;
        stream.stream->OnWritable();
      }
      if (!busy) break;
      ASSERT_LT(i, 99999) << "never at rest";
    }
    for (const LoggedStream& stream : streams_) {
      stream.log->ExpectComplete();
      EXPECT_TRUE(stream.log->failures().empty());
    }
    const server::WatchCounts counts = world_.hub->counts();
    EXPECT_EQ(counts.streams, streams_.size());
    EXPECT_EQ(counts.catching_up, 0u);
    EXPECT_EQ(counts.lag_revisions, 0);
    EXPECT_EQ(counts.pending_events, 0u);
  }

  void CloseAll() {
    events_ += Events();
    streams_.clear();
    world_.RunAllBackground();
    const server::WatchCounts counts = world_.hub->counts();
    EXPECT_EQ(counts.streams, 0u);
    EXPECT_EQ(counts.watchers, 0u);
    EXPECT_FALSE(world_.hub->wants_changes());
  }

  uint64_t events() const { return events_; }
  uint64_t compacted() const { return compacted_; }
  uint64_t progress() const { return progress_; }

 private:
  std::vector<internal::Command> Commands() {
    std::vector<internal::Command> commands;
    const Revision newest = world_.revision();
    for (uint64_t n = random_.Between(1, 4); n > 0; --n) {
      commands.push_back(requests_.Command(newest, /*compactions=*/false));
    }
    if (random_.OneIn(10)) {
      const auto back = static_cast<Revision>(random_.Below(8));
      commands.push_back(Compact(std::max<Revision>(1, newest - back)));
    }
    return commands;
  }

  WatchOptions Options() {
    WatchOptions options;
    if (!random_.OneIn(20)) options.key = requests_.Key();
    switch (random_.Below(4)) {
      case 0:
        options.range_end = std::string("\0", 1);
        break;
      case 1:
        options.range_end = requests_.Key();
        break;
      default:
        break;
    }
    const Revision newest = world_.revision();
    switch (random_.Below(8)) {
      case 0:
        options.start = newest + static_cast<Revision>(random_.Below(6));
        break;
      case 1:
        options.start = static_cast<Revision>(random_.Between(1, static_cast<uint64_t>(newest)));
        break;
      case 2:
      case 3:
        options.start = std::max<Revision>(1, newest - static_cast<Revision>(random_.Below(15)));
        break;
      case 4:
        if (random_.OneIn(5)) options.start = -1;
        break;
      default:
        break;
    }
    if (random_.OneIn(3)) options.id = static_cast<WatchId>(random_.Between(1, 9));
    options.no_put = random_.OneIn(8);
    options.no_delete = random_.OneIn(8);
    options.prev_kv = random_.OneIn(3);
    options.progress = random_.OneIn(3);
    options.fragment = random_.OneIn(4);
    return options;
  }

  LoggedStream& Any() { return streams_[random_.Below(streams_.size())]; }

  void Consumer() {
    if (streams_.size() < 2 || (streams_.size() < 6 && random_.OneIn(6))) {
      const uint64_t executor = random_.Below(executors_.size() + 1);
      streams_.push_back(world_.Open(executor < executors_.size() ? executors_[executor] : nullptr,
                                     random_.OneIn(2) ? random_.Between(1, 4000) : ~size_t{0}));
    }
    LoggedStream& stream = Any();
    switch (random_.Below(10)) {
      case 0:
      case 1:
      case 2:
      case 3:
      case 4:
        stream.Create(Options());
        break;
      case 5:
      case 6:
        Cancel(stream);
        break;
      case 7:
      case 8:
        stream.stream->RequestProgress();
        break;
      default:
        if (!random_.OneIn(5)) break;
        Count(*stream.log);
        std::swap(stream, streams_.back());
        streams_.pop_back();
        break;
    }
  }

  void Cancel(LoggedStream& stream) {
    const auto watchers = stream.log->watchers();
    WatchId id = static_cast<WatchId>(random_.Below(12));
    if (!watchers.empty() && !random_.OneIn(4)) {
      id = std::next(watchers.begin(), static_cast<int64_t>(random_.Below(watchers.size())))->first;
    }
    stream.Cancel(id);
  }

  void Count(const WatchLog& log) {
    events_ += log.events();
    compacted_ += log.compacted().size();
    progress_ += log.progress().size();
  }
  uint64_t Events() {
    for (const LoggedStream& stream : streams_) Count(*stream.log);
    return 0;
  }

  raft::Random random_;
  RandomRequests requests_;
  std::vector<std::shared_ptr<HeldExecutor>> executors_;
  HubWorld world_;
  std::vector<LoggedStream> streams_;
  uint64_t events_ = 0;
  uint64_t compacted_ = 0;
  uint64_t progress_ = 0;
};

TEST(HubModelTest, EveryWatcherSeesWhatItAskedForWhateverHappens) {
  uint64_t events = 0;
  uint64_t compacted = 0;
  uint64_t progress = 0;
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(seed);
    Driver driver(seed);
    for (int round = 0; round < 3; ++round) {
      for (int i = 0; i < 700; ++i) driver.Step();
      driver.Settle();
      if (::testing::Test::HasFailure()) return;
    }
    driver.CloseAll();
    events += driver.events();
    compacted += driver.compacted();
    progress += driver.progress();
  }
  // Or the test would show nothing.
  EXPECT_GT(events, 100000u);
  EXPECT_GT(compacted, 500u);
  EXPECT_GT(progress, 1000u);
}

}  // namespace
}  // namespace gavel::testing
