// gavel_chaos: kills members under load and checks that nothing acknowledged was lost.
//
//   gavel_chaos --server build/bin/gaveld [--cycles 20] [--members 3] [--seed S]
//
// A cycle kills one random member, or all at once, with SIGKILL under concurrent writers and
// linearizable readers, starts them again and waits until each serves. At the end the history
// is checked (history.h) and the members' hashes are compared. Prints the seed; on a violation
// keeps data and logs and says where.
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "raft/random.h"
#include "tests/chaos/cluster.h"
#include "tests/chaos/history.h"
#include "tests/chaos/kv_client.h"
#include "tests/chaos/workload.h"

namespace gavel::chaos {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

struct RunOptions {
  std::string server;
  int cycles = 20;
  int members = 3;
  uint64_t seed = 0;
};

struct RunCounts {
  int kills = 0;
  int kills_of_all = 0;
  double slowest_recovery_s = 0;
};

// Waits until `target` answers a linearizable read; false after a minute.
bool WaitUntilServes(const std::string& target) {
  const auto give_up = steady_clock::now() + std::chrono::minutes(1);
  while (steady_clock::now() < give_up) {
    KvClient client(target);
    client.set_timeout(milliseconds(1000));
    etcdserverpb::RangeRequest request;
    request.set_key(kPrefix);
    etcdserverpb::RangeResponse response;
    if (client.Range(request, &response) == Outcome::kOk) return true;
    std::this_thread::sleep_for(milliseconds(20));
  }
  return false;
}

class Run {
 public:
  Run(RunOptions options, std::string directory)
      : options_(std::move(options)),
        random_(options_.seed),
        cluster_(options_.server, std::move(directory), options_.members) {}

  // Returns what went wrong, in words; empty if nothing did.
  std::vector<std::string> Go() {
    for (int member = 0; member < cluster_.size(); ++member) cluster_.Start(member);
    if (!AllServe()) return problems_;
    Workload workload({.targets = cluster_.targets(), .seed = options_.seed});
    for (int cycle = 0; cycle < options_.cycles && problems_.empty(); ++cycle) Cycle();
    workload.Stop();
    if (!problems_.empty()) return problems_;
    CheckAll(workload);
    for (int member = 0; member < cluster_.size(); ++member) {
      if (!cluster_.Stop(member)) Problem(member, "did not leave cleanly on SIGTERM");
    }
    return problems_;
  }

 private:
  void Problem(int member, const std::string& what) {
    problems_.push_back("member " + std::to_string(member) + " " + what +
                        " (log: " + cluster_.LogPath(member) + ")");
  }

  bool AllServe() {
    for (int member = 0; member < cluster_.size(); ++member) {
      if (cluster_.Died(member)) {
        Problem(member, "ended by itself");
      } else if (!WaitUntilServes(cluster_.targets()[member])) {
        Problem(member, "did not serve within a minute");
      }
    }
    return problems_.empty();
  }

  void Cycle() {
    std::this_thread::sleep_for(milliseconds(random_.Between(50, 600)));
    for (int member = 0; member < cluster_.size(); ++member) {
      if (cluster_.Died(member)) return Problem(member, "ended by itself");
    }
    const bool all = random_.OneIn(4);
    const int victim = static_cast<int>(random_.Below(cluster_.size()));
    for (int member = 0; member < cluster_.size(); ++member) {
      if (all || member == victim) cluster_.Kill(member);
    }
    ++(all ? counts_.kills_of_all : counts_.kills);
    std::this_thread::sleep_for(milliseconds(random_.OneIn(3) ? 0 : random_.Between(0, 1500)));
    const auto began = steady_clock::now();
    for (int member = 0; member < cluster_.size(); ++member) {
      if (all || member == victim) cluster_.Start(member);
    }
    AllServe();
    const std::chrono::duration<double> took = steady_clock::now() - began;
    counts_.slowest_recovery_s = std::max(counts_.slowest_recovery_s, took.count());
  }

