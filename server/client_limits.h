// What one client, or all of them, may make the clients' port do or hold.
#pragma once

#include <cstdint>

#include "server/clock.h"

namespace gavel::server {

// Beyond etcd's own limits these are far above what an honest client needs.
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

  friend bool operator==(const Http2Limits&, const Http2Limits&) = default;
};

}  // namespace gavel::server
