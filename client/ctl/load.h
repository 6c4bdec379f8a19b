// A load of writes at an even rate, and what came of it.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "client/client.h"

namespace gavel::client::ctl {

// Ends by writes_max or duration, so one of them is given.
struct LoadPlan {
  int64_t writes_per_second = 0;          // 0: as fast as they go.
  int64_t writes_max = 0;                 // 0: until the time is up.
  int64_t under_way_max = 0;              // More are not begun until one ends.
  std::chrono::milliseconds duration{0};  // 0: until all are written.
  std::string prefix;
  size_t key_bytes = 256;  // Behind the prefix.
  size_t value_bytes = 1024;
};

struct LoadStatistics {
  int64_t writes = 0;  // That succeeded.
  std::map<std::string, int64_t> errors;
  double writes_per_second = 0;
  double slowest_s = 0;
  double deviation_s = 0;
};

// What the times of single writes, in seconds, add up to.
LoadStatistics Summarize(const std::vector<double>& times_s, double total_s);

// Writes by `plan` over `clients` in turn, until it is done or `stop` is set. `each_second` is
// called with the seconds that have passed and the writes that were begun.
LoadStatistics RunLoad(const LoadPlan& plan, const std::vector<Client>& clients,
                       const std::atomic<bool>& stop,
                       const std::function<void(int64_t, int64_t)>& each_second);

}  // namespace gavel::client::ctl
