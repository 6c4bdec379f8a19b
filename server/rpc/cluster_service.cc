#include "server/rpc/cluster_service.h"

#include <utility>

#include "proto/etcdserverpb/cluster.pb.h"
#include "server/rpc/error_map.h"

namespace gavel::server {
namespace {

using etcdserverpb::MemberListRequest;
using etcdserverpb::MemberListResponse;

void AnswerMemberList(const Gate& gate, Completion done) {
  MemberListResponse response;
  // As etcd's, the headers of this service have no revision.
  FillHeader(gate, gate.term(), response.mutable_header());
  const auto members = gate.members();
  for (const storage::MemberRecord& record : *members) {
    etcdserverpb::Member* member = response.add_members();
    member->set_id(record.id.value());
    member->set_name(record.name);
    for (const std::string& url : record.peer_urls) member->add_peerurls(url);
    for (const std::string& url : record.client_urls) member->add_clienturls(url);
    member->set_islearner(record.learner);
  }
  std::move(done)(RpcStatus(), Encode(response));
}

void MemberList(const ServiceSurroundings& s, const std::string& bytes, const CallContext& context,
                Completion done) {
  MemberListRequest request;
  if (!ParseRequest(bytes, &request)) return Fail(std::move(done), MalformedRequest());
  if (!request.linearizable()) return AnswerMemberList(*s.gate, std::move(done));
  s.gate->Read(context.deadline, [gate = s.gate, done = std::move(done)](ReadResult read) mutable {
    if (read.result != GateResult::kOk) return Fail(std::move(done), ToStatus(read.result));
    AnswerMemberList(*gate, std::move(done));
  });
}

}  // namespace

void AddClusterService(const ServiceSurroundings& surroundings, const CallGuard& guard,
                       Router& router) {
  router.AddUnary(
      "/etcdserverpb.Cluster/MemberList",
      guard.Unary(CallGuard::Learner::kRefuses,
                  [surroundings](std::string request, CallContext context, Completion done) {
                    MemberList(surroundings, request, context, std::move(done));
                  }));
}

}  // namespace gavel::server
