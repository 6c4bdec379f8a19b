// Carries services over gRPC: the one adapter that knows gRPC's server classes.
//
// Each I/O thread owns a completion queue and the calls that arrived on it, and runs handlers
// inline. What other threads announce (a put is applied, an event is due) is queued and costs
// one wake for each batch.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "server/clock.h"
#include "server/logging.h"
#include "server/metrics.h"
#include "server/rpc/service.h"

namespace gavel::server {

struct GrpcFrontOptions {
  std::vector<std::string> addresses;  // As gRPC takes them: "127.0.0.1:2379", "unix:/run/x".
  uint32_t io_threads = 1;
  // A larger message ends its call as the contract says.
  uint64_t message_bytes_max = 1572864 + 512 * 1024;
  // Bytes queued on one stream from which its handler should wait.
  uint64_t stream_high_mark = 1 << 20;
  uint32_t max_concurrent_streams = 4294967295;  // Of each connection.
  // Clients that ping more often are disconnected. Pings without calls are permitted.
  MonotonicNs keepalive_min_time = 5 * kNsPerSecond;
  MonotonicNs keepalive_interval = 7200 * kNsPerSecond;  // Of our own pings to idle clients.
  MonotonicNs keepalive_timeout = 20 * kNsPerSecond;
  MonotonicNs warning_unary_duration = 300 * kNsPerMs;  // 0: no line for slow requests.
  // Counters of bytes are etcd_network_<this>_{sent,received}_bytes_total; empty: no metrics.
  std::string metrics_prefix = "client_grpc";
  bool extensive_metrics = false;  // Durations by method too.
};

class GrpcFront {
 public:
  // Listens and serves. The error names the address that is taken and why.
  //
  // `clock`, `logger` and `metrics` must outlive the front.
  static absl::StatusOr<std::unique_ptr<GrpcFront>> Start(const GrpcFrontOptions& options,
                                                          std::shared_ptr<const Router> router,
                                                          Clock& clock, Logger& logger,
                                                          Metrics& metrics);
  // Shuts down without grace if Shutdown has not run.
  ~GrpcFront();

  // Refuses new calls, ends open-ended streams as "server stopped", gives requests under way
  // `grace` to finish, and cancels the rest. Blocks. At most once.
  void Shutdown(MonotonicNs grace);

  // The port of each address, in their order (a port asked for as 0 is picked by the system).
  const std::vector<int>& ports() const;

 private:
  class Impl;
  explicit GrpcFront(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace gavel::server
