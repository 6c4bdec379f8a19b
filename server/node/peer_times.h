// How long peers take to answer a heartbeat.
//
// Passive: told the time with each call. For the core's driver.
#pragma once

#include <map>
#include <vector>

#include "raft/message.h"
#include "server/clock.h"
#include "server/metrics.h"

namespace gavel::server {

// Times one heartbeat at a time for each peer. A round that is never answered is given up with
// the next.
class PeerTimes {
 public:
  explicit PeerTimes(Metrics& metrics) : metrics_(metrics) {}

  void OnSend(const std::vector<raft::Message>& messages, MonotonicNs now);
  void OnReceive(const std::vector<raft::Message>& messages, MonotonicNs now);

 private:
  struct Peer {
    raft::Round round;  // None: nothing is timed.
    MonotonicNs sent = 0;
    Histogram* seconds = nullptr;
  };
  Peer& Find(raft::NodeId id);

  Metrics& metrics_;
  std::map<raft::NodeId, Peer> peers_;
};

}  // namespace gavel::server
