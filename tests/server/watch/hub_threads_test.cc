// The contract with real threads: apply, two executors, the background, and consumers that come
// and go.

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

#include "raft/random.h"
#include "server/clock.h"
#include "server/watch/watch_hub.h"
#include "tests/server/watch/watch_log.h"
#include "tests/storage/mvcc/random_requests.h"
#include "tests/storage/state/store.h"

namespace gavel::testing {
namespace {

using server::MonotonicNs;
using server::WatchOptions;

// A thread that runs what it is given: an executor, and a background.
class Worker final : public server::Executor {
 public:
  Worker() : thread_([this] { Main(); }) {}
  ~Worker() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  void Run(absl::AnyInvocable<void()> work) override {
    {
      const std::lock_guard lock(mutex_);
      work_.push_back(std::move(work));
    }
    changed_.notify_all();
  }
  void RunStep(server::WatchHub::Step step) {
    Run([this, step = std::move(step)]() mutable {
      if (step()) RunStep(std::move(step));
    });
  }
  bool idle() {
    const std::lock_guard lock(mutex_);
    return work_.empty() && !running_;
  }

 private:
  void Main() {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [this] { return stopping_ || !work_.empty(); });
      if (stopping_) return;
      absl::AnyInvocable<void()> work = std::move(work_.front());
      work_.pop_front();
      running_ = true;
      lock.unlock();
      work();
      work = nullptr;
      lock.lock();
      running_ = false;
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<absl::AnyInvocable<void()>> work_;
  bool running_ = false;
  bool stopping_ = false;
  std::thread thread_;
};

class ThreadsClock final : public server::Clock {
 public:
  MonotonicNs Now() const override { return now_.fetch_add(server::kNsPerMs); }
  int64_t WallNs() const override { return now_.load(); }

 private:
  mutable std::atomic<MonotonicNs> now_ = server::kNsPerSecond;
};

struct Stream {
  std::shared_ptr<WatchLog> log;
  std::unique_ptr<server::WatchStream> stream;

  void Create(const WatchOptions& options) {
    log->Expect(options);
    stream->Create(options);
  }
  void MakeRoom() {
    if (log->MakeRoom()) stream->OnWritable();
  }
};

class Threads {
 public:
  explicit Threads(uint64_t seed) : requests_(seed) {
    server::WatchLimits limits;
    limits.catch_up_bytes = 2000;
    limits.catch_up_rows = 50;
    limits.recent_bytes_max = 5000;
    limits.undelivered_bytes_max = 30000;
    limits.progress_interval = 100 * server::kNsPerMs;
    hub_ = std::make_unique<server::WatchHub>(
        limits, server::WatchHub::Surroundings{
                    &clock_, [this] { return store_.machine().view(); },
                    [this](server::WatchHub::Step step) { background_.RunStep(std::move(step)); },
                    [this](MonotonicNs, server::WatchHub::Step step) {
                      const std::lock_guard lock(timers_mutex_);
                      timers_.push_back(std::move(step));
                    }});
  }

  void Apply(int batches) {
    for (int i = 0; i < batches; ++i) {
      const bool asked = hub_->wants_changes();
      const storage::Revision newest = store_.machine().view()->revision;
      std::vector<raft::Entry> entries;
      for (uint64_t n = requests_.random().Between(1, 4); n > 0; --n) {
        entries.push_back(CommandEntry(store_.machine().applied().value() + 1 + entries.size(),
                                       requests_.Command(newest, false)));
      }
      if (requests_.random().OneIn(40) && newest > 30) {
        entries.push_back(CommandEntry(store_.machine().applied().value() + 1 + entries.size(),
                                       Compact(newest - 20)));
        history_.SetCompacted(newest - 20);
      }
      auto result = store_.machine().Apply(entries, {raft::NodeId(1), raft::Incarnation(1), true});
      ASSERT_TRUE(result.ok());
      history_.Add(result->changes);
      std::vector<storage::KeyChange> changes;
      if (asked) changes = std::move(result->changes);
      hub_->OnApplied(std::move(changes), asked, *store_.machine().view());
      if (i % 16 == 0) FireTimers();
    }
    done_ = true;
  }

