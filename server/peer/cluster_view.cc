#include "server/peer/cluster_view.h"

#include "absl/strings/str_cat.h"

#include "proto/internal/peer.pb.h"
#include "proto/parse.h"

namespace gavel::server {
namespace {

constexpr uint32_t kFormatVersion = 1;
constexpr int kDepthMax = 8;

void Encode(const KnownMember& member, internal::ClusterMember* out) {
  out->set_id(member.id.value());
  out->set_name(member.name);
  for (const std::string& url : member.peer_urls) out->add_peer_urls(url);
  out->set_learner(member.learner);
  out->set_started(member.started);
}

KnownMember Decode(const internal::ClusterMember& in) {
  KnownMember member;
  member.id = raft::NodeId(in.id());
  member.name = in.name();
  member.peer_urls.assign(in.peer_urls().begin(), in.peer_urls().end());
  member.learner = in.learner();
  member.started = in.started();
  return member;
}

}  // namespace

std::string EncodeClusterView(const ClusterView& view) {
  internal::ClusterView encoded;
  encoded.set_format(kFormatVersion);
  encoded.set_cluster_id(view.cluster_id);
  for (const KnownMember& member : view.members) Encode(member, encoded.add_members());
  for (const KnownMember& member : view.founders) Encode(member, encoded.add_founders());
  return encoded.SerializeAsString();
}

absl::StatusOr<ClusterView> DecodeClusterView(std::string_view bytes) {
  internal::ClusterView encoded;
  if (!ParseMessage(bytes, kDepthMax, &encoded) || encoded.format() == 0) {
    return absl::InvalidArgumentError("the answer is not what a member of a cluster says");
  }
  if (encoded.format() > kFormatVersion) {
    return absl::InvalidArgumentError(absl::StrCat("the answer has format ", encoded.format(),
                                                   "; this build reads up to ", kFormatVersion,
                                                   ": a newer build is needed"));
  }
  ClusterView view;
  view.cluster_id = encoded.cluster_id();
  for (const auto& member : encoded.members()) view.members.push_back(Decode(member));
  for (const auto& member : encoded.founders()) view.founders.push_back(Decode(member));
  return view;
}

}  // namespace gavel::server