  // The newest revision, by a linearizable read.
  std::optional<int64_t> LastRevision() {
    KvClient client(cluster_.targets()[0]);
    etcdserverpb::RangeRequest request;
    request.set_key(kPrefix);
    etcdserverpb::RangeResponse response;
    if (client.Range(request, &response) != Outcome::kOk) return std::nullopt;
    return response.header().revision();
  }

  void CheckAll(Workload& workload) {
    const std::optional<int64_t> last = LastRevision();
    if (!last) return Problem(0, "does not answer at the end");
    CheckHashes(*last);
    Truth truth;
    std::string error;
    if (!ReadTruth(cluster_.targets()[0], *last, &truth, &error)) {
      return Problem(0, "cannot tell its history: " + error);
    }
    const CheckResult result = Check(workload.TakeOperations(), truth, workload.TakeRefused());
    for (const std::string& violation : result.violations) problems_.push_back(violation);
    std::printf(
        "%d kills of one member, %d of all %d; slowest recovery %.2f s; %lld writes acknowledged, "
        "%lld unknown (%lld of them carried out), %lld linearizable reads, revision %lld\n",
        counts_.kills, counts_.kills_of_all, cluster_.size(), counts_.slowest_recovery_s,
        static_cast<long long>(result.acknowledged_writes),
        static_cast<long long>(result.unknown_writes),
        static_cast<long long>(result.unknown_writes_present), static_cast<long long>(result.reads),
        static_cast<long long>(*last));
    if (result.acknowledged_writes < options_.cycles || result.reads < options_.cycles) {
      problems_.push_back("too little was written or read for the check to mean anything");
    }
  }

  void CheckHashes(int64_t revision) {
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

  RunOptions options_;
  raft::Random random_;
  ProcessCluster cluster_;
  RunCounts counts_;
  std::vector<std::string> problems_;
};

std::optional<RunOptions> Parse(int argc, char** argv) {
  RunOptions options;
  options.seed = static_cast<uint64_t>(std::time(nullptr));
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view name = argv[i];
    if (name == "--server") {
      options.server = argv[i + 1];
    } else if (name == "--cycles") {
      options.cycles = std::atoi(argv[i + 1]);
    } else if (name == "--members") {
      options.members = std::atoi(argv[i + 1]);
    } else if (name == "--seed") {
      options.seed = std::strtoull(argv[i + 1], nullptr, 10);
    } else {
      return std::nullopt;
    }
  }
  if (argc % 2 == 0 || options.server.empty() || options.cycles < 1 || options.members < 1) {
    return std::nullopt;
  }
  return options;
}

int Main(int argc, char** argv) {
  const std::optional<RunOptions> options = Parse(argc, argv);
  if (!options) {
    std::fprintf(stderr,
                 "usage: gavel_chaos --server PATH [--cycles N] [--members N] [--seed S]\n");
    return 2;
  }
  if (access(options->server.c_str(), X_OK) != 0) {
    std::fprintf(stderr, "gavel_chaos: %s is not a program: build gaveld first\n",
                 options->server.c_str());
    return 2;
  }
  std::string directory = (std::filesystem::temp_directory_path() / "gavel-chaos-XXXXXX").string();
  if (mkdtemp(directory.data()) == nullptr) {
    std::perror("gavel_chaos: mkdtemp");
    return 2;
  }
  std::printf("seed %llu\n", static_cast<unsigned long long>(options->seed));
  std::fflush(stdout);
  const std::vector<std::string> problems = Run(*options, directory).Go();
  for (const std::string& problem : problems) std::printf("VIOLATION: %s\n", problem.c_str());
  if (problems.empty()) {
    std::filesystem::remove_all(directory);
    std::printf("no violation\n");
    return 0;
  }
  std::printf("data and logs are kept in %s\n", directory.c_str());
  return 1;
}

}  // namespace
}  // namespace gavel::chaos

int main(int argc, char** argv) { return gavel::chaos::Main(argc, argv); }
