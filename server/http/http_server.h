// The HTTP side of --listen-metrics-urls: a few read-only paths on sockets of their own.
//
// One thread serves all connections; handlers run on it. What a client sends is bounded in
// size and in time, and never trusted. The HTTP library stays out of this header.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

#include "server/clock.h"
#include "server/logging.h"
#include "server/metrics.h"
#include "server/url.h"

namespace gavel::server {

struct HttpRequest {
  std::string path;   // Without the query.
  std::string query;  // After the question mark, still percent-encoded.
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
};

// Answers a request, at once or later, from any thread. Each request needs exactly one answer;
// one that never comes is cut off by the deadline.
using HttpAnswer = std::function<void(HttpResponse)>;
using HttpHandler = std::function<void(const HttpRequest&, HttpAnswer)>;

struct HttpLimits {
  uint32_t header_bytes_max = 16 << 10;
  uint64_t body_bytes_max = 64 << 10;
  uint32_t connections_max = 256;
  // For a whole request to arrive, its answer to be made and to be taken; also of silence
  // between two requests.
  MonotonicNs deadline = 10 * kNsPerSecond;
};

class HttpServer {
 public:
  // Listens on `urls`. Paths are served for GET and HEAD; any other method is answered with 405,
  // any other path with 404. `log` and `metrics` must outlive the server.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(
      const std::vector<Url>& urls, std::vector<std::pair<std::string, HttpHandler>> paths,
      const HttpLimits& limits, Logger& log, Metrics& metrics);

  // Closes all connections; no handler runs afterwards. Answers that come later are dropped.
  virtual ~HttpServer() = default;

  // The ports listened on, in the order of `urls`, for those that asked for port 0.
  virtual std::vector<uint16_t> ports() const = 0;
};

}  // namespace gavel::server
