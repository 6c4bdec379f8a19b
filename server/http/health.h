// What /metrics, /health and /version answer, apart from how it is carried.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "server/http/http_server.h"
#include "server/metrics.h"

namespace gavel::server {

// How the member is asked for its health. Both functions may be called on the HTTP thread at
// any time until the server is gone, and must not block.
struct HealthProbe {
  struct State {
    bool has_leader = false;
    std::vector<std::string> alarms;  // "NOSPACE", "CORRUPT".
    std::string disk_error;           // What is wrong with a disk; empty: nothing.
  };
  std::function<State()> state;
  // Reads once, through the leader or from the local copy, and tells what went wrong; an empty
  // text means nothing did.
  std::function<void(bool serializable, std::function<void(std::string error)> done)> read;
};

// The paths of --listen-metrics-urls. `metrics` and what `probe` refers to must outlive the
// server. Registers the metrics of /health itself.
std::vector<std::pair<std::string, HttpHandler>> ObservationPaths(Metrics& metrics,
                                                                  HealthProbe probe);

}  // namespace gavel::server
