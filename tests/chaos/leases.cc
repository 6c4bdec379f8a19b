// Leases that are kept alive by many clients while leaders are killed.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <functional>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "client/client.h"
#include "tests/chaos/checked_cluster.h"
#include "tests/chaos/harm.h"
#include "tests/chaos/in_flight.h"
#include "tests/chaos/lease_times.h"
#include "tests/chaos/lease_watch.h"
#include "tests/chaos/member_load.h"
#include "tests/chaos/scenario.h"

namespace gavel::chaos {
namespace {

using client::Client;
using client::Result;
using client::Session;
using client::Status;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr int kInFlightMax = 1000;
constexpr int kTriesMax = 10;
// The TTL is the shortest, or what lets renewals, three in a TTL, come no faster than this: any
// longer one would make up for renewals that were lost.
constexpr int64_t kTtlSecondsMin = 6;
constexpr int64_t kRenewalsPerSecond = 5000;
// What a lease may outlive its TTL and the failover by.
constexpr seconds kPromised{1};
constexpr milliseconds kProbePeriod{20};
// A lease may wait for the entry under way, for its own, and for the event of its end: each may
// take what a put takes that is under way at the same time.
constexpr int kWaitsForALease = 3;

// Puts, and keeps the longest that one took: how slow the machine is for everything.
class Probe {
 public:
  explicit Probe(const Client& client) : thread_([this, &client] { Put(client); }) {}

  nanoseconds Stop() {
    stopping_ = true;
    thread_.join();
    return longest_;
  }

 private:
  void Put(const Client& client) {
    while (!stopping_) {
      const auto start = steady_clock::now();
      static_cast<void>(client.kv().Put("probe", ""));
      longest_ = std::max<nanoseconds>(longest_, steady_clock::now() - start);
      std::this_thread::sleep_until(start + kProbePeriod);
    }
  }

  std::atomic<bool> stopping_ = false;
  nanoseconds longest_{0};  // Of the thread, until it has ended.
  std::thread thread_;
};

ClusterOptions WithMetrics(ClusterOptions options) {
  options.metrics = true;
  return options;
}

class Leases {
 public:
  explicit Leases(const ScenarioOptions& options)
      : options_(options),
        ttl_(std::max(kTtlSecondsMin, 3 * options.count / kRenewalsPerSecond)),
        checked_(WithMetrics(options.cluster)),
        sessions_(static_cast<size_t>(options.count)),
        ends_(static_cast<size_t>(options.count)) {}

  std::vector<std::string> Run() {
    if (checked_.Start() && Connect()) Live();
    if (checked_.problems().empty()) checked_.StopAll();
    return checked_.problems();
  }

 private:
  void Problem(const std::string& what) { checked_.problems().push_back(what); }

  Client& client_of(size_t lease) { return clients_[lease % clients_.size()]; }

  bool Connect() {
    std::vector<std::string> targets = checked_.cluster().targets();
    for (int number = 0; number < options_.clients; ++number) {
      // Each begins with another member.
      std::rotate(targets.begin(), targets.begin() + 1, targets.end());
      Result<Client> client =
          Client::Create({.endpoints = targets, .silence_timeout = milliseconds(1000)});
      if (!client.ok()) Problem(client.status().ToString());
      if (client.ok()) clients_.push_back(*std::move(client));
    }
    return checked_.problems().empty();
  }

  void Live() {
    Result<Client> watching = Client::Create({.endpoints = checked_.cluster().targets()});
    if (!watching.ok()) return Problem(watching.status().ToString());
    LeaseWatch watch(*watching, options_.count);
    const double base = LargestMember();
    if (!OpenAll()) return;
    const double most = LargestMember();
    std::printf("resident memory of the largest member: %.1f MiB before, %.1f MiB then\n",
                base / (1 << 20), most / (1 << 20));
    KeepAlive(options_.seconds, options_.kills);
    CheckNoneLost(watch);
    if (!checked_.problems().empty() || !StopRenewals()) return;
    // One more failover, which nobody's renewal makes up for.
    const milliseconds failover = KillLeader();
    if (!checked_.problems().empty()) return;
    AwaitEnds(watch, failover);
  }

