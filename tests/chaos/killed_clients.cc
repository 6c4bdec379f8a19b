// Clients that are killed, or stopped, without a word, and what is left of them.
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "client/client.h"
#include "tests/chaos/checked_cluster.h"
#include "tests/chaos/child.h"
#include "tests/chaos/leftovers.h"
#include "tests/chaos/member_load.h"
#include "tests/chaos/scenario.h"
#include "tests/chaos/victims.h"

namespace gavel::chaos {
namespace {

using client::Client;
using client::Result;
using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

// Clients of one process: what the limit on descriptors allows it easily.
constexpr int64_t kSliceMax = 500;
// One process in so many is stopped instead of killed: its system still answers for it, so members
// have to find out for themselves.
constexpr int kStoppedOneIn = 4;
// Then a member pings who is silent, and closes the connection.
constexpr char kPingAfter[] = "--grpc-keepalive-interval=5s";
constexpr char kPongWithin[] = "--grpc-keepalive-timeout=20s";
// What is written while they are there. More than a stream takes whose client does not read: a
// window of 64 KiB, and --stream-bytes-max.
constexpr int kPuts = 20;
constexpr size_t kValueBytes = 64 << 10;
// Memory for data has bounds, and is no client's. What fills it meanwhile would hide what clients
// leave behind: so caches are small, and the log's newest entries, which a member keeps, are there
// before anybody comes.
constexpr int kFillPuts = 400;
constexpr size_t kFillBytes = 128 << 10;
constexpr char kNoCache[] = "--block-cache-bytes=1048576";
constexpr char kNoBuffer[] = "--write-buffer-bytes=1048576";
// How long what was held may take to be given up, beyond a lease's time and a silent ping's.
constexpr seconds kPatience{120};
// The allocator gives pages back within ten seconds.
constexpr seconds kMemoryGoesBack{15};
constexpr double kGrowthMax = 0.05;
constexpr double kMiB = 1 << 20;

ClusterOptions Observable(ClusterOptions options) {
  options.metrics = true;
  options.flags = {kPingAfter, kPongWithin, kNoCache, kNoBuffer};
  return options;
}

class KilledClients {
 public:
  explicit KilledClients(const ScenarioOptions& options)
      : options_(options), checked_(Observable(options.cluster)) {}

  ~KilledClients() { EndStopped(); }
  KilledClients(const KilledClients&) = delete;
  KilledClients& operator=(const KilledClients&) = delete;

  std::vector<std::string> Run() {
    if (!checked_.Start()) return checked_.problems();
    const std::vector<MemberLoad> base = Base();
    const std::vector<MemberLoad> first = Round(base);
    const std::vector<MemberLoad> second = Good() ? Round(base) : first;
    if (checked_.problems().empty()) {
      AddProblems(NeverHeld(base, most_));
      JudgeMemory(base, first, second);
    }
    if (checked_.problems().empty()) checked_.StopAll();
    return checked_.problems();
  }

 private:
  bool Good() const { return checked_.problems().empty(); }
  void Problem(const std::string& what) { checked_.problems().push_back(what); }
  void AddProblems(const std::vector<std::string>& problems) {
    for (const std::string& problem : problems) Problem(problem);
  }

  // A client of this process, which must be gone again when it is judged what is left.
  std::optional<Client> NewClient() {
    // A busy machine is no violation.
    Result<Client> client =
        Client::Create({.endpoints = checked_.cluster().targets(), .timeout = kPatience});
    if (client.ok()) return *std::move(client);
    Problem(client.status().ToString());
    return std::nullopt;
  }

  void Put(const Client& client, const std::string& key = kWatchedByVictims,
           size_t bytes = kValueBytes) {
    const auto put = client.kv().Put(key, std::string(bytes, 'x'));
    if (!put.ok()) Problem(put.status().ToString());
  }

  std::vector<MemberLoad> Loads() {
    std::vector<MemberLoad> loads;
    for (int member = 0; member < checked_.cluster().size(); ++member) {
      const auto load =
          ReadLoad(checked_.cluster().metrics_target(member), checked_.cluster().pid(member));
      if (!load) Problem("member " + std::to_string(member) + " does not tell its metrics");
      loads.push_back(load.value_or(MemberLoad()));
    }
    return loads;
  }

  // What members hold for nobody, once they have served somebody: their own connections, and what
  // they keep for use again, are there then.
  std::vector<MemberLoad> Base() {
    {
      const std::optional<Client> client = NewClient();
      for (int put = 0; client && put < kFillPuts && Good(); ++put) {
        Put(*client, "filling", kFillBytes);
      }
      if (client) EndSlice(*client, static_cast<int>(checked_.cluster().size()), SIGKILL);
    }
    ForgetHistory();
    std::vector<MemberLoad> nothing(static_cast<size_t>(checked_.cluster().size()));
    const std::vector<MemberLoad> started = Loads();
    for (size_t member = 0; member < nothing.size(); ++member) {
      for (const char* name : kHeldForClients) nothing[member].held[name] = 0;
      nothing[member].held[kSockets] = started[member].held.at(kSockets);
    }
    return AwaitNothingLeft(nothing);
  }

