#include "server/metrics.h"

#include <algorithm>
#include <utility>

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include "raft/check.h"
#include "storage/mutex.h"

namespace gavel::server {
namespace {

class PrometheusCounter final : public Counter {
 public:
  explicit PrometheusCounter(prometheus::Counter& counter) : counter_(counter) {}
  void Increment(double by) override { counter_.Increment(by); }
  void RaiseTo(double total) override { counter_.Increment(total - counter_.Value()); }

 private:
  prometheus::Counter& counter_;
};

class PrometheusGauge final : public Gauge {
 public:
  explicit PrometheusGauge(prometheus::Gauge& gauge) : gauge_(gauge) {}
  void Set(double value) override { gauge_.Set(value); }
  void Add(double by) override { gauge_.Increment(by); }

 private:
  prometheus::Gauge& gauge_;
};

class PrometheusHistogram final : public Histogram {
 public:
  explicit PrometheusHistogram(prometheus::Histogram& histogram) : histogram_(histogram) {}
  void Observe(double value) override { histogram_.Observe(value); }

 private:
  prometheus::Histogram& histogram_;
};

using Key = std::pair<std::string, Labels>;

// Call-backs that run before a scrape. A handle may outlive the Metrics object.
struct Refreshers {
  Mutex mutex;
  std::map<uint64_t, std::function<void()>> by_id ABSL_GUARDED_BY(mutex);
  uint64_t next_id ABSL_GUARDED_BY(mutex) = 0;
};

// Removes its call-back when it is destroyed.
struct RefresherHandle {
  RefresherHandle(std::shared_ptr<Refreshers> owner, uint64_t number)
      : refreshers(std::move(owner)), id(number) {}
  ~RefresherHandle() {
    const MutexLock lock(refreshers->mutex);
    refreshers->by_id.erase(id);
  }
  RefresherHandle(const RefresherHandle&) = delete;
  RefresherHandle& operator=(const RefresherHandle&) = delete;

  std::shared_ptr<Refreshers> refreshers;
  uint64_t id;
};

}  // namespace

class Metrics::Impl {
 public:
  Mutex mutex;
  prometheus::Registry registry;  // Thread-safe, as are the metrics themselves.
  std::map<Key, std::unique_ptr<PrometheusCounter>> counters ABSL_GUARDED_BY(mutex);
  std::map<Key, std::unique_ptr<PrometheusGauge>> gauges ABSL_GUARDED_BY(mutex);
  std::map<Key, std::unique_ptr<PrometheusHistogram>> histograms ABSL_GUARDED_BY(mutex);
  std::shared_ptr<Refreshers> refreshers = std::make_shared<Refreshers>();
};

Metrics::Metrics() : impl_(std::make_unique<Impl>()) {}

Metrics::~Metrics() = default;

Counter& Metrics::AddCounter(const std::string& name, const std::string& help,
                             const Labels& labels) {
  const MutexLock lock(impl_->mutex);
  auto& slot = impl_->counters[{name, labels}];
  if (slot == nullptr) {
    auto& family = prometheus::BuildCounter().Name(name).Help(help).Register(impl_->registry);
    slot = std::make_unique<PrometheusCounter>(family.Add(labels));
  }
  return *slot;
}

Gauge& Metrics::AddGauge(const std::string& name, const std::string& help, const Labels& labels) {
  const MutexLock lock(impl_->mutex);
  auto& slot = impl_->gauges[{name, labels}];
  if (slot == nullptr) {
    auto& family = prometheus::BuildGauge().Name(name).Help(help).Register(impl_->registry);
    slot = std::make_unique<PrometheusGauge>(family.Add(labels));
  }
  return *slot;
}

Histogram& Metrics::AddHistogram(const std::string& name, const std::string& help,
                                 const std::vector<double>& buckets, const Labels& labels) {
  GAVEL_CHECK(std::is_sorted(buckets.begin(), buckets.end())) << name;
  const MutexLock lock(impl_->mutex);
  auto& slot = impl_->histograms[{name, labels}];
  if (slot == nullptr) {
    auto& family = prometheus::BuildHistogram().Name(name).Help(help).Register(impl_->registry);
    slot = std::make_unique<PrometheusHistogram>(family.Add(labels, buckets));
  }
  return *slot;
}

std::shared_ptr<void> Metrics::OnScrape(std::function<void()> refresh) {
  Refreshers& refreshers = *impl_->refreshers;
  const MutexLock lock(refreshers.mutex);
  const uint64_t id = refreshers.next_id++;
  refreshers.by_id.emplace(id, std::move(refresh));
  return std::make_shared<RefresherHandle>(impl_->refreshers, id);
}

std::string Metrics::Text() {
  {
    // Held while calling out, so that a handle's destructor waits for a running call-back: its
    // owner may be gone right after. A call-back must not touch handles.
    const MutexLock lock(impl_->refreshers->mutex);
    for (const auto& [id, refresh] : impl_->refreshers->by_id) refresh();
  }
  return prometheus::TextSerializer().Serialize(impl_->registry.Collect());
}

std::vector<double> ExponentialBuckets(double start, double factor, int count) {
  GAVEL_CHECK(start > 0 && factor > 1 && count > 0);
  std::vector<double> bounds;
  bounds.reserve(static_cast<size_t>(count));
  for (double bound = start; count > 0; --count, bound *= factor) bounds.push_back(bound);
  return bounds;
}

}  // namespace gavel::server