  // Its resident bytes.
  double LargestMember() {
    double largest = 0;
    for (int member = 0; member < checked_.cluster().size(); ++member) {
      const auto load =
          ReadLoad(checked_.cluster().metrics_target(member), checked_.cluster().pid(member));
      if (!load) Problem("a member does not tell how large it is");
      largest = std::max(largest, load.value_or(MemberLoad()).resident_bytes);
    }
    return largest;
  }

  // Starts `begin` for each lease, again for those that it was not `done` for. `begin` has to call
  // in_flight->End() in the end.
  bool ForAll(const char* what, const std::function<bool(size_t)>& done,
              const std::function<void(size_t, InFlight*)>& begin) {
    const auto start = steady_clock::now();
    for (int tries = 0; tries < kTriesMax; ++tries) {
      InFlight in_flight(kInFlightMax);
      bool all = true;
      for (size_t lease = 0; lease < sessions_.size(); ++lease) {
        if (done(lease)) continue;
        all = false;
        in_flight.Begin();
        begin(lease, &in_flight);
      }
      in_flight.AwaitNone();
      if (all) {
        const std::chrono::duration<double> took = steady_clock::now() - start;
        std::printf("%s: %.1f s\n", what, took.count());
        std::fflush(stdout);
        return true;
      }
    }
    Problem(std::string("not all leases were ") + what);
    return false;
  }

  bool OpenAll() {
    std::vector<std::atomic<bool>> ready(sessions_.size());
    return ForAll(
        "granted, each with a key", [&](size_t lease) { return ready[lease].load(); },
        [&](size_t lease, InFlight* in_flight) {
          const auto put_key = [this, lease, in_flight, &ready] {
            client_of(lease)
                .kv()
                .PutAsync({.key = LeaseKey(lease), .value = "", .lease = sessions_[lease]->lease()})
                .Then([lease, in_flight, &ready](const Result<client::PutResponse>& put) {
                  ready[lease] = put.ok();
                  in_flight->End();
                });
          };
          if (sessions_[lease]) return put_key();
          client_of(lease)
              .lease()
              .OpenAsync(
                  {.ttl = ttl_,
                   .on_lost = [this, lease](const Status& why) { OnLost(lease, why); },
                   .on_renewed =
                       [this, lease](const client::LeaseKeepAliveResponse&) { OnRenewed(lease); }})
              .Then([this, lease, in_flight, put_key](const Result<Session>& session) {
                if (!session.ok()) return in_flight->End();
                sessions_[lease] = *session;
                put_key();
              });
        });
  }

  void OnLost(size_t lease, const Status& why) {
    std::lock_guard lock(lost_mutex_);
    if (++lost_ <= 5) {
      std::printf("lease %zu was lost: %s\n", lease, why.ToString().c_str());
    }
  }

  // Renewals go on by themselves.
  void KeepAlive(int for_seconds, int kills) {
    const auto start = steady_clock::now();
    const auto end = start + seconds(for_seconds);
    for (int kill = 1; kill <= kills && checked_.problems().empty(); ++kill) {
      std::this_thread::sleep_until(start + (end - start) * kill / (kills + 1));
      KillLeader();
    }
    std::this_thread::sleep_until(end);
  }

  // Returns how long no write was possible.
  milliseconds KillLeader() {
    const int leader = FindLeader(checked_.cluster());
    if (leader < 0) {
      Problem("there is no leader");
      return milliseconds(0);
    }
    checked_.cluster().Kill(leader);
    const milliseconds failover = AwaitWrites(checked_.cluster(), leader);
    std::printf("leader killed: no write for %lld ms\n", static_cast<long long>(failover.count()));
    std::fflush(stdout);
    const auto start = steady_clock::now();
    checked_.cluster().Start(leader);
    checked_.AllServe();
    const std::chrono::duration<double> took = steady_clock::now() - start;
    std::printf("it serves again %.1f s after its start\n", took.count());
    std::fflush(stdout);
    return failover;
  }

