#include "client/cluster.h"

#include "client/internal/submit.h"

namespace gavel::client {
namespace {

using internal::Block;
using internal::kRead;
using internal::kWrite;
using internal::Submit;

template <class Request>
Request WithUrls(const std::vector<std::string>& peer_urls) {
  Request request;
  for (const std::string& url : peer_urls) request.add_peerurls(url);
  return request;
}

template <class Request>
Request OfMember(uint64_t id) {
  Request request;
  request.set_id(id);
  return request;
}

}  // namespace

Pending<MemberListResponse> Cluster::MemberListAsync(bool linearizable, CallOptions options) const {
  etcdserverpb::MemberListRequest request;
  request.set_linearizable(linearizable);
  return Submit<MemberListResponse, etcdserverpb::MemberListResponse>(
      core_, "/etcdserverpb.Cluster/MemberList", request, kRead, std::move(options));
}

Pending<MemberAddResponse> Cluster::MemberAddAsync(std::vector<std::string> peer_urls,
                                                   MemberRole role, CallOptions options) const {
  auto request = WithUrls<etcdserverpb::MemberAddRequest>(peer_urls);
  request.set_islearner(role == MemberRole::kLearner);
  return Submit<MemberAddResponse, etcdserverpb::MemberAddResponse>(
      core_, "/etcdserverpb.Cluster/MemberAdd", request, kWrite, std::move(options));
}

Pending<MemberRemoveResponse> Cluster::MemberRemoveAsync(uint64_t id, CallOptions options) const {
  return Submit<MemberRemoveResponse, etcdserverpb::MemberRemoveResponse>(
      core_, "/etcdserverpb.Cluster/MemberRemove", OfMember<etcdserverpb::MemberRemoveRequest>(id),
      kWrite, std::move(options));
}

Pending<MemberUpdateResponse> Cluster::MemberUpdateAsync(uint64_t id,
                                                         std::vector<std::string> peer_urls,
                                                         CallOptions options) const {
  auto request = WithUrls<etcdserverpb::MemberUpdateRequest>(peer_urls);
  request.set_id(id);
  return Submit<MemberUpdateResponse, etcdserverpb::MemberUpdateResponse>(
      core_, "/etcdserverpb.Cluster/MemberUpdate", request, kWrite, std::move(options));
}

Pending<MemberPromoteResponse> Cluster::MemberPromoteAsync(uint64_t id, CallOptions options) const {
  return Submit<MemberPromoteResponse, etcdserverpb::MemberPromoteResponse>(
      core_, "/etcdserverpb.Cluster/MemberPromote",
      OfMember<etcdserverpb::MemberPromoteRequest>(id), kWrite, std::move(options));
}

Pending<MemberReplaceResponse> Cluster::MemberReplaceAsync(uint64_t id,
                                                           std::vector<std::string> peer_urls,
                                                           CallOptions options) const {
  auto request = WithUrls<gavel::v1::MemberReplaceRequest>(peer_urls);
  request.set_id(id);
  return Submit<MemberReplaceResponse, gavel::v1::MemberReplaceResponse>(
      core_, "/gavel.v1.Cluster/MemberReplace", request, kWrite, std::move(options));
}

// --- The blocking forms -----------------------------------------------------------------------

Result<MemberListResponse> Cluster::MemberList(bool linearizable, CallOptions options) const {
  return Block([&] { return MemberListAsync(linearizable, std::move(options)); });
}
Result<MemberAddResponse> Cluster::MemberAdd(std::vector<std::string> peer_urls, MemberRole role,
                                             CallOptions options) const {
  return Block([&] { return MemberAddAsync(std::move(peer_urls), role, std::move(options)); });
}
Result<MemberRemoveResponse> Cluster::MemberRemove(uint64_t id, CallOptions options) const {
  return Block([&] { return MemberRemoveAsync(id, std::move(options)); });
}
Result<MemberUpdateResponse> Cluster::MemberUpdate(uint64_t id, std::vector<std::string> peer_urls,
                                                   CallOptions options) const {
  return Block([&] { return MemberUpdateAsync(id, std::move(peer_urls), std::move(options)); });
}
Result<MemberPromoteResponse> Cluster::MemberPromote(uint64_t id, CallOptions options) const {
  return Block([&] { return MemberPromoteAsync(id, std::move(options)); });
}
Result<MemberReplaceResponse> Cluster::MemberReplace(uint64_t id,
                                                     std::vector<std::string> peer_urls,
                                                     CallOptions options) const {
  return Block([&] { return MemberReplaceAsync(id, std::move(peer_urls), std::move(options)); });
}

}  // namespace gavel::client
