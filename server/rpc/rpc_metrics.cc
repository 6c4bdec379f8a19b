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

// What etcd measures of one method alone.
struct MethodDuration {
  const char* method;
  const char* metric;
  const char* help;
  double shortest;
  int buckets;
};
constexpr MethodDuration kMethodDurations[] = {
    {"etcdserverpb.Maintenance/HashKV", "etcd_mvcc_hash_rev_duration_seconds",
     "The latency distribution of hashes up to a revision.", .01, 15},
    {"etcdserverpb.Maintenance/Hash", "etcd_mvcc_hash_duration_seconds",
     "The latency distribution of hashes.", .01, 15},
    {"etcdserverpb.Maintenance/Defragment", "etcd_disk_backend_defrag_duration_seconds",
     "The latency distribution of Defragment, which does not wait for the disk.", .1, 13},
    {"etcdserverpb.Maintenance/Snapshot", "etcd_disk_backend_snapshot_duration_seconds",
     "The latency distribution of snapshots for clients, at their pace.", .01, 17},
};

// Streams of which etcd tells how many failed.
struct FailingStream {
  const char* method;
  const char* api;
};
constexpr FailingStream kFailingStreams[] = {
    {"etcdserverpb.Watch/Watch", "watch"},
    {"etcdserverpb.Lease/LeaseKeepAlive", "lease-keepalive"}};

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
  if (type == "unary") AddRequestDurations(name);
  for (const MethodDuration& row : kMethodDurations) {
    if (name == row.method) AddDuration(row.metric, row.help, row.shortest, row.buckets);
  }
  for (const FailingStream& row : kFailingStreams) {
    if (name != row.method) continue;
    stream_failures_ =
        &metrics_->AddCounter("etcd_network_server_stream_failures_total",
                              "Streams that ended with an error which is not the client's wish.",
                              {{"API", row.api}, {"Type", "receive"}});
  }
  Handled(StatusCode::kOk);
}

// `name` is without the first slash.
void MethodMetrics::AddRequestDurations(std::string_view name) {
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
}

void MethodMetrics::AddDuration(const std::string& metric, const std::string& help, double shortest,
                                int buckets) {
  Histogram& succeeded =
      metrics_->AddHistogram(metric, help, ExponentialBuckets(shortest, 2, buckets));
  etcd_durations_.push_back({&succeeded, nullptr});
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
  const bool wished = code == StatusCode::kOk || code == StatusCode::kCancelled ||
                      code == StatusCode::kDeadlineExceeded;
  if (stream_failures_ != nullptr && !wished) stream_failures_->Increment();
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
