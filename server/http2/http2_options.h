// What the HTTP/2 front is told at its start, and what all its threads share.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

#include "server/rpc/front_methods.h"
#include "server/rpc/front_options.h"

namespace gavel::server {

// What one client, or all of them, may make the front do or hold. Beyond etcd's own limits these
// are far above what an honest client needs.
struct Http2Limits {
  uint32_t connections_max = 20000;  // Of the front; more are closed as they come.
  // For the preface and the client's settings to arrive.
  MonotonicNs handshake_timeout = 10 * kNsPerSecond;
  // A connection whose client takes nothing of what waits for it is closed, at the latest.
  MonotonicNs write_stall_timeout = 300 * kNsPerSecond;
  // For the answer to a unary call to be taken, and so much longer as its size is worth.
  MonotonicNs answer_timeout = 60 * kNsPerSecond;
  uint32_t answer_bytes_per_second = 16 << 10;
  uint32_t header_list_bytes_max = 64 << 10;  // As HTTP/2 counts: 32 for each header besides.
  uint32_t continuations_max = 8;             // Frames that continue one block of headers.
  // Of calls, their headers and unfinished messages, over all connections. Once half of it is
  // taken, what is left is for connections that hold little themselves.
  int64_t held_bytes_max = 512 << 20;
  int64_t held_bytes_little = 64 << 10;
  // Queued on streams over all connections, from which on the high mark of each is a sixteenth.
  int64_t stream_bytes_max = 256 << 20;
  // Streams that the client resets within a second of opening them, or makes us reset by breaking
  // the protocol: so many at once, then so many a second.
  uint32_t resets_burst = 1000;
  uint32_t resets_per_second = 200;
  // Frames that ask for nothing and are not free: pings, settings, empty data.
  uint32_t idle_frames_burst = 10000;
  uint32_t idle_frames_per_second = 1000;
  uint32_t stream_window_bytes = 256 << 10;
  uint32_t connection_window_bytes = 4 << 20;
};

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
        on_http1(front_options.on_http1) {}

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
  std::atomic<uint32_t> connections = 0;

 private:
  std::atomic<int64_t> held_ = 0;
  std::atomic<int64_t> stream_bytes_ = 0;
};

}  // namespace gavel::server
