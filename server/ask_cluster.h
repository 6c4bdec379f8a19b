// How a member asks a running cluster who it is, before it has a transport of its own. Blocks.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "server/clock.h"
#include "server/logging.h"
#include "server/node/recovery.h"
#include "server/peer/cluster_view.h"

namespace gavel::server {

// Asks the members at `urls`, one after the other, again and again for a minute, for a view that
// `accept` takes. One that lags may not know yet who was added, so what is not accepted is asked
// for again for five seconds. Unavailable: nobody answers; says what to do.
absl::StatusOr<ClusterView> AskCluster(const Clock& clock, Logger& logger,
                                       const std::vector<std::string>& urls,
                                       const MemberPlace::Accept& accept);

// Asks each once, for a quarter of a second; what one says. Members that start at the same time do
// not answer one another yet.
std::optional<ClusterView> PeekAtCluster(const std::vector<std::string>& urls);

}  // namespace gavel::server
