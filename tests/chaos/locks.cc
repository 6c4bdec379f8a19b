// Contenders for one lock that are killed and stopped while they hold it.
#include <signal.h>
#include <sys/types.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "client/client.h"
#include "raft/random.h"
#include "tests/chaos/checked_cluster.h"
#include "tests/chaos/child.h"
#include "tests/chaos/contender.h"
#include "tests/chaos/fencing.h"
#include "tests/chaos/harm.h"
#include "tests/chaos/leaders.h"
#include "tests/chaos/observer.h"
#include "tests/chaos/scenario.h"

namespace gavel::chaos {
namespace {

using client::Client;
using client::Result;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr char kEndKey[] = "end";
constexpr size_t kObservers = 3;

class Locks {
 public:
  Locks(const ScenarioOptions& options, LockWay way)
      : options_(options),
        way_(way),
        random_(options.seed),
        checked_(options.cluster),
        harm_(checked_, options.seed + 1),
        contenders_(static_cast<size_t>(options.count)) {}

  std::vector<std::string> Run() {
    if (!checked_.Start()) return checked_.problems();
    Result<Client> client = Client::Create(
        {.endpoints = checked_.cluster().targets(), .silence_timeout = milliseconds(1000)});
    if (!client.ok()) return {client.status().ToString()};
    for (size_t number = 0; number < contenders_.size(); ++number) Start(number);
    if (way_ == LockWay::kElection) {
      for (size_t first = 0; first < kObservers; ++first) {
        observers_.emplace_back(checked_.cluster().targets(), first);
      }
    }
    // Goes on if by chance nobody was late.
    for (int turn = 0; turn < 4 && checked_.problems().empty() && !AnyRefused(); ++turn) {
      Trouble(*client);
    }
    for (Contender& contender : contenders_) KillChild(std::exchange(contender.pid, 0));
    if (checked_.problems().empty()) CheckAll(*client);
    if (checked_.problems().empty()) checked_.StopAll();
    return checked_.problems();
  }

 private:
  struct Contender {
    pid_t pid = 0;
    int lives = 0;
    std::optional<steady_clock::time_point> stopped_until;
  };

  void Problem(const std::string& what) { checked_.problems().push_back(what); }

  std::string LogPath(size_t number) const {
    return options_.cluster.directory + "/contender" + std::to_string(number) + ".log";
  }

  void Start(size_t number) {
    std::string targets;
    for (const std::string& target : checked_.cluster().targets()) {
      targets += (targets.empty() ? "" : ",") + target;
    }
    Contender& contender = contenders_[number];
    contender.pid = StartSelf(
        {"--contender", std::to_string(number), "--life", std::to_string(contender.lives++),
         "--targets", targets, "--seed", std::to_string(options_.seed), "--way", NameOf(way_)},
        LogPath(number));
  }

  void Trouble(const Client& client) {
    const auto end = steady_clock::now() + std::chrono::seconds(options_.seconds);
    auto next_harm = steady_clock::now() + milliseconds(2000);
    while (steady_clock::now() < end && checked_.problems().empty()) {
      std::this_thread::sleep_for(milliseconds(random_.Between(50, 500)));
      Resume(steady_clock::now());
      for (Observer& observer : observers_) observer.GoOn();
      if (steady_clock::now() > next_harm) {
        harm_.Once();
        next_harm = steady_clock::now() + milliseconds(random_.Between(1000, 8000));
      } else if (random_.OneIn(5)) {
        Hurt(random_.Below(contenders_.size()));
      } else if (const std::optional<size_t> holder = FindHolder(client)) {
        Hurt(*holder);
      }
    }
    Resume(steady_clock::time_point::max());
    // Those that were stopped last try to write on.
    std::this_thread::sleep_for(milliseconds(1000));
  }

  // Whoever has written last holds the lock, most of the times.
  std::optional<size_t> FindHolder(const Client& client) {
    const auto counter = client.kv().Get(kCounterKey);
    CounterValue value;
    if (!counter.ok() || !counter->kv || !ParseCounter(counter->kv->value, &value)) {
      return std::nullopt;
    }
    return std::stoul(value.writer);
  }

  void Hurt(size_t number) {
    Contender& contender = contenders_[number];
    if (contender.stopped_until) return;
    if (random_.OneIn(2)) {
      ++kills_;
      KillChild(contender.pid);
      Start(number);
    } else {
      ++pauses_;
      kill(contender.pid, SIGSTOP);
      // About the time to live of its lease, so that it comes back to either end of it.
      contender.stopped_until = steady_clock::now() + milliseconds(random_.Between(1000, 6000));
    }
  }

  void Resume(steady_clock::time_point now) {
    for (Contender& contender : contenders_) {
      if (!contender.stopped_until || *contender.stopped_until > now) continue;
      kill(contender.pid, SIGCONT);
      contender.stopped_until.reset();
    }
  }

  void ReadLogs(FencingHistory* history) {
    for (size_t number = 0; number < contenders_.size(); ++number) {
      std::string error;
      if (!ReadContenderLog(LogPath(number), static_cast<int>(number), history, &error)) {
        return Problem("a contender said what is not understood: " + error);
      }
    }
  }

