#include "client/ctl/load.h"

#include <algorithm>
#include <cmath>
#include <condition_variable>
#include <memory>
#include <random>
#include <thread>

#include "client/internal/local_mutex.h"

namespace gavel::client::ctl {
namespace {

using Clock = std::chrono::steady_clock;

// A generator that falls behind catches up on this much, and lets the rest of the time go.
constexpr std::chrono::milliseconds kCatchUpMax{20};

double Seconds(Clock::duration duration) { return std::chrono::duration<double>(duration).count(); }

// What the callbacks of all clients add to.
class Results {
 public:
  // Waits until fewer than `most` writes are under way, and counts one more.
  void Begin(int64_t most) {
    internal::LocalLock lock(mutex_);
    while (under_way_ >= most) lock.Wait(ended_);
    ++under_way_;
  }

  void End(const Status& status, double time_s) {
    const internal::LocalLock lock(mutex_);
    if (status.ok()) {
      times_s_.push_back(time_s);
    } else {
      ++errors_[status.message()];
    }
    --under_way_;
    ended_.notify_all();
  }

  LoadStatistics Finish(Clock::time_point start) {
    internal::LocalLock lock(mutex_);
    while (under_way_ != 0) lock.Wait(ended_);
    LoadStatistics statistics = Summarize(times_s_, Seconds(Clock::now() - start));
    statistics.errors = errors_;
    return statistics;
  }

 private:
  internal::LocalMutex mutex_;
  std::condition_variable ended_;
  int64_t under_way_ GAVEL_GUARDED_BY(mutex_) = 0;
  std::vector<double> times_s_ GAVEL_GUARDED_BY(mutex_);
  std::map<std::string, int64_t> errors_ GAVEL_GUARDED_BY(mutex_);
};

}  // namespace

LoadStatistics Summarize(const std::vector<double>& times_s, double total_s) {
  LoadStatistics statistics;
  statistics.writes = static_cast<int64_t>(times_s.size());
  if (times_s.empty() || total_s <= 0) return statistics;
  const double count = static_cast<double>(times_s.size());
  double sum = 0;
  for (const double time : times_s) {
    sum += time;
    statistics.slowest_s = std::max(statistics.slowest_s, time);
  }
  double squares = 0;
  for (const double time : times_s) squares += (time - sum / count) * (time - sum / count);
  statistics.deviation_s = std::sqrt(squares / count);
  statistics.writes_per_second = count / total_s;
  return statistics;
}

LoadStatistics RunLoad(const LoadPlan& plan, const std::vector<Client>& clients,
                       const std::atomic<bool>& stop,
                       const std::function<void(int64_t, int64_t)>& each_second) {
  const auto results = std::make_shared<Results>();
  const std::string value(plan.value_bytes, '\0');
  const bool even = plan.writes_per_second > 0;
  const Clock::duration interval =
      even ? Clock::duration(std::chrono::seconds(1)) / plan.writes_per_second
           : Clock::duration::zero();
  std::mt19937_64 random(std::random_device{}());
  const Clock::time_point start = Clock::now();
  Clock::time_point due = start;
  int64_t second = 0;
  for (int64_t number = 0; !stop; ++number) {
    if (plan.writes_max > 0 && number == plan.writes_max) break;
    if (even) std::this_thread::sleep_until(due);
    const Clock::time_point now = Clock::now();
    if (plan.duration.count() > 0 && now - start >= plan.duration) break;
    due = std::max(due, now - kCatchUpMax) + interval;
    if (now - start >= std::chrono::seconds(second + 1)) each_second(++second, number);
    std::string key = plan.prefix;
    const uint64_t name = random();
    for (size_t i = 0; i < plan.key_bytes; ++i) {
      key += static_cast<char>(i < 8 ? name >> (8 * i) : 0);
    }
    results->Begin(plan.under_way_max);
    const Clock::time_point begun = Clock::now();
    clients[static_cast<size_t>(number) % clients.size()]
        .kv()
        .PutAsync(key, value)
        .Then([results, begun](const Result<PutResponse>& result) {
          results->End(result.status(), Seconds(Clock::now() - begun));
        });
  }
  return results->Finish(start);
}

}  // namespace gavel::client::ctl
