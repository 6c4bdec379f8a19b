// What is counted of every call, under the names that etcd's dashboards ask for.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "server/clock.h"
#include "server/metrics.h"
#include "server/rpc/status.h"

namespace gavel::server {

// The counters of one method. Thread-safe.
class MethodMetrics {
 public:
  // `name` is "/package.Service/Method", `type` grpc_type's value ("unary", "bidi_stream", ...).
  // Without `metrics` nothing is counted.
  MethodMetrics(Metrics* metrics, std::string_view name, std::string_view type,
                bool with_durations);

  void OnStarted();
  void OnReceived();
  void OnSent(size_t messages = 1);
  void OnHandled(StatusCode code, MonotonicNs took);

 private:
  // A histogram for calls that succeed, and one for those that do not.
  struct Durations {
    Histogram* succeeded = nullptr;
    Histogram* failed = nullptr;
  };
  void AddRequestDurations(std::string_view name);
  // Of calls that succeed.
  void AddDuration(const std::string& metric, const std::string& help, double shortest,
                   int buckets);
  Counter* Handled(StatusCode code);

  Metrics* metrics_;
  Labels labels_;
  Counter* started_ = nullptr;
  Counter* received_ = nullptr;
  Counter* sent_ = nullptr;
  Histogram* durations_ = nullptr;
  std::vector<Durations> etcd_durations_;
  Counter* stream_failures_ = nullptr;
  // Registered when a code is first seen, as etcd's clients of the metrics expect.
  std::array<std::atomic<Counter*>, 17> handled_{};
};

// How Go's gRPC spells a code ("OK", "InvalidArgument"), for labels and log lines.
std::string_view CodeName(StatusCode code);

}  // namespace gavel::server
