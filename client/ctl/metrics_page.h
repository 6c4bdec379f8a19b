// Reads one number of what a server tells of itself to Prometheus.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "client/ctl/failure.h"

namespace gavel::client::ctl {

// The metric `name`, without labels, on the page at `url`: http://host:port, or with a path in
// place of /metrics. Fails if the page is not there within `time`, or has no such metric.
Expected<double> ReadMetric(const std::string& url, std::string_view name,
                            std::chrono::milliseconds time);

// The same on a page that was read.
std::optional<double> FindMetric(std::string_view page, std::string_view name);

}  // namespace gavel::client::ctl
