// What the HTTP/2 front is told at its start, and what all its threads share.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

#include "server/client_limits.h"
#include "server/http2/limit_teller.h"
#include "server/http2/protocol_teller.h"
#include "server/rpc/front_methods.h"
#include "server/rpc/front_options.h"

namespace gavel::server {

// Takes over a connection that speaks HTTP/1: its socket, which does not block, and what it has
// sent so far. Runs on an I/O thread.
using OnHttp1Connection = std::function<void(int fd, std::string first_bytes)>;

struct Http2FrontOptions : FrontOptions {
  Http2Limits limits;
  OnHttp1Connection on_http1;  // Null: answered with a line that says so, and closed.
};

// Constant once the front serves, but for the counts.
class Http2Shared final : public FrontShared {
 public:
  Http2Shared(const Http2FrontOptions& front_options, std::shared_ptr<const Router> methods,
              Clock& front_clock, Logger& front_logger, Metrics& metrics)
      : FrontShared(front_options, std::move(methods), front_clock, front_logger, metrics),
        limits(front_options.limits),
        on_http1(front_options.on_http1),
        teller(front_clock, front_logger, Counted(front_options, metrics)),
        protocol_teller(front_clock, front_logger, Counted(front_options, metrics)) {}

  // Makes room for one more connection; false if there are as many as may be.
  bool AddConnection() {
    if (connections_.fetch_add(1, std::memory_order_relaxed) < limits.connections_max) return true;
    RemoveConnection();
    return false;
  }
  void RemoveConnection() { connections_.fetch_sub(1, std::memory_order_relaxed); }
  uint32_t connections() const { return connections_.load(std::memory_order_relaxed); }

  // Adds `bytes` to what is held for clients, for a connection that will then hold `own`; false,
  // and unchanged, if that would be too much.
  bool Hold(int64_t bytes, int64_t own) {
    const int64_t all = held_.fetch_add(bytes, std::memory_order_relaxed) + bytes;
    const bool little = own <= limits.held_bytes_little;
    if (all <= (little ? limits.held_bytes_max : limits.held_bytes_max / 2)) return true;
    Release(bytes);
    return false;
  }
  void Release(int64_t bytes) { held_.fetch_sub(bytes, std::memory_order_relaxed); }
  int64_t held() const { return held_.load(std::memory_order_relaxed); }

  void AddStreamBytes(int64_t bytes) { stream_bytes_.fetch_add(bytes, std::memory_order_relaxed); }
  // Of one stream, as things are.
  size_t HighMark() const {
    const bool full = stream_bytes_.load(std::memory_order_relaxed) > limits.stream_bytes_max;
    return full ? options.stream_high_mark / 16 : options.stream_high_mark;
  }
  int64_t stream_bytes() const { return stream_bytes_.load(std::memory_order_relaxed); }

  const Http2Limits limits;
  const OnHttp1Connection on_http1;
  LimitTeller teller;
  ProtocolTeller protocol_teller;

 private:
  static Metrics* Counted(const Http2FrontOptions& front_options, Metrics& metrics) {
    return front_options.metrics_prefix.empty() ? nullptr : &metrics;
  }

  std::atomic<uint32_t> connections_ = 0;
  std::atomic<int64_t> held_ = 0;
  std::atomic<int64_t> stream_bytes_ = 0;
};

}  // namespace gavel::server
