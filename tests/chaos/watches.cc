// Watchers of every kind while members are killed and stopped, and history is compacted.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "client/client.h"
#include "raft/random.h"
#include "tests/chaos/change_log.h"
#include "tests/chaos/checked_cluster.h"
#include "tests/chaos/harm.h"
#include "tests/chaos/scenario.h"
#include "tests/chaos/watch_teller.h"
#include "tests/chaos/watch_writers.h"

namespace gavel::chaos {
namespace {

using client::Client;
using client::Result;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr int kWatchers = 64;
constexpr int kWriters = 4;
// What history a compaction leaves at most, in revisions.
constexpr uint64_t kKeptMax = 3000;

class Watches {
 public:
  explicit Watches(const ScenarioOptions& options)
      : options_(options),
        random_(options.seed),
        checked_(options.cluster),
        harm_(checked_, options.seed + 1) {}

  std::vector<std::string> Run() {
    if (!checked_.Start()) return checked_.problems();
    Result<Client> client = NewClient();
    if (!client.ok()) return {client.status().ToString()};
    client_ = std::make_unique<Client>(*std::move(client));
    std::thread reference([this] { FollowAll(); });
    WatchWriters writers(checked_.cluster().targets(), kWriters, options_.seed);
    std::vector<std::thread> watchers;
    for (int number = 0; number < kWatchers; ++number) {
      watchers.emplace_back([this, number] { Tell(number); });
    }
    Trouble();
    const std::map<uint64_t, WriteEnd> writes = writers.Stop();
    Finish();
    for (std::thread& watcher : watchers) watcher.join();
    stopping_ = true;
    reference_stop_.request_stop();
    reference.join();
    TakeProblems();
    CheckWrites(writes);
    Print(writes);
    if (checked_.problems().empty()) checked_.StopAll();
    return checked_.problems();
  }

 private:
  Result<Client> NewClient() {
    return Client::Create({.endpoints = checked_.cluster().targets(),
                           .timeout = milliseconds(4000),
                           .silence_timeout = milliseconds(1000)});
  }

  void Problem(const std::string& what) {
    std::lock_guard lock(mutex_);
    problems_.push_back(what);
    failed_ = true;
  }

  void TakeProblems() {
    std::lock_guard lock(mutex_);
    for (std::string& problem : problems_) checked_.problems().push_back(std::move(problem));
    problems_.clear();
  }

  // The watcher whose events make up the log: of everything, from the beginning.
  void FollowAll() {
    client::Watcher watcher =
        client_->watch().Start({.range = client::KeyRange::Prefix(kWatchPrefix),
                                .start_revision = ChangeLog::kFirst,
                                .stop = reference_stop_.get_token()});
    while (true) {
      const Result<client::WatchBatch> batch = watcher.Next();
      if (!batch.ok()) {
        if (!stopping_) Problem("the watcher of all ends: " + batch.status().ToString());
        return;
      }
      const std::vector<SeenEvent> events = ToSeen(batch->events);
      std::vector<Change> changes;
      for (size_t at = 0; at < events.size(); ++at) {
        changes.push_back(events[at].change);
        const int64_t revision = events[at].revision;
        if (at + 1 < events.size() && events[at + 1].revision == revision) continue;
        if (revision != log_.last() + 1) {
          return Problem("the watcher of all is told of revision " + std::to_string(revision) +
                         " after " + std::to_string(log_.last()));
        }
        log_.Append(revision, std::exchange(changes, {}));
      }
    }
  }

  // One watcher after the other.
  void Tell(int number) {
    raft::Random random(options_.seed * 1000 + static_cast<uint64_t>(number));
    const TellerWorld world = {log_, compacted_, finish_at_, events_, counts_};
    while (!failed_) {
      Result<Client> client = NewClient();
      if (!client.ok()) return Problem(client.status().ToString());
      WatchTeller teller(world, *client, &random);
      const std::string violation = teller.Run();
      if (!violation.empty()) {
        return Problem("watcher " + std::to_string(number) + ", " + teller.description() + ": " +
                       violation);
      }
      if (finish_at_ != 0) return;
    }
  }

  // A check of nothing but quiet times would mean little.
  bool EnoughHappened() const {
    return events_ >= options_.count && counts_.resumed > 0 && counts_.compacted > 0 &&
           counts_.progress > 0 && harm_.kills() > 0 && harm_.pauses() > 0;
  }

