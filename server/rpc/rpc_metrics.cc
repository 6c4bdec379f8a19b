#include "server/rpc/rpc_metrics.h"

#include <utility>

#include "server/metrics.h"

namespace gavel::server {
namespace {

constexpr std::string_view kCodeNames[] = {
    "OK",       "Canceled",       "Unknown",          "InvalidArgument",   "DeadlineExceeded",
    "NotFound", "AlreadyExists",  "PermissionDenied", "ResourceExhausted", "FailedPrecondition",
    "Aborted",  "OutOfRange",     "Unimplemented",    "Internal",          "Unavailable",
    "DataLoss", "Unauthenticated"};

}  // namespace

std::string_view CodeName(StatusCode code) {
  const auto number = static_cast<size_t>(code);
  return number < std::size(kCodeNames) ? kCodeNames[number] : "Unknown";
}

MethodMetrics::MethodMetrics(Metrics* metrics, std::string_view name, std::string_view type,
                             bool with_durations)
    : metrics_(metrics) {
  if (metrics_ == nullptr) return;
  if (!name.empty() && name.front() == '/') name.remove_prefix(1);
  const size_t slash = name.rfind('/');
  labels_ = {{"grpc_type", std::string(type)},
             {"grpc_service", std::string(name.substr(0, slash))},
             {"grpc_method", std::string(name.substr(slash + 1))}};
  started_ = &metrics_->AddCounter("grpc_server_started_total",
                                   "Total number of RPCs started on the server.", labels_);
  received_ =
      &metrics_->AddCounter("grpc_server_msg_received_total",
                            "Total number of RPC stream messages received on the server.", labels_);
  sent_ =
      &metrics_->AddCounter("grpc_server_msg_sent_total",
                            "Total number of gRPC stream messages sent by the server.", labels_);
  if (with_durations) {
    durations_ = &metrics_->AddHistogram(
        "grpc_server_handling_seconds",
        "Histogram of response latency (seconds) of gRPC that had been handled by the server.",
        {.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}, labels_);
  }
  if (type == "unary") AddEtcdDurations(name);
  Handled(StatusCode::kOk);
}

// `name` is without the first slash.
void MethodMetrics::AddEtcdDurations(std::string_view name) {
  constexpr std::string_view kKv = "etcdserverpb.KV/";
  constexpr std::string_view kLease = "etcdserverpb.Lease/";
  const auto add = [this](const std::string& metric, const std::string& help, double shortest,
                          int buckets, const Labels& labels) {
    const auto histogram = [&](const char* success) {
      Labels both = labels;
      both.emplace("success", success);
      return &metrics_->AddHistogram(metric, help, ExponentialBuckets(shortest, 2, buckets), both);
    };
    etcd_durations_.push_back({histogram("true"), histogram("false")});
  };
  if (name.substr(0, kKv.size()) == kKv || name.substr(0, kLease.size()) == kLease) {
    add("etcd_server_request_duration_seconds",
        "Response latency distribution in seconds for each type.", .0001, 20,
        {{"type", labels_["grpc_method"]}});
  }
  if (name == "etcdserverpb.KV/Range") {
    add("etcd_server_range_duration_seconds",
        "The latency distributions of Range, with the wait for a current view.", .0001, 20, {});
  }
  if (name == "etcdserverpb.Maintenance/HashKV") {
    Histogram& hashes =
        metrics_->AddHistogram("etcd_mvcc_hash_rev_duration_seconds",
                               "The latency distribution of storage hash by revision operation.",
                               ExponentialBuckets(.01, 2, 15));
    etcd_durations_.push_back({&hashes, nullptr});
  }
}

void MethodMetrics::OnStarted() {
  if (started_ != nullptr) started_->Increment();
}

void MethodMetrics::OnReceived() {
  if (received_ != nullptr) received_->Increment();
}

void MethodMetrics::OnSent(size_t messages) {
  if (sent_ != nullptr) sent_->Increment(static_cast<double>(messages));
}

void MethodMetrics::OnHandled(StatusCode code, MonotonicNs took) {
  if (metrics_ == nullptr) return;
  Handled(code)->Increment();
  const double seconds = static_cast<double>(took) / kNsPerSecond;
  if (durations_ != nullptr) durations_->Observe(seconds);
  for (const Durations& durations : etcd_durations_) {
    Histogram* histogram = code == StatusCode::kOk ? durations.succeeded : durations.failed;
    if (histogram != nullptr) histogram->Observe(seconds);
  }
}

Counter* MethodMetrics::Handled(StatusCode code) {
  auto number = static_cast<size_t>(code);
  if (number >= handled_.size()) number = static_cast<size_t>(StatusCode::kUnknown);
  Counter* counter = handled_[number].load(std::memory_order_acquire);
  if (counter == nullptr) {
    Labels labels = labels_;
    labels.emplace("grpc_code", std::string(kCodeNames[number]));
    // Registering twice gives the same counter, so a race does no harm.
    counter = &metrics_->AddCounter(
        "grpc_server_handled_total",
        "Total number of RPCs completed on the server, regardless of success or failure.", labels);
    handled_[number].store(counter, std::memory_order_release);
  }
  return counter;
}

}  // namespace gavel::server
