// What a member that wants to join a cluster is told of it, over the peers' port.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "raft/types.h"

namespace gavel::server {

struct KnownMember {
  raft::NodeId id;
  std::string name;  // Empty: it has not started.
  std::vector<std::string> peer_urls;
  bool learner = false;
  bool started = false;  // It has made its client URLs known.

  friend bool operator==(const KnownMember&, const KnownMember&) = default;
};

struct ClusterView {
  uint64_t cluster_id = 0;
  std::vector<KnownMember> members;   // As applied where it was asked.
  std::vector<KnownMember> founders;  // With whom the log began.

  friend bool operator==(const ClusterView&, const ClusterView&) = default;
};

std::string EncodeClusterView(const ClusterView& view);
// InvalidArgument: it is damaged, or of a newer format, which is named.
absl::StatusOr<ClusterView> DecodeClusterView(std::string_view bytes);

// Asks the member at `address` ("127.0.0.1:2380"); blocks for at most `timeout`.
absl::StatusOr<ClusterView> AskForCluster(const std::string& address,
                                          std::chrono::milliseconds timeout);

}  // namespace gavel::server
