// The rows of the family `leases`.
//
//   lease id (8)  ->  01, TTL in seconds, deadline in ms of the lease clock, renewed index
//   (varints)
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "raft/types.h"

namespace gavel::storage {

// etcd's bound of a TTL.
inline constexpr int64_t kLeaseTtlSecondsMax = 9'000'000'000;
// As far as the lease clock goes, 140 million years: every deadline is still a number.
inline constexpr int64_t kLeaseClockMsMax = int64_t{1} << 62;

struct LeaseRow {
  int64_t ttl_seconds = 0;
  // When the lease is due, by the lease clock.
  int64_t deadline_ms = 0;
  // The entry that granted it or last renewed it.
  raft::Index renewed;

  friend bool operator==(const LeaseRow&, const LeaseRow&) = default;
};

std::string EncodeLeaseRow(const LeaseRow& row);
// False if the bytes are damaged, or of a newer version.
bool DecodeLeaseRow(std::string_view bytes, LeaseRow* row);

}  // namespace gavel::storage
