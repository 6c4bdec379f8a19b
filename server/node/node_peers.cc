// The part of a node that is about other members: who they are, where they are, what they say.
#include <utility>

#include "absl/strings/str_format.h"

#include "server/node/node.h"
#include "server/peer/cluster_view.h"
#include "storage/state/membership.h"

namespace gavel::server {
namespace {

// How often silent guests are looked for, and others knocked at.
constexpr MonotonicNs kForgetInterval = kNsPerSecond;

std::string Hex(uint64_t id) { return absl::StrFormat("%x", id); }

std::vector<KnownMember> Known(const std::vector<storage::MemberRecord>& table) {
  std::vector<KnownMember> members;
  for (const storage::MemberRecord& record : table) {
    members.push_back(
        {record.id, record.name, record.peer_urls, record.learner, !record.client_urls.empty()});
  }
  return members;
}

}  // namespace

PeerEvents Node::MakeEvents() {
  PeerEvents events;
  events.on_frame = [this](std::string_view frame, StreamSender& sender) {
    return OnFrame(frame, sender);
  };
  events.on_unreachable = [this](raft::NodeId peer) {
    queues_.core.TryPush(PeerUnreachable{peer});
  };
  events.on_connection_lost = [this](raft::NodeId peer) {
    gate_->OnPeerLost(peer);
    queues_.core.Push(PeerConnectionLost{peer});
  };
  events.on_connected = [this](raft::NodeId peer) {
    logger_.Info("connected to a peer", {{"peer", Hex(peer.value())}});
    gate_->OnPeerConnected(peer);
    queues_.core.Push(PeerConnected{peer});
  };
  events.on_refused = [this](raft::NodeId, std::string_view reason) {
    if (reason == RemovedText(identity_.id)) OnRemoved();
  };
  events.on_asked = [this] { return View(); };
  return events;
}

absl::Status Node::OnFrame(std::string_view frame, StreamSender& sender) {
  absl::Status received = receiver_->Receive(frame, sender);
  if (received.ok() && !sender.id.is_none() &&
      peers_.OnHeard(sender.id, sender.peer_urls, clock_.Now())) {
    transport_->SetPeers(peers_.Peers());
  }
  return received;
}

std::string Node::View() const {
  ClusterView view;
  view.cluster_id = identity_.cluster_id;
  view.members = Known(*gate_->members());
  const auto founders = storage::ReadFounding(*gate_->view()->engine);
  if (founders.ok()) view.founders = Known(*founders);
  return EncodeClusterView(view);
}

std::string Node::NameOf(raft::NodeId id) const {
  if (gate_ == nullptr) return "";
  const auto members = gate_->members();
  for (const storage::MemberRecord& member : *members) {
    if (member.id == id) return member.name;
  }
  return "";
}

void Node::OnConfiguration(const raft::Configuration& configuration) {
  configurations_.Tell(configuration);
  peers_.SetConfiguration(configuration.members, clock_.Now());
  transport_->SetPeers(peers_.Peers());
}

bool Node::RunCore() {
  const MonotonicNs now = clock_.Now();
  if (now >= forget_at_) {
    forget_at_ = now + kForgetInterval;
    if (peers_.Forget(now)) transport_->SetPeers(peers_.Peers());
    Knock();
  }
  return core_->RunOnce();
}

// Who has no vote asks nobody for one, and so would not be told if it was removed while it was
// away.
void Node::Knock() {
  if (gate_->has_leader() || core_->stage().configuration().IsVoter(identity_.id)) return;
  for (const raft::MemberAddress& peer : peers_.Peers()) {
    if (peer.id != identity_.id) sender_->Knock(peer.id);
  }
}

void Node::OnMembers() {
  gate_->OnMembers();
  if (gate_->membership()->WasRemoved(identity_.id)) OnRemoved();
}

void Node::OnRemoved() {
  if (removed_.exchange(true)) return;
  logger_.Warn("this member was removed from the cluster and stops",
               {{"member", Hex(identity_.id.value())},
                {"what to do",
                 "its data directory is of no more use. To have it back, add it as a new member "
                 "and start it with an empty data directory"}});
  if (on_removed_) on_removed_();
}

}  // namespace gavel::server
