#include "server/peer/message_codec.h"

#include <memory>
#include <utility>
#include <variant>

#include "proto/internal/peer.pb.h"

namespace gavel::server {
namespace {

template <class... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};

void Set(const raft::EntryId& id, internal::EntryName* out) {
  out->set_index(id.index.value());
  out->set_term(id.term.value());
}

raft::EntryId Get(const internal::EntryName& name) {
  return {raft::Index(name.index()), raft::Term(name.term())};
}

void SetBody(const raft::AppendRequest& body, internal::PeerMessage& out) {
  internal::AppendRequest* append = out.mutable_append();
  Set(body.previous, append->mutable_previous());
  append->set_commit(body.commit.value());
  append->set_replicated_everywhere(body.replicated_everywhere.value());
}

void SetBody(const raft::AppendReply& body, internal::PeerMessage& out) {
  internal::AppendReply* reply = out.mutable_append_reply();
  reply->set_accepted(body.accepted);
  reply->set_match(body.match.value());
  reply->set_rejected(body.rejected.value());
  Set(body.hint, reply->mutable_hint());
}

void SetBody(const raft::Heartbeat& body, internal::PeerMessage& out) {
  internal::Heartbeat* heartbeat = out.mutable_heartbeat();
  heartbeat->set_round(body.round.value());
  heartbeat->set_commit(body.commit.value());
  heartbeat->set_replicated_everywhere(body.replicated_everywhere.value());
}

void SetBody(const raft::HeartbeatReply& body, internal::PeerMessage& out) {
  out.mutable_heartbeat_reply()->set_round(body.round.value());
}

void SetBody(const raft::VoteRequest& body, internal::PeerMessage& out) {
  internal::VoteRequest* vote = out.mutable_vote();
  vote->set_pre(body.pre);
  vote->set_campaign_term(body.campaign_term.value());
  Set(body.last, vote->mutable_last());
  vote->set_transfer(body.transfer);
  vote->set_incarnation(body.incarnation.value());
}

void SetBody(const raft::VoteReply& body, internal::PeerMessage& out) {
  internal::VoteReply* reply = out.mutable_vote_reply();
  reply->set_pre(body.pre);
  reply->set_campaign_term(body.campaign_term.value());
  reply->set_granted(body.granted);
  reply->set_incarnation(body.incarnation.value());
}

void SetBody(const raft::ReadRequest& body, internal::PeerMessage& out) {
  out.mutable_read()->set_id(body.id.value());
  out.mutable_read()->set_incarnation(body.incarnation.value());
}

void SetBody(const raft::ReadReply& body, internal::PeerMessage& out) {
  internal::ReadReply* reply = out.mutable_read_reply();
  reply->set_id(body.id.value());
  reply->set_incarnation(body.incarnation.value());
  reply->set_confirmed(body.confirmed);
  reply->set_index(body.index.value());
}

void SetBody(const raft::ForwardProposals& body, internal::PeerMessage& out) {
  out.mutable_forward()->set_leader_term(body.leader_term.value());
}

void SetBody(const raft::ProposalsDropped& body, internal::PeerMessage& out) {
  internal::ProposalsDropped* dropped = out.mutable_dropped();
  for (const raft::RequestId& id : body.ids) {
    internal::ProposalName* name = dropped->add_ids();
    name->set_member(id.member.value());
    name->set_incarnation(id.incarnation.value());
    name->set_sequence(id.sequence);
  }
  dropped->set_refusal(body.refusal);
  dropped->set_reason(body.reason);
}

void SetBody(const raft::TimeoutNow&, internal::PeerMessage& out) { out.mutable_timeout_now(); }

void SetBody(const raft::InstallSnapshot& body, internal::PeerMessage& out) {
  internal::InstallSnapshot* install = out.mutable_install();
  install->set_index(body.meta.index.value());
  install->set_term(body.meta.term.value());
  install->set_configuration(raft::EncodeConfiguration(body.meta.configuration));
}

raft::Payload TakePayload(std::string* bytes) {
  return std::make_shared<const std::string>(std::move(*bytes));
}

absl::StatusOr<raft::AppendRequest> TakeAppend(internal::PeerMessage& encoded) {
  raft::AppendRequest append;
  append.previous = Get(encoded.append().previous());
  append.commit = raft::Index(encoded.append().commit());
  append.replicated_everywhere = raft::Index(encoded.append().replicated_everywhere());
  append.entries.reserve(static_cast<size_t>(encoded.entries_size()));
  for (internal::LogEntry& from : *encoded.mutable_entries()) {
    if (from.kind() > static_cast<uint32_t>(raft::EntryKind::kConfiguration)) {
      return absl::InvalidArgumentError("log entry of an unknown kind");
    }
    raft::Entry entry{raft::Index(from.index()), raft::Term(from.term()),
                      static_cast<raft::EntryKind>(from.kind()), nullptr};
    if (entry.kind != raft::EntryKind::kEmpty) entry.payload = TakePayload(from.mutable_payload());
    append.entries.push_back(std::move(entry));
  }
  return append;
}

raft::ForwardProposals TakeForward(internal::PeerMessage& encoded) {
  raft::ForwardProposals forward;
  forward.leader_term = raft::Term(encoded.forward().leader_term());
  forward.proposals.reserve(static_cast<size_t>(encoded.proposals_size()));
  for (internal::ForwardedProposal& from : *encoded.mutable_proposals()) {
    forward.proposals.push_back(
        {{raft::NodeId(from.member()), raft::Incarnation(from.incarnation()), from.sequence()},
         TakePayload(from.mutable_payload())});
  }
  return forward;
}

raft::ProposalsDropped GetDropped(const internal::ProposalsDropped& encoded) {
  raft::ProposalsDropped dropped;
  for (const internal::ProposalName& name : encoded.ids()) {
    dropped.ids.push_back(
        {raft::NodeId(name.member()), raft::Incarnation(name.incarnation()), name.sequence()});
  }
  dropped.refusal = encoded.refusal();
  dropped.reason = encoded.reason();
  return dropped;
}

absl::StatusOr<raft::InstallSnapshot> GetInstall(const internal::InstallSnapshot& encoded) {
  absl::StatusOr<raft::Configuration> configuration =
      raft::DecodeConfiguration(encoded.configuration());
  if (!configuration.ok()) return configuration.status();
  return raft::InstallSnapshot{
      {raft::Index(encoded.index()), raft::Term(encoded.term()), *std::move(configuration)}};
}

}  // namespace

