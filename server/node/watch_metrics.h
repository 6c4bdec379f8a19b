// What is shown of the watch hub.
#pragma once

#include <memory>

#include "server/metrics.h"
#include "server/watch/watch_hub.h"

namespace gavel::server {

// Shows the hub at every scrape, until the handle is destroyed.
[[nodiscard]] std::shared_ptr<void> AddWatchMetrics(Metrics& metrics, const WatchHub& hub);

}  // namespace gavel::server
