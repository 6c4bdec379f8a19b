#include "client/cluster.h"

#include "client/internal/submit.h"

namespace gavel::client {

Pending<MemberListResponse> Cluster::MemberListAsync(bool linearizable, CallOptions options) const {
  etcdserverpb::MemberListRequest request;
  request.set_linearizable(linearizable);
  return internal::Submit<MemberListResponse, etcdserverpb::MemberListResponse>(
      core_, "/etcdserverpb.Cluster/MemberList", request, internal::kRead, std::move(options));
}

Result<MemberListResponse> Cluster::MemberList(bool linearizable, CallOptions options) const {
  return internal::Block([&] { return MemberListAsync(linearizable, std::move(options)); });
}

}  // namespace gavel::client
