// Leases that all expire in the same second.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "client/client.h"
#include "tests/chaos/checked_cluster.h"
#include "tests/chaos/in_flight.h"
#include "tests/chaos/kv_client.h"
#include "tests/chaos/lease_watch.h"
#include "tests/chaos/scenario.h"

namespace gavel::chaos {
namespace {

using client::Client;
using client::Result;
using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr int kInFlightMax = 1000;
constexpr int kWriters = 4;
// Between two writes of one writer, from start to start.
constexpr milliseconds kWritePeriod{10};
// The storm must begin no sooner than this after everything is prepared: the quiet time.
constexpr seconds kQuiet{4};

constexpr int64_t kSecondNs = std::chrono::nanoseconds(seconds(1)).count();

struct Sample {
  int64_t start_ns = 0;
  int64_t took_ns = 0;
};

// Puts at a fixed rate, and keeps how long each took.
class Writers {
 public:
  explicit Writers(std::vector<Client>& clients) {
    for (int writer = 0; writer < kWriters; ++writer) {
      threads_.emplace_back([this, writer, &clients] {
        Write(clients[static_cast<size_t>(writer) % clients.size()], writer);
      });
    }
  }

  ~Writers() { Stop(); }

  void Stop() {
    stopping_ = true;
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }

  // How long 99 of 100 puts took at most that began in [from_ns, to_ns); in ms. After Stop.
  double P99(int64_t from_ns, int64_t to_ns) const {
    std::vector<int64_t> took;
    for (const Sample& sample : samples_) {
      if (sample.start_ns >= from_ns && sample.start_ns < to_ns) took.push_back(sample.took_ns);
    }
    if (took.empty()) return 0;
    std::sort(took.begin(), took.end());
    return static_cast<double>(took[(took.size() - 1) * 99 / 100]) / 1e6;
  }

  int64_t failed() const { return failed_; }

 private:
  void Write(const Client& client, int writer) {
    auto next = steady_clock::now();
    while (!stopping_) {
      std::this_thread::sleep_until(next);
      // Late by its own fault or not, a write counts from when it was due.
      const int64_t due = std::chrono::nanoseconds(next.time_since_epoch()).count();
      next += kWritePeriod;
      const bool ok = client.kv().Put("writer/" + std::to_string(writer), "x").ok();
      std::lock_guard lock(mutex_);
      if (!ok) ++failed_;
      samples_.push_back({due, MonotonicNs() - due});
    }
  }

  std::atomic<bool> stopping_ = false;
  std::mutex mutex_;
  std::vector<Sample> samples_;  // Guarded by mutex_ until Stop.
  std::atomic<int64_t> failed_ = 0;
  std::vector<std::thread> threads_;
};

class LeaseStorm {
 public:
  explicit LeaseStorm(const ScenarioOptions& options)
      : options_(options), checked_(options.cluster) {}

  std::vector<std::string> Run() {
    if (checked_.Start() && Connect()) Storm();
    if (checked_.problems().empty()) checked_.StopAll();
    return checked_.problems();
  }

 private:
  void Problem(const std::string& what) { checked_.problems().push_back(what); }

  bool Connect() {
    for (int number = 0; number < options_.clients; ++number) {
      Result<Client> client = Client::Create({.endpoints = checked_.cluster().targets()});
      if (!client.ok()) Problem(client.status().ToString());
      if (client.ok()) clients_.push_back(*std::move(client));
    }
    return checked_.problems().empty();
  }