  void FireTimers() {
    std::vector<server::WatchHub::Step> timers;
    {
      const std::lock_guard lock(timers_mutex_);
      timers.swap(timers_);
    }
    for (auto& timer : timers) background_.RunStep(std::move(timer));
  }

  void Consume(uint64_t seed) {
    RandomRequests requests(seed);
    raft::Random& random = requests.random();
    std::vector<Stream> streams;
    while (!done_) {
      if (streams.size() < 4) streams.push_back(Open(random));
      Stream& stream = streams[random.Below(streams.size())];
      switch (random.Below(12)) {
        case 0:
        case 1:
          stream.Create(Options(requests));
          break;
        case 2:
          stream.log->ExpectCanceled(0);
          stream.stream->Cancel(static_cast<server::WatchId>(random.Below(10)));
          break;
        case 3:
          stream.stream->RequestProgress();
          break;
        case 4:
          if (random.OneIn(50)) {
            std::swap(stream, streams.back());
            streams.pop_back();
          }
          break;
        default:
          stream.MakeRoom();
          std::this_thread::yield();
          break;
      }
    }
    // Everybody gets everything in the end.
    const auto complete = [&] {
      bool all = true;
      for (Stream& stream : streams) {
        stream.MakeRoom();
        all = all && stream.log->complete();
      }
      return all;
    };
    for (int i = 0; i < 5000 && !complete(); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    for (Stream& stream : streams) {
      stream.log->ExpectComplete();
      events_ += stream.log->events();
    }
  }

  void ExpectEmpty() {
    for (int i = 0; i < 5000 && !background_.idle(); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    EXPECT_EQ(hub_->counts().streams, 0u);
    EXPECT_EQ(hub_->counts().watchers, 0u);
    EXPECT_GT(events_.load(), 0u);
  }

 private:
  Stream Open(raft::Random& random) {
    Stream stream;
    stream.log = std::make_shared<WatchLog>(history_, random.OneIn(2) ? 3000 : ~size_t{0});
    const uint64_t executor = random.Below(3);
    stream.stream = hub_->Open(stream.log, executor < 2 ? executors_[executor] : nullptr);
    return stream;
  }

  WatchOptions Options(RandomRequests& requests) {
    raft::Random& random = requests.random();
    WatchOptions options;
    options.key = requests.Key();
    if (random.OneIn(2)) options.range_end = std::string("\0", 1);
    const storage::Revision newest = store_.machine().view()->revision;
    if (random.OneIn(2)) {
      options.start =
          std::max<storage::Revision>(1, newest + 3 - static_cast<int64_t>(random.Below(15)));
    }
    options.prev_kv = random.OneIn(3);
    options.progress = random.OneIn(3);
    return options;
  }

  ThreadsClock clock_;
  Store store_;
  History history_;
  RandomRequests requests_;
  std::mutex timers_mutex_;
  std::vector<server::WatchHub::Step> timers_;
  std::atomic<bool> done_ = false;
  std::atomic<uint64_t> events_ = 0;
  std::unique_ptr<server::WatchHub> hub_;
  // These go first: what they run uses the hub.
  Worker background_;
  std::shared_ptr<Worker> executors_[2] = {std::make_shared<Worker>(), std::make_shared<Worker>()};
};

TEST(HubThreadsTest, EveryWatcherSeesWhatItAskedFor) {
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    SCOPED_TRACE(seed);
    Threads threads(seed);
    std::thread one([&] { threads.Consume(seed * 100 + 1); });
    std::thread other([&] { threads.Consume(seed * 100 + 2); });
    threads.Apply(700);
    one.join();
    other.join();
    threads.ExpectEmpty();
    if (::testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace gavel::testing
