// What every front is told at its start, whatever carries its calls.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "server/clock.h"

namespace gavel::server {

struct FrontOptions {
  std::vector<std::string> addresses;  // "127.0.0.1:2379", "[::1]:2379", "unix:/run/x".
  uint32_t io_threads = 1;
  // A larger message ends its call as the contract says.
  uint64_t message_bytes_max = 1572864 + 512 * 1024;
  // Bytes queued on one stream from which its handler should wait.
  uint64_t stream_high_mark = 1 << 20;
  uint32_t max_concurrent_streams = 4294967295;  // Of each connection.
  // Clients that ping more often are disconnected. Pings without calls are permitted.
  MonotonicNs keepalive_min_time = 5 * kNsPerSecond;
  // Of our own pings to idle clients; none if either is 0. A client that does not answer in time is
  // disconnected, and so is one that takes nothing of what waits for it for the sum of both.
  MonotonicNs keepalive_interval = 7200 * kNsPerSecond;
  MonotonicNs keepalive_timeout = 20 * kNsPerSecond;
  MonotonicNs warning_unary_duration = 300 * kNsPerMs;  // 0: no line for slow requests.
  // Counters of bytes are etcd_network_<this>_{sent,received}_bytes_total; empty: no metrics, of
  // bytes or of anything else.
  std::string metrics_prefix = "client_grpc";
  bool extensive_metrics = false;  // Durations by method too.
};

}  // namespace gavel::server