  void Trouble() {
    const auto start = steady_clock::now();
    const auto give_up = start + std::chrono::minutes(2) + milliseconds(options_.count);
    auto next_harm = start;
    while (!EnoughHappened() && !failed_ && checked_.problems().empty()) {
      if (steady_clock::now() > give_up) return Problem("too little happened in time");
      std::this_thread::sleep_for(milliseconds(random_.Between(100, 500)));
      if (random_.OneIn(2)) Compact();
      if (steady_clock::now() < next_harm) continue;
      harm_.Once();
      next_harm = steady_clock::now() + milliseconds(random_.Between(500, 4000));
    }
    took_s_ = std::chrono::duration<double>(steady_clock::now() - start).count();
  }

  // Never beyond what the log has: the watcher of all must not meet a gap.
  void Compact() {
    const auto last = static_cast<uint64_t>(log_.last());
    const auto to = static_cast<int64_t>(last - random_.Below(std::min(kKeptMax, last)));
    if (to <= compacted_) return;
    compacted_ = to;
    if (client_->kv().Compact({.revision = to}).ok()) ++compactions_;
  }

  // Every watcher has to be told of what was written last.
  void Finish() {
    int64_t last = 0;
    for (int tries = 0; last == 0 && tries < 20; ++tries) {
      const auto read = client_->kv().Get(kWatchPrefix);
      if (read.ok()) last = read->header.revision;
    }
    if (last == 0) Problem("no read at the end");
    if (!failed_ && !log_.WaitFor(last)) {
      Problem("the watcher of all was not told of revision " + std::to_string(last));
    }
    // Even if all has failed, the others must end.
    finish_at_ = std::max<int64_t>(last, 1);
  }

  void CheckWrites(const std::map<uint64_t, WriteEnd>& writes) {
    if (!checked_.problems().empty()) return;
    std::vector<KeyState> state;
    for (std::string& violation : CheckLog(log_, writes, &state)) {
      checked_.problems().push_back(std::move(violation));
    }
    const auto range = client_->kv().Range({.range = client::KeyRange::Prefix(kWatchPrefix)});
    if (!range.ok()) return checked_.problems().push_back("no read at the end");
    size_t there = 0;
    for (const KeyState& key : state) there += key.write != 0;
    bool same = range->kvs.size() == there;
    for (const client::KeyValue& kv : range->kvs) {
      const int key = KeyNumber(kv.key);
      same = same && key >= 0 && WriteOf(kv.value) == state[static_cast<size_t>(key)].write;
    }
    if (!same) checked_.problems().push_back("what was told is not what the store holds");
  }

  void Print(const std::map<uint64_t, WriteEnd>& writes) {
    int64_t done = 0;
    for (const auto& [write, end] : writes) done += end.how == WriteEnd::How::kDone;
    std::printf(
        "%lld events checked in %.0f s, told to %lld watchers, which went on elsewhere %lld times "
        "and met %lld compactions\n"
        "%lld signs of progress; %lld writes acknowledged, %lld revisions; members: %d killed, "
        "%d stopped, %d of them leaders; %d compactions\n",
        static_cast<long long>(events_), took_s_, static_cast<long long>(counts_.watchers),
        static_cast<long long>(counts_.resumed), static_cast<long long>(counts_.compacted),
        static_cast<long long>(counts_.progress), static_cast<long long>(done),
        static_cast<long long>(log_.last()), harm_.kills(), harm_.pauses(), harm_.of_leaders(),
        compactions_);
  }

  const ScenarioOptions options_;
  raft::Random random_;
  CheckedCluster checked_;
  Harm harm_;
  std::unique_ptr<Client> client_;
  ChangeLog log_;
  std::atomic<int64_t> compacted_ = 0;  // The highest revision that was asked for.
  std::atomic<int64_t> finish_at_ = 0;  // Once set, each watcher ends when it is told of this.
  std::atomic<int64_t> events_ = 0;
  TellerCounts counts_;
  int compactions_ = 0;
  double took_s_ = 0;
  std::atomic<bool> stopping_ = false;
  std::stop_source reference_stop_;
  std::atomic<bool> failed_ = false;
  std::mutex mutex_;
  std::vector<std::string> problems_;  // Guarded by mutex_.
};

}  // namespace

std::vector<std::string> RunWatches(const ScenarioOptions& options) {
  return Watches(options).Run();
}

}  // namespace gavel::chaos