  void CheckNoneLost(LeaseWatch& watch) {
    {
      std::lock_guard lock(lost_mutex_);
      if (lost_ > 0) Problem(std::to_string(lost_) + " leases were lost");
    }
    if (watch.gone() > 0) Problem(std::to_string(watch.gone()) + " leases ended while renewed");
    const auto list = clients_[0].lease().List();
    if (!list.ok()) return Problem("leases cannot be listed: " + list.status().ToString());
    const std::set<int64_t> there(list->ids.begin(), list->ids.end());
    size_t missing = 0;
    for (const auto& session : sessions_) missing += !there.contains(session->lease());
    if (missing > 0) Problem(std::to_string(missing) + " leases are not listed");
    std::printf("kept alive: %lld renewals confirmed to %zu clients, TTL %lld s\n",
                static_cast<long long>(renewals_), clients_.size(),
                static_cast<long long>(ttl_.count()));
    std::fflush(stdout);
    if (renewals_ < options_.count) Problem("too little was renewed for this to mean anything");
  }

  // On the client's thread, after each renewal that was confirmed. In the end it is the last one:
  // no other is under way then, so both ends of when it was carried out are known.
  void OnRenewed(size_t lease) {
    ++renewals_;
    if (!ending_ || ends_[lease].answered_ns != 0) return;
    ends_[lease].answered_ns = MonotonicNs();
    Session& session = *sessions_[lease];
    const std::chrono::nanoseconds since_sent = ttl_ - session.valid_for();
    ends_[lease].sent_ns = ends_[lease].answered_ns - since_sent.count();
    session.Stop();
    ++ended_;
  }

  bool StopRenewals() {
    ending_ = true;
    const auto give_up = steady_clock::now() + ttl_;
    while (ended_ < options_.count && steady_clock::now() < give_up) {
      std::this_thread::sleep_for(milliseconds(100));
    }
    if (ended_ < options_.count) Problem("not all leases were renewed within a TTL");
    return checked_.problems().empty();
  }

  void AwaitEnds(LeaseWatch& watch, milliseconds failover) {
    Probe probe(clients_[0]);
    watch.AwaitGone(options_.count, ttl_ + failover + seconds(60));
    const nanoseconds longest_put = probe.Stop();
    const nanoseconds slowness = options_.strict ? nanoseconds(0) : kWaitsForALease * longest_put;
    for (size_t lease = 0; lease < ends_.size(); ++lease) {
      ends_[lease].gone_ns = watch.gone_at(lease);
    }
    const LeasePromise promise = {.ttl_ns = std::chrono::nanoseconds(ttl_).count(),
                                  .failover_ns = std::chrono::nanoseconds(failover).count(),
                                  .slack_ns = nanoseconds(kPromised + slowness).count()};
    const LeaseTimes times = CheckLeaseTimes(ends_, promise);
    for (const std::string& violation : times.violations) Problem(violation);
    std::printf(
        "%lld leases ended: the last at TTL + %.2f s, with a failover of %.2f s in it; the longest "
        "put meanwhile took %.2f s\n",
        static_cast<long long>(watch.gone()), static_cast<double>(times.longest_over_ns) / 1e9,
        static_cast<double>(promise.failover_ns) / 1e9,
        static_cast<double>(longest_put.count()) / 1e9);
  }

  const ScenarioOptions options_;
  const seconds ttl_;
  CheckedCluster checked_;
  std::mutex lost_mutex_;
  int64_t lost_ = 0;  // Guarded by lost_mutex_.
  std::atomic<int64_t> renewals_ = 0;
  std::atomic<bool> ending_ = false;
  std::atomic<int64_t> ended_ = 0;  // Leases that are not renewed any more.
  std::vector<Client> clients_;
  std::vector<std::optional<Session>> sessions_;
  std::vector<LeaseEnd> ends_;
};

}  // namespace

std::vector<std::string> RunLeases(const ScenarioOptions& options) { return Leases(options).Run(); }

}  // namespace gavel::chaos
