// Counters, gauges and histograms, served in Prometheus' text format.
//
// A part registers its metrics when it is built and keeps the references; they live as long as
// the Metrics object. Thread-safe. A thin cover over prometheus-cpp, whose headers stay out of
// ours.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace gavel::server {

using Labels = std::map<std::string, std::string>;

class Counter {
 public:
  virtual ~Counter() = default;
  virtual void Increment(double by = 1) = 0;
  // To a total that is kept elsewhere and does not fall. One caller for each counter.
  virtual void RaiseTo(double total) = 0;
};

class Gauge {
 public:
  virtual ~Gauge() = default;
  virtual void Set(double value) = 0;
  virtual void Add(double by) = 0;
};

class Histogram {
 public:
  virtual ~Histogram() = default;
  virtual void Observe(double value) = 0;
};

class Metrics {
 public:
  Metrics();
  ~Metrics();

  // Registering the same name and labels again returns the same object.
  Counter& AddCounter(const std::string& name, const std::string& help, const Labels& labels = {});
  Gauge& AddGauge(const std::string& name, const std::string& help, const Labels& labels = {});
  // `buckets` are ascending upper bounds, in the unit that the name ends with.
  Histogram& AddHistogram(const std::string& name, const std::string& help,
                          const std::vector<double>& buckets, const Labels& labels = {});

  // `refresh` runs before every scrape, to set gauges that are not kept up to date. Returns a
  // handle; the call-back is removed when it is destroyed.
  [[nodiscard]] std::shared_ptr<void> OnScrape(std::function<void()> refresh);

  // Everything, in Prometheus' text format 0.0.4.
  std::string Text();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// Bounds start, start * factor, ... (count of them), as etcd's histograms have.
std::vector<double> ExponentialBuckets(double start, double factor, int count);

}  // namespace gavel::server
