#include "server/snapshot/transfer_metrics.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace gavel::server {
namespace {

std::string Name(TransferMetrics::Side side, const char* what) {
  const bool sends = side == TransferMetrics::Side::kSend;
  return absl::StrCat("etcd_network_snapshot_", sends ? "send_" : "receive_", what);
}

}  // namespace

TransferMetrics::TransferMetrics(Metrics& metrics, Side side) : metrics_(metrics), side_(side) {}

Labels TransferMetrics::LabelsOf(raft::NodeId other) const {
  return {{side_ == Side::kSend ? "To" : "From", absl::StrFormat("%x", other.value())}};
}

Gauge& TransferMetrics::InFlight(raft::NodeId other) {
  return metrics_.AddGauge(Name(side_, "inflights_total"), "Snapshots under way.", LabelsOf(other));
}

void TransferMetrics::OnBegun(raft::NodeId other) { InFlight(other).Add(1); }

void TransferMetrics::OnEnded(raft::NodeId other, bool success, MonotonicNs took) {
  const Labels labels = LabelsOf(other);
  InFlight(other).Add(-1);
  metrics_
      .AddCounter(Name(side_, success ? "success" : "failures"),
                  success ? "Snapshots that have arrived." : "Snapshots that have not arrived.",
                  labels)
      .Increment();
  if (!success) return;
  metrics_
      .AddHistogram(Name(side_, "total_duration_seconds"),
                    "From the begin of a snapshot that has arrived to its end.",
                    ExponentialBuckets(.1, 2, 10), labels)
      .Observe(static_cast<double>(took) / kNsPerSecond);
}

}  // namespace gavel::server