  bool AnyRefused() {
    FencingHistory history;
    ReadLogs(&history);
    return std::any_of(history.writes.begin(), history.writes.end(), [](const GuardedWrite& write) {
      return write.end == GuardedWrite::End::kRefused;
    });
  }

  void CheckAll(const Client& client) {
    FencingHistory history;
    if (!ReadTruth(client, &history)) return;
    ReadLogs(&history);
    CheckObservers();
    for (const std::string& violation : CheckFencing(history)) Problem(violation);
    int64_t done = 0;
    int64_t refused = 0;
    for (const GuardedWrite& write : history.writes) {
      done += write.end == GuardedWrite::End::kDone;
      refused += write.end == GuardedWrite::End::kRefused;
    }
    std::printf(
        "contenders: %d killed, %d stopped; members: %d killed, %d stopped, %d of them leaders\n"
        "locked %zu times; %zu guarded writes: %lld done, %lld refused, %lld unknown\n",
        kills_, pauses_, harm_.kills(), harm_.pauses(), harm_.of_leaders(),
        history.acquisitions.size(), history.writes.size(), static_cast<long long>(done),
        static_cast<long long>(refused),
        static_cast<long long>(history.writes.size()) - static_cast<long long>(done + refused));
    if (refused == 0 || history.acquisitions.size() < static_cast<size_t>(options_.seconds / 2)) {
      Problem("too little was locked or refused for the check to mean anything");
    }
  }

  void CheckObservers() {
    if (observers_.empty()) return;
    size_t told = 0;
    for (Observer& observer : observers_) {
      for (std::vector<ToldLeader>& stream : observer.Stop()) {
        told += stream.size();
        election_.streams.push_back(std::move(stream));
      }
    }
    for (const std::string& violation : CheckLeaders(election_)) Problem(violation);
    std::printf("%zu streams of observers told %zu times who leads, of %zu versions\n",
                election_.streams.size(), told, election_.versions.size());
    if (told < static_cast<size_t>(options_.seconds)) {
      Problem("too little was observed for the check to mean anything");
    }
  }

  // Everything from the first revision on, up to a key that is put last.
  bool ReadTruth(const Client& client, FencingHistory* history) {
    client::Result<client::PutResponse> end = client.kv().Put(kEndKey, "");
    for (int tries = 0; !end.ok() && tries < 10; ++tries) end = client.kv().Put(kEndKey, "");
    if (!end.ok()) {
      Problem("no write at the end: " + end.status().ToString());
      return false;
    }
    std::map<std::string, LockKey> alive;
    client::Watcher watcher =
        client.watch().Start({.range = client::KeyRange::All(), .start_revision = 1});
    while (true) {
      const Result<client::WatchBatch> batch = watcher.Next();
      if (!batch.ok()) {
        Problem("the history cannot be read: " + batch.status().ToString());
        return false;
      }
      for (const client::WatchEvent& event : batch->events) {
        if (event.kv.key == kEndKey) {
          for (const auto& [key, life] : alive) AddLife(key, life, history);
          return true;
        }
        AddEvent(event, &alive, history);
      }
    }
  }

  void AddEvent(const client::WatchEvent& event, std::map<std::string, LockKey>* alive,
                FencingHistory* history) {
    const client::KeyValue& kv = event.kv;
    if (kv.key == kCounterKey) {
      CounterValue value;
      value.revision = kv.mod_revision;
      if (!ParseCounter(kv.value, &value)) Problem("the counter is \"" + kv.value + "\"");
      history->values.push_back(value);
    } else if (event.type == client::EventType::kDelete) {
      LockKey life = (*alive)[kv.key];
      life.deleted = kv.mod_revision;
      AddLife(kv.key, life, history);
      alive->erase(kv.key);
    } else {
      (*alive)[kv.key] = {kv.create_revision, 0};
      election_.versions.push_back({kv.key, kv.create_revision, kv.mod_revision, kv.value});
    }
  }

  void AddLife(const std::string& key, const LockKey& life, FencingHistory* history) {
    history->keys.push_back(life);
    election_.lives.push_back({key, life.created, life.deleted});
  }

  const ScenarioOptions options_;
  const LockWay way_;
  raft::Random random_;
  CheckedCluster checked_;
  Harm harm_;
  std::vector<Contender> contenders_;
  std::deque<Observer> observers_;
  ElectionHistory election_;  // Of the same keys, for what observers are told.
  int kills_ = 0;
  int pauses_ = 0;
};

}  // namespace

std::vector<std::string> RunLocks(const ScenarioOptions& options) {
  return Locks(options, LockWay::kMutex).Run();
}

std::vector<std::string> RunServiceLocks(const ScenarioOptions& options) {
  return Locks(options, LockWay::kLock).Run();
}

std::vector<std::string> RunElections(const ScenarioOptions& options) {
  return Locks(options, LockWay::kElection).Run();
}

}  // namespace gavel::chaos