  void Storm() {
    Result<Client> watching = Client::Create({.endpoints = checked_.cluster().targets()});
    if (!watching.ok()) return Problem(watching.status().ToString());
    LeaseWatch watch(*watching, options_.count);
    // Room for the slowest of machines that this is meant for.
    begins_ = steady_clock::now() + seconds(8 + options_.count / 1000);
    if (!Prepare()) return;
    const uint64_t term = Term();
    Writers writers(clients_);
    const int64_t quiet_from = MonotonicNs();
    std::this_thread::sleep_until(begins_);
    const int64_t quiet_to = MonotonicNs();
    const milliseconds limit = options_.strict ? seconds(10) : seconds(60);
    if (!watch.AwaitGone(options_.count, limit)) {
      Problem("of " + std::to_string(options_.count) + " leases " + std::to_string(watch.gone()) +
              " were gone after " + std::to_string(limit.count()) + " ms. " + watch.error());
    }
    const int64_t gone = MonotonicNs();
    writers.Stop();
    if (Term() != term) Problem("there was an election");
    if (writers.failed() > 0) Problem(std::to_string(writers.failed()) + " puts failed");
    CheckAllGone();
    const double quiet_ms = writers.P99(quiet_from, quiet_to);
    const double storm_ms = writers.P99(quiet_to, gone);
    std::printf(
        "%lld leases that expired in one second were gone %.2f s after it began\n"
        "99%% of puts took at most %.2f ms before, %.2f ms meanwhile: %.2f times as long\n",
        static_cast<long long>(watch.gone()), static_cast<double>(gone - quiet_to) / 1e9, quiet_ms,
        storm_ms, storm_ms / quiet_ms);
    std::printf("of each second:");
    for (int64_t from = quiet_to; from < gone; from += kSecondNs) {
      std::printf(" %.1f", writers.P99(from, from + kSecondNs));
    }
    std::printf(" ms\n");
    if (options_.strict && storm_ms > 3 * quiet_ms) Problem("puts took more than 3 times as long");
  }

  // Grants every lease with the rest of the time until the storm, in whole seconds, so that all end
  // in the second that begins then.
  bool Prepare() {
    InFlight in_flight(kInFlightMax);
    std::atomic<int64_t> failed = 0;
    for (int64_t lease = 0; lease < options_.count; ++lease) {
      Client& client = clients_[static_cast<size_t>(lease) % clients_.size()];
      const std::string key = LeaseKey(static_cast<size_t>(lease));
      const seconds ttl = std::chrono::ceil<seconds>(begins_ - steady_clock::now());
      if (ttl < kQuiet) {
        failed = options_.count - lease;
        break;
      }
      in_flight.Begin();
      const auto end = [&in_flight, &failed](bool ok) {
        if (!ok) ++failed;
        in_flight.End();
      };
      client.lease()
          .GrantAsync({.ttl = ttl})
          .Then([end, key, &client](const Result<client::LeaseGrantResponse>& grant) {
            if (!grant.ok()) return end(false);
            client.kv()
                .PutAsync({.key = key, .value = "", .lease = grant->id})
                .Then([end](const Result<client::PutResponse>& put) { end(put.ok()); });
          });
    }
    in_flight.AwaitNone();
    const std::chrono::duration<double> left = begins_ - steady_clock::now();
    std::printf("granted, each with a key, %.1f s before the storm\n", left.count());
    std::fflush(stdout);
    if (failed > 0 || left < kQuiet) {
      Problem(std::to_string(failed) + " leases were not granted in time: take fewer");
      return false;
    }
    return true;
  }

  // The newest term of all.
  uint64_t Term() {
    uint64_t newest = 0;
    for (const std::string& target : checked_.cluster().targets()) {
      KvClient client(target);
      etcdserverpb::StatusResponse status;
      if (client.Status(&status) != Outcome::kOk) Problem(target + " does not tell its term");
      newest = std::max(newest, status.raftterm());
    }
    return newest;
  }

  void CheckAllGone() {
    const auto keys = clients_[0].kv().Range(
        {.range = client::KeyRange::Prefix(LeaseKey(0).substr(0, LeaseKey(0).size() - 1)),
         .count_only = true});
    if (!keys.ok() || keys->count != 0) Problem("keys of leases are still there");
    const auto list = clients_[0].lease().List();
    if (!list.ok() || !list->ids.empty()) Problem("leases are still there");
  }

  const ScenarioOptions options_;
  CheckedCluster checked_;
  std::vector<Client> clients_;
  steady_clock::time_point begins_;
};

}  // namespace

std::vector<std::string> RunLeaseStorm(const ScenarioOptions& options) {
  return LeaseStorm(options).Run();
}

}  // namespace gavel::chaos