  // Returns what members hold when they hold no more than in the beginning.
  std::vector<MemberLoad> Round(const std::vector<MemberLoad>& base) {
    const auto start = steady_clock::now();
    const int64_t slice = std::clamp<int64_t>(options_.count / kStoppedOneIn, 1, kSliceMax);
    int64_t stopped = 0;
    for (int64_t ended = 0; ended < options_.count && Good();) {
      const std::optional<Client> client = NewClient();
      if (!client) return {};
      const int64_t clients = std::min(slice, options_.count - ended);
      const bool stops = ++slices_ % kStoppedOneIn == 0;
      EndSlice(*client, static_cast<int>(clients), stops ? SIGSTOP : SIGKILL);
      ended += clients;
      if (stops) stopped += clients;
    }
    if (!Good()) return {};
    ForgetHistory();
    std::vector<MemberLoad> left = AwaitNothingLeft(base);
    EndStopped();
    const std::chrono::duration<double> took = steady_clock::now() - start;
    std::printf("%lld clients in %.0f s, %lld of them stopped and the others killed\n",
                static_cast<long long>(options_.count), took.count(),
                static_cast<long long>(stopped));
    std::fflush(stdout);
    return left;
  }

  // Starts clients, waits until they have all they want, writes what they watch, and ends them.
  void EndSlice(const Client& client, int clients, int signal) {
    const std::string output =
        options_.cluster.directory + "/victims" + std::to_string(++processes_) + ".log";
    std::string targets;
    for (const std::string& target : checked_.cluster().targets()) {
      targets += (targets.empty() ? "" : ",") + target;
    }
    const pid_t pid =
        StartSelf({"--victims", std::to_string(clients), "--targets", targets}, output);
    if (AwaitReady(output)) {
      for (int put = 0; put < kPuts && Good(); ++put) Put(client);
      if (Good()) RaiseTo(Loads(), &most_);
    } else {
      Problem("clients do not get their streams; they say so in " + output);
    }
    if (signal == SIGSTOP) {
      kill(pid, SIGSTOP);
      stopped_.push_back(pid);
    } else {
      KillChild(pid);
    }
    Put(client);
  }

  void EndStopped() {
    for (const pid_t pid : std::exchange(stopped_, {})) KillChild(pid);
  }

  static bool AwaitReady(const std::string& output) {
    const auto give_up = steady_clock::now() + std::chrono::minutes(3);
    while (steady_clock::now() < give_up) {
      std::ifstream file(output);
      std::string line;
      if (std::getline(file, line) && !file.eof()) return line == kVictimsReady;
      std::this_thread::sleep_for(milliseconds(50));
    }
    return false;
  }

  // History is not what is measured.
  void ForgetHistory() {
    const std::optional<Client> client = NewClient();
    if (!client) return;
    const auto newest = client->kv().Get(kWatchedByVictims);
    if (!newest.ok()) return Problem(newest.status().ToString());
    const auto compacted =
        client->kv().Compact({.revision = newest->header.revision, .physical = true});
    if (!compacted.ok()) Problem(compacted.status().ToString());
  }

  // Waits until members hold no more than `base`, and a little longer, since memory that was given
  // up goes back to the system later. Returns what they hold then; nothing, with problems, if it
  // takes too long.
  std::vector<MemberLoad> AwaitNothingLeft(const std::vector<MemberLoad>& base) {
    const auto give_up = steady_clock::now() + kPatience;
    while (Good()) {
      const std::vector<std::string> left = Leftovers(base, Loads());
      if (left.empty()) {
        std::this_thread::sleep_for(kMemoryGoesBack);
        return Loads();
      }
      if (steady_clock::now() > give_up) AddProblems(left);
      std::this_thread::sleep_for(milliseconds(200));
    }
    return {};
  }

  void JudgeMemory(const std::vector<MemberLoad>& base, const std::vector<MemberLoad>& first,
                   const std::vector<MemberLoad>& second) {
    for (size_t member = 0; member < base.size(); ++member) {
      std::printf("member %zu held at most", member);
      for (const auto& [name, value] : most_[member].held) {
        std::printf(" %s %.0f", name.c_str(), value);
      }
      const double growth = second[member].resident_bytes / first[member].resident_bytes - 1;
      std::printf(
          "\nmember %zu: resident %.1f MiB before, at most %.1f MiB, after the first round "
          "%.1f MiB, after the second %.1f MiB (%+.1f%%)\n",
          member, base[member].resident_bytes / kMiB, most_[member].resident_bytes / kMiB,
          first[member].resident_bytes / kMiB, second[member].resident_bytes / kMiB, growth * 100);
    }
    if (options_.strict) AddProblems(Grown(first, second, kGrowthMax));
  }

  const ScenarioOptions options_;
  CheckedCluster checked_;
  std::vector<MemberLoad> most_;
  std::vector<pid_t> stopped_;
  int slices_ = 0;
  int processes_ = 0;
};

}  // namespace

std::vector<std::string> RunKilledClients(const ScenarioOptions& options) {
  return KilledClients(options).Run();
}

}  // namespace gavel::chaos
