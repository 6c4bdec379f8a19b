#include "server/node/peer_book.h"

#include <algorithm>

namespace gavel::server {
namespace {

bool Holds(const std::vector<raft::MemberAddress>& members, raft::NodeId id) {
  return std::any_of(members.begin(), members.end(),
                     [id](const raft::MemberAddress& member) { return member.id == id; });
}

}  // namespace

void PeerBook::SetConfiguration(const std::vector<raft::MemberAddress>& members, MonotonicNs now) {
  for (const raft::MemberAddress& member : members_) {
    if (!Holds(members, member.id)) guests_[member.id] = {member.peer_urls, now};
  }
  members_ = members;
}

bool PeerBook::OnHeard(raft::NodeId peer, const std::vector<std::string>& urls, MonotonicNs now) {
  const auto known = guests_.find(peer);
  if (known != guests_.end()) {
    known->second.heard = now;
    if (urls.empty() || known->second.urls == urls) return false;
    known->second.urls = urls;
    return true;
  }
  if (urls.empty()) return false;
  const auto member = std::find_if(members_.begin(), members_.end(),
                                   [peer](const auto& it) { return it.id == peer; });
  if (member != members_.end() && member->peer_urls == urls) return false;
  if (guests_.size() >= kGuestsMax) return false;
  guests_[peer] = {urls, now};
  return true;
}

bool PeerBook::Forget(MonotonicNs now) {
  return std::erase_if(guests_, [&](const auto& guest) {
           return guest.second.heard + kGuestTime <= now;
         }) > 0;
}

std::vector<raft::MemberAddress> PeerBook::Peers() const {
  std::vector<raft::MemberAddress> peers = members_;
  for (const auto& [id, guest] : guests_) {
    const auto member =
        std::find_if(peers.begin(), peers.end(), [id = id](const auto& it) { return it.id == id; });
    if (member == peers.end()) {
      peers.push_back({id, guest.urls});
      continue;
    }
    auto& urls = member->peer_urls;
    for (const std::string& url : guest.urls) {
      if (std::find(urls.begin(), urls.end(), url) == urls.end()) urls.push_back(url);
    }
  }
  return peers;
}

}  // namespace gavel::server
