// Ids of members and of the cluster, derived from --initial-cluster as etcd derives them, so that
// every member computes the same and tools that compute them agree.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "raft/types.h"

namespace gavel::server {

// The first 8 bytes of the SHA-1 over the member's peer URLs (sorted by text) and the token.
raft::NodeId MemberIdOf(std::vector<std::string> peer_urls, std::string_view token);

// The first 8 bytes of the SHA-1 over all member ids in ascending order.
uint64_t ClusterIdOf(std::vector<raft::NodeId> members);

}  // namespace gavel::server
