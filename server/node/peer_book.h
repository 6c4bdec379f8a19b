// Where frames can be sent: to the members of the configuration in force, and for a while to
// others.
//
// A member whose log lags may not know yet who leads by now, and who has left must be told of it.
// So whoever sends to this member says where it is reached itself, and who is no longer in the
// configuration is kept a little longer.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "raft/configuration.h"
#include "server/clock.h"

namespace gavel::server {

// Passive; not thread-safe.
class PeerBook {
 public:
  // Who is not in the configuration is forgotten so long after it was heard or left.
  static constexpr MonotonicNs kGuestTime = 30 * kNsPerSecond;
  // Anybody who knows the cluster's id may make up members.
  static constexpr size_t kGuestsMax = 100;

  // From here on these belong to the cluster.
  void SetConfiguration(const std::vector<raft::MemberAddress>& members, MonotonicNs now);
  // `peer` has sent something, and says that it is reached at `urls`. True if Peers has changed.
  bool OnHeard(raft::NodeId peer, const std::vector<std::string>& urls, MonotonicNs now);
  // Forgets who has been silent; true if Peers has changed.
  bool Forget(MonotonicNs now);

  // A member's URLs by the configuration come first.
  std::vector<raft::MemberAddress> Peers() const;

 private:
  struct Guest {
    std::vector<std::string> urls;
    MonotonicNs heard = 0;
  };

  std::vector<raft::MemberAddress> members_;
  std::map<raft::NodeId, Guest> guests_;  // Members may be among them.
};

}  // namespace gavel::server
