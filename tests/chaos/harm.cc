#include "tests/chaos/harm.h"

#include <signal.h>

#include <chrono>
#include <string>
#include <thread>

#include "tests/chaos/kv_client.h"

namespace gavel::chaos {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

int FindLeader(const ProcessCluster& cluster) {
  const auto give_up = steady_clock::now() + std::chrono::minutes(1);
  while (steady_clock::now() < give_up) {
    // One that was deposed may not know it, so the newest term counts.
    uint64_t newest = 0;
    int leader = -1;
    for (int member = 0; member < cluster.size(); ++member) {
      if (!cluster.Runs(member)) continue;
      KvClient client(cluster.targets()[member]);
      client.set_timeout(milliseconds(500));
      etcdserverpb::StatusResponse status;
      if (client.Status(&status) != Outcome::kOk || status.raftterm() < newest) continue;
      if (status.raftterm() > newest) leader = -1;
      newest = status.raftterm();
      if (status.leader() == status.header().member_id()) leader = member;
    }
    if (leader >= 0) return leader;
    std::this_thread::sleep_for(milliseconds(20));
  }
  return -1;
}

milliseconds AwaitWrites(const ProcessCluster& cluster, int except) {
  const auto start = steady_clock::now();
  const auto waited = [&] {
    return std::chrono::duration_cast<milliseconds>(steady_clock::now() - start);
  };
  etcdserverpb::PutRequest request;
  request.set_key(std::string(kPrefix) + "awaited");
  etcdserverpb::PutResponse response;
  while (waited() < std::chrono::minutes(1)) {
    for (int member = 0; member < cluster.size(); ++member) {
      if (member == except) continue;
      KvClient client(cluster.targets()[member]);
      client.set_timeout(milliseconds(300));
      if (client.Put(request, &response) == Outcome::kOk) return waited();
    }
    std::this_thread::sleep_for(milliseconds(10));
  }
  return waited();
}

bool Harm::Once() {
  ProcessCluster& cluster = checked_.cluster();
  if (!checked_.NobodyDied()) return false;
  int member = static_cast<int>(random_.Below(static_cast<uint64_t>(cluster.size())));
  if (random_.OneIn(2)) {
    const int leader = FindLeader(cluster);
    if (leader >= 0) {
      member = leader;
      ++of_leaders_;
    }
  }
  if (random_.OneIn(2)) {
    ++kills_;
    cluster.Kill(member);
    std::this_thread::sleep_for(milliseconds(random_.Below(1500)));
    cluster.Start(member);
  } else {
    ++pauses_;
    cluster.Ask(member, SIGSTOP);
    std::this_thread::sleep_for(milliseconds(random_.Between(100, 3000)));
    cluster.Ask(member, SIGCONT);
  }
  return checked_.AllServe();
}

}  // namespace gavel::chaos