std::string EncodeSmallFields(const raft::Message& message) {
  internal::PeerMessage out;
  out.set_term(message.term.value());
  std::visit([&out](const auto& body) { SetBody(body, out); }, message.body);
  return out.SerializeAsString();
}

absl::StatusOr<raft::Message> DecodeMessage(internal::PeerMessage&& encoded) {
  using Encoded = internal::PeerMessage;
  raft::Message message;
  message.term = raft::Term(encoded.term());
  switch (encoded.body_case()) {
    case Encoded::kAppend: {
      absl::StatusOr<raft::AppendRequest> append = TakeAppend(encoded);
      if (!append.ok()) return append.status();
      message.body = *std::move(append);
      break;
    }
    case Encoded::kAppendReply: {
      const internal::AppendReply& reply = encoded.append_reply();
      message.body = raft::AppendReply{reply.accepted(), raft::Index(reply.match()),
                                       raft::Index(reply.rejected()), Get(reply.hint())};
      break;
    }
    case Encoded::kHeartbeat: {
      const internal::Heartbeat& heartbeat = encoded.heartbeat();
      message.body =
          raft::Heartbeat{raft::Round(heartbeat.round()), raft::Index(heartbeat.commit()),
                          raft::Index(heartbeat.replicated_everywhere())};
      break;
    }
    case Encoded::kHeartbeatReply:
      message.body = raft::HeartbeatReply{raft::Round(encoded.heartbeat_reply().round())};
      break;
    case Encoded::kVote: {
      const internal::VoteRequest& vote = encoded.vote();
      message.body =
          raft::VoteRequest{vote.pre(), raft::Term(vote.campaign_term()), Get(vote.last()),
                            vote.transfer(), raft::Incarnation(vote.incarnation())};
      break;
    }
    case Encoded::kVoteReply: {
      const internal::VoteReply& reply = encoded.vote_reply();
      message.body = raft::VoteReply{reply.pre(), raft::Term(reply.campaign_term()),
                                     reply.granted(), raft::Incarnation(reply.incarnation())};
      break;
    }
    case Encoded::kRead:
      message.body = raft::ReadRequest{raft::ReadId(encoded.read().id()),
                                       raft::Incarnation(encoded.read().incarnation())};
      break;
    case Encoded::kReadReply: {
      const internal::ReadReply& reply = encoded.read_reply();
      message.body =
          raft::ReadReply{raft::ReadId(reply.id()), raft::Incarnation(reply.incarnation()),
                          reply.confirmed(), raft::Index(reply.index())};
      break;
    }
    case Encoded::kForward:
      message.body = TakeForward(encoded);
      break;
    case Encoded::kDropped:
      message.body = GetDropped(encoded.dropped());
      break;
    case Encoded::kTimeoutNow:
      message.body = raft::TimeoutNow{};
      break;
    case Encoded::kInstall: {
      absl::StatusOr<raft::InstallSnapshot> install = GetInstall(encoded.install());
      if (!install.ok()) return install.status();
      message.body = *std::move(install);
      break;
    }
    case Encoded::BODY_NOT_SET:
      return absl::InvalidArgumentError("message of an unknown kind");
  }
  return message;
}

}  // namespace gavel::server
