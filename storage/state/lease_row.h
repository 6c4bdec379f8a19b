// The rows of the families `leases` and `lease_renewals`.
//
//   lease id (8)  ->  01, TTL in seconds, deadline in ms of the lease clock, renewed index
//   (varints)
//
//   index of an entry (8)  ->  01, lease clock in ms (varints), then each lease that the entry
//   renewed (8)
//
// What is true of a lease is its own row with the newest of its renewals.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "raft/types.h"

namespace gavel::storage {

// etcd's bound of a TTL.
inline constexpr int64_t kLeaseTtlSecondsMax = 9'000'000'000;
// As far as the lease clock goes, 140 million years: every deadline is still a number.
inline constexpr int64_t kLeaseClockMsMax = int64_t{1} << 62;

// How much later than the reading before it an entry may have been proposed: no deadline is set
// earlier than promised because of that.
inline constexpr int64_t kLeaseSlackMs = 20;

// When a lease is due that is granted or renewed at this reading of the lease clock.
int64_t LeaseDeadline(int64_t clock_ms, int64_t ttl_seconds);

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

// One renewal of a lease.
struct LeaseRenewal {
  raft::Index index;  // The entry that renewed it.
  int64_t clock_ms = 0;

  friend bool operator==(const LeaseRenewal&, const LeaseRenewal&) = default;
};
// The row after the renewal; as it is if the renewal is older, of an earlier lease with this id.
LeaseRow WithRenewal(const LeaseRow& row, const LeaseRenewal& renewal);

// All renewals of one entry.
struct RenewalRow {
  raft::Index index;  // In the key.
  int64_t clock_ms = 0;
  std::vector<int64_t> ids;

  friend bool operator==(const RenewalRow&, const RenewalRow&) = default;
};
std::string RenewalKey(raft::Index index);
std::string EncodeRenewalRow(const RenewalRow& row);
// False if key or bytes are damaged, or of a newer version.
bool DecodeRenewalRow(std::string_view key, std::string_view bytes, RenewalRow* row);

}  // namespace gavel::storage
