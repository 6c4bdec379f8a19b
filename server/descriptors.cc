#include "server/descriptors.h"

#include <sys/resource.h>

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace gavel::server {
namespace {

// The log, the data directory, outputs of the process's own log, pollers, and two connections for
// each of the other members, with as much again to spare.
constexpr uint64_t kOwn = 96;
// The engine opens what it has closed again, at some cost; below so many it would do little else.
constexpr uint64_t kEngineMin = 32;
constexpr uint64_t kMetricsMin = 4;
constexpr uint64_t kClientsMin = 16;

// A part of `limit`, within bounds.
uint64_t Share(uint64_t limit, uint64_t parts, uint64_t lowest, uint64_t highest) {
  return std::min(std::max(limit / parts, lowest), highest);
}

}  // namespace

uint64_t RaiseDescriptorLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  rlimit raised = limit;
  raised.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &raised) == 0) return raised.rlim_cur;
  return limit.rlim_cur;
}

absl::StatusOr<DescriptorShares> ShareDescriptors(uint64_t limit, const DescriptorShares& wanted) {
  DescriptorShares shares;
  shares.limit = limit;
  const uint64_t engine =
      Share(limit, 4, kEngineMin, static_cast<uint64_t>(wanted.engine_files_max));
  const uint64_t metrics = Share(limit, 16, kMetricsMin, wanted.metrics_connections_max);
  const uint64_t reserved = kOwn + engine + metrics;
  if (limit < reserved + kClientsMin) {
    return absl::FailedPreconditionError(
        absl::StrCat("this process may have only ", limit,
                     " files and connections open, and needs ", reserved + kClientsMin,
                     " at least: raise the limit (ulimit -n, or LimitNOFILE= of systemd)"));
  }
  shares.engine_files_max = static_cast<int>(engine);
  shares.metrics_connections_max = static_cast<uint32_t>(metrics);
  shares.client_connections_max =
      static_cast<uint32_t>(std::min<uint64_t>(limit - reserved, wanted.client_connections_max));
  return shares;
}

}  // namespace gavel::server
