// Members that are away for so long that they need a snapshot, and are killed while they get it.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "raft/random.h"
#include "tests/chaos/checked_cluster.h"
#include "tests/chaos/kv_client.h"
#include "tests/chaos/scenario.h"
#include "tests/chaos/workload.h"

namespace gavel::chaos {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// What a member misses: more than a segment of the log, and more than the others keep in memory.
constexpr int kMissedWrites = 160;
constexpr size_t kMissedBytes = 250'000;

constexpr char kInstalled[] = "a snapshot has taken the place of the state";
constexpr std::chrono::seconds kInstallPatience(60);

void Sleep(uint64_t ms) { std::this_thread::sleep_for(milliseconds(ms)); }

class Snapshots {
 public:
  explicit Snapshots(const ScenarioOptions& options)
      : options_(options), random_(options.seed), checked_(WithLittleLog(options.cluster)) {}

  std::vector<std::string> Run() {
    if (!checked_.Start()) return checked_.problems();
    Workload workload({.targets = cluster().targets(), .seed = options_.seed, .pause_us = 20000});
    int64_t kills = 0;
    for (int64_t round = 0; kills < options_.count && checked_.problems().empty(); ++round) {
      kills += Round(static_cast<int>(random_.Below(static_cast<uint64_t>(cluster().size()))));
    }
    workload.Stop();
    if (!checked_.problems().empty()) return checked_.problems();
    std::printf("%lld kills of members that needed a snapshot, %d installs; slowest %.2f s\n",
                static_cast<long long>(kills), installs_, slowest_s_);
    checked_.CheckAll(workload, options_.count);
    checked_.StopAll();
    return checked_.problems();
  }

 private:
  ProcessCluster& cluster() { return checked_.cluster(); }

  // Returns how often the member was killed while it was being brought up.
  int64_t Round(int member) {
    const int before = CountInstalls(member);
    cluster().Kill(member);
    PutLarge((member + 1) % cluster().size());
    int64_t kills = 0;
    for (uint64_t left = random_.Below(4); left > 0; --left, ++kills) {
      cluster().Start(member);
      Sleep(random_.Below(random_.OneIn(2) ? 400 : 2500));
      if (!checked_.NobodyDied()) return kills;
      cluster().Kill(member);
    }
    const auto began = steady_clock::now();
    cluster().Start(member);
    while (CountInstalls(member) == before) {
      if (steady_clock::now() - began > kInstallPatience) {
        checked_.Problem(member, "was not brought up by a snapshot within a minute");
        return kills;
      }
      Sleep(20);
    }
    const std::chrono::duration<double> took = steady_clock::now() - began;
    slowest_s_ = std::max(slowest_s_, took.count());
    installs_ += CountInstalls(member) - before;
    checked_.AllServe();
    return kills;
  }

  void PutLarge(int member) {
    KvClient client(cluster().targets()[static_cast<size_t>(member)]);
    client.set_timeout(std::chrono::seconds(10));
    std::string value(kMissedBytes, 'v');
    for (int number = 0; number < kMissedWrites; ++number) {
      // Something that compression does not make small.
      for (size_t at = 0; at + 8 <= value.size(); at += 16) {
        const uint64_t bits = random_.Next();
        value.replace(at, 8, reinterpret_cast<const char*>(&bits), 8);
      }
      etcdserverpb::PutRequest request;
      request.set_key("large" + std::to_string(number % 100));
      request.set_value(value);
      etcdserverpb::PutResponse response;
      client.Put(request, &response);
    }
  }

  int CountInstalls(int member) {
    std::ifstream log(cluster().LogPath(member));
    int count = 0;
    for (std::string line; std::getline(log, line);) {
      if (line.find(kInstalled) != std::string::npos) ++count;
    }
    return count;
  }

  const ScenarioOptions options_;
  raft::Random random_;
  CheckedCluster checked_;
  int installs_ = 0;
  double slowest_s_ = 0;
};

}  // namespace

std::vector<std::string> RunSnapshots(const ScenarioOptions& options) {
  return Snapshots(options).Run();
}

}  // namespace gavel::chaos
