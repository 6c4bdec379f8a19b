#include "tests/chaos/checked_cluster.h"

#include <chrono>
#include <cstdio>
#include <thread>

#include "tests/chaos/kv_client.h"

namespace gavel::chaos {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

bool ServesNow(const std::string& target) {
  KvClient client(target);
  client.set_timeout(milliseconds(1000));
  etcdserverpb::RangeRequest request;
  request.set_key(kPrefix);
  etcdserverpb::RangeResponse response;
  return client.Range(request, &response) == Outcome::kOk;
}

bool WaitUntilServes(const std::string& target) {
  const auto give_up = steady_clock::now() + std::chrono::minutes(1);
  while (steady_clock::now() < give_up) {
    if (ServesNow(target)) return true;
    std::this_thread::sleep_for(milliseconds(20));
  }
  return false;
}

bool CheckedCluster::Start() {
  for (int member = 0; member < cluster_.size(); ++member) cluster_.Start(member);
  return AllServe();
}

bool CheckedCluster::AllServe() {
  for (int member = 0; member < cluster_.size(); ++member) {
    if (cluster_.Died(member)) {
      Problem(member, "ended by itself");
    } else if (!WaitUntilServes(cluster_.targets()[member])) {
      Problem(member, "did not serve within a minute");
    }
  }
  return problems_.empty();
}

bool CheckedCluster::NobodyDied() {
  for (int member = 0; member < cluster_.size(); ++member) {
    if (cluster_.Died(member)) Problem(member, "ended by itself");
  }
  return problems_.empty();
}

void CheckedCluster::Problem(int member, const std::string& what) {
  problems_.push_back("member " + std::to_string(member) + " " + what +
                      " (log: " + cluster_.LogPath(member) + ")");
}

// The newest revision, by a linearizable read. A member that is still busy with what came before is
// waited for, as at its start.
std::optional<int64_t> CheckedCluster::LastRevision() {
  if (!WaitUntilServes(cluster_.targets()[0])) return std::nullopt;
  KvClient client(cluster_.targets()[0]);
  client.set_timeout(std::chrono::seconds(30));
  etcdserverpb::RangeRequest request;
  request.set_key(kPrefix);
  etcdserverpb::RangeResponse response;
  if (client.Range(request, &response) != Outcome::kOk) return std::nullopt;
  return response.header().revision();
}

std::optional<CheckResult> CheckedCluster::CheckHistory(Workload& workload) {
  const std::optional<int64_t> last = LastRevision();
  if (!last) {
    Problem(0, "does not answer at the end");
    return std::nullopt;
  }
  Truth truth;
  std::string error;
  if (!ReadTruth(cluster_.targets()[0], *last, &truth, &error)) {
    Problem(0, "cannot tell its history: " + error);
    return std::nullopt;
  }
  return Check(workload.TakeOperations(), truth, workload.TakeRefused());
}

void CheckedCluster::CheckAll(Workload& workload, int64_t operations_min) {
  const std::optional<int64_t> last = LastRevision();
  const std::optional<CheckResult> result = CheckHistory(workload);
  if (!last || !result) return;
  CheckHashes(*last);
  for (const std::string& violation : result->violations) problems_.push_back(violation);
  std::printf(
      "%lld writes acknowledged, %lld unknown (%lld of them carried out), %lld linearizable reads, "
      "revision %lld\n",
      static_cast<long long>(result->acknowledged_writes),
      static_cast<long long>(result->unknown_writes),
      static_cast<long long>(result->unknown_writes_present), static_cast<long long>(result->reads),
      static_cast<long long>(*last));
  if (result->acknowledged_writes < operations_min || result->reads < operations_min) {
    problems_.push_back("too little was written or read for the check to mean anything");
  }
}

void CheckedCluster::CheckHashes(int64_t revision) {
  std::optional<uint32_t> expected;
  for (int member = 0; member < cluster_.size(); ++member) {
    // A linearizable read brings the member up to date first.
    WaitUntilServes(cluster_.targets()[member]);
    KvClient client(cluster_.targets()[member]);
    client.set_timeout(std::chrono::seconds(30));
    etcdserverpb::HashKVResponse response;
    if (client.HashKv(revision, &response) != Outcome::kOk) {
      Problem(member, "does not hash: " + client.last_error());
    } else if (expected && *expected != response.hash()) {
      Problem(member, "holds other data than member 0");
    } else {
      expected = response.hash();
    }
  }
}

void CheckedCluster::StopAll() {
  for (int member = 0; member < cluster_.size(); ++member) {
    if (!cluster_.Stop(member)) Problem(member, "did not leave cleanly on SIGTERM");
  }
}

}  // namespace gavel::chaos
