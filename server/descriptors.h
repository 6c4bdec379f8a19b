// How many files and sockets the process may have open at a time, and what they are for.
//
// A member that cannot open the next file of its log must end. So what clients may take is what is
// left when everything else has its share.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"

namespace gavel::server {

// Raises the process's limit of open files to the most that it may ask for. Returns the limit
// that then holds.
uint64_t RaiseDescriptorLimit();

struct DescriptorShares {
  uint64_t limit = 0;
  // For connections of clients; the rest is reserved.
  uint32_t client_connections_max = 0;
  uint32_t metrics_connections_max = 0;
  int engine_files_max = 0;

  uint64_t reserved() const { return limit - client_connections_max; }
};

// Divides `limit`. `wanted` has the most of each, which there is no use in exceeding. Fails, and
// says what to do, if there are too few to serve anybody.
absl::StatusOr<DescriptorShares> ShareDescriptors(uint64_t limit, const DescriptorShares& wanted);

}  // namespace gavel::server
