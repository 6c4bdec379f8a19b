// What the system says of this process, under the names that Go's Prometheus client uses.
#pragma once

#include <memory>

#include "server/metrics.h"

namespace gavel::server {

// Registers memory, processor time, file descriptors and the start of the process, refreshed at
// each scrape until the handle is destroyed.
[[nodiscard]] std::shared_ptr<void> AddProcessMetrics(Metrics& metrics);

}  // namespace gavel::server
