#include "server/rpc/cluster_service.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "proto/etcdserverpb/cluster.pb.h"
#include "proto/gavel/v1/cluster.pb.h"
#include "proto/internal/command.pb.h"
#include "raft/random.h"
#include "server/rpc/error_map.h"
#include "server/rpc/member_checks.h"
#include "storage/state/membership.h"

namespace gavel::server {
namespace {

using internal::ChangeMembers;

void FillMember(const storage::MemberRecord& record, etcdserverpb::Member* member) {
  member->set_id(record.id.value());
  member->set_name(record.name);
  for (const std::string& url : record.peer_urls) member->add_peerurls(url);
  for (const std::string& url : record.client_urls) member->add_clienturls(url);
  member->set_islearner(record.learner);
}

// Header and members. As etcd's, the headers of this service have no revision.
template <class Response>
Response NewResponse(const Gate& gate) {
  Response response;
  FillHeader(gate, gate.term(), response.mutable_header());
  const auto members = gate.members();
  for (const storage::MemberRecord& record : *members) FillMember(record, response.add_members());
  return response;
}

// The same, and the member that `change` adds.
template <class Response>
Response NewResponse(const Gate& gate, const internal::AddedMember& added) {
  auto response = NewResponse<Response>(gate);
  etcdserverpb::Member* member = response.mutable_member();
  member->set_id(added.id());
  *member->mutable_peerurls() = added.peer_urls();
  member->set_islearner(added.learner());
  for (const etcdserverpb::Member& known : response.members()) {
    if (known.id() == added.id()) *member = known;
  }
  return response;
}

void MemberList(const ServiceSurroundings& s, std::string bytes, CallContext context,
                Completion done) {
  etcdserverpb::MemberListRequest request;
  if (!ParseRequest(bytes, &request)) return Fail(std::move(done), MalformedRequest());
  const auto answer = [](const Gate& gate, Completion end) {
    std::move(end)(RpcStatus(), Encode(NewResponse<etcdserverpb::MemberListResponse>(gate)));
  };
  if (!request.linearizable()) return answer(*s.gate, std::move(done));
  s.gate->Read(context.deadline,
               [gate = s.gate, answer, done = std::move(done)](ReadResult read) mutable {
                 if (read.result != GateResult::kOk) {
                   return Fail(std::move(done), ToStatus(read.result));
                 }
                 answer(*gate, std::move(done));
               });
}

// Has `change` carried out; `respond` makes the response.
template <class Respond>
void Change(const ServiceSurroundings& s, ChangeMembers change, const CallContext& context,
            Completion done, Respond respond) {
  s.gate->ChangeMembers(
      change, context.deadline,
      [gate = s.gate, done = std::move(done), respond](const ProposeResult& result) mutable {
        if (result.result == GateResult::kRefused) {
          return Fail(std::move(done), ToStatus(result.outcome.error));
        }
        if (result.result != GateResult::kOk) {
          return Fail(std::move(done), ToStatus(result.result));
        }
        std::move(done)(RpcStatus(), Encode(respond(*gate)));
      });
}

// A member that never was, at `urls`. The id is one that no member gives again, and looks unlike
// the one given before: people tell members apart by it.
internal::AddedMember* AddMember(const ServiceSurroundings& s, std::vector<std::string> urls,
                                 ChangeMembers& change) {
  internal::AddedMember* added = change.add_add();
  added->set_id(raft::Random(static_cast<uint64_t>(s.gate->NewId())).Next());
  for (std::string& url : urls) added->add_peer_urls(std::move(url));
  return added;
}

void MemberAdd(const ServiceSurroundings& s, std::string bytes, CallContext context,
               Completion done) {
  etcdserverpb::MemberAddRequest request;
  if (!ParseRequest(bytes, &request)) return Fail(std::move(done), MalformedRequest());
  std::vector<std::string> urls;
  if (const auto error = CheckPeerUrls(request.peerurls(), &urls)) {
    return Fail(std::move(done), ToStatus(*error));
  }
  if (const auto error = CheckAdd(*s.gate, s.limits, urls, request.islearner())) {
    return Fail(std::move(done), ToStatus(*error));
  }
  ChangeMembers change;
  internal::AddedMember* added = AddMember(s, std::move(urls), change);
  added->set_learner(request.islearner());
  Change(s, change, context, std::move(done), [added = *added](const Gate& gate) {
    return NewResponse<etcdserverpb::MemberAddResponse>(gate, added);
  });
}

void MemberRemove(const ServiceSurroundings& s, std::string bytes, CallContext context,
                  Completion done) {
  etcdserverpb::MemberRemoveRequest request;
  if (!ParseRequest(bytes, &request)) return Fail(std::move(done), MalformedRequest());
  if (const auto error = CheckRemove(*s.gate, s.limits, raft::NodeId(request.id()))) {
    return Fail(std::move(done), ToStatus(*error));
  }
  ChangeMembers change;
  change.add_remove(request.id());
  Change(s, change, context, std::move(done),
         [](const Gate& gate) { return NewResponse<etcdserverpb::MemberRemoveResponse>(gate); });
}

void MemberUpdate(const ServiceSurroundings& s, std::string bytes, CallContext context,
                  Completion done) {
  etcdserverpb::MemberUpdateRequest request;
  if (!ParseRequest(bytes, &request)) return Fail(std::move(done), MalformedRequest());
  std::vector<std::string> urls;
  if (const auto error = CheckPeerUrls(request.peerurls(), &urls)) {
    return Fail(std::move(done), ToStatus(*error));
  }
  ChangeMembers change;
  internal::UpdatedMember* updated = change.add_update();
  updated->set_id(request.id());
  for (std::string& url : urls) updated->add_peer_urls(std::move(url));
  Change(s, change, context, std::move(done),
         [](const Gate& gate) { return NewResponse<etcdserverpb::MemberUpdateResponse>(gate); });
}

Counter& PromotionSuccesses(Metrics& metrics) {
  return metrics.AddCounter("etcd_server_learner_promote_successes",
                            "Promotions of learners that have come about.");
}

// `done`, and what becomes of a promotion counted.
Completion CountingPromotion(Metrics* metrics, Completion done) {
  return [metrics, done = std::move(done)](RpcStatus status, Encoded answer) mutable {
    Counter& counter = status.ok()
                           ? PromotionSuccesses(*metrics)
                           : metrics->AddCounter("etcd_server_learner_promote_failures",
                                                 "Promotions of learners that have not come about.",
                                                 {{"Reason", status.message}});
    counter.Increment();
    std::move(done)(std::move(status), std::move(answer));
  };
}

void MemberPromote(const ServiceSurroundings& s, std::string bytes, CallContext context,
                   Completion done) {
  etcdserverpb::MemberPromoteRequest request;
  if (!ParseRequest(bytes, &request)) return Fail(std::move(done), MalformedRequest());
  done = CountingPromotion(s.metrics, std::move(done));
  if (const auto error = CheckPromote(*s.gate, s.limits, raft::NodeId(request.id()))) {
    return Fail(std::move(done), ToStatus(*error));
  }
  ChangeMembers change;
  change.add_promote(request.id());
  Change(s, change, context, std::move(done),
         [](const Gate& gate) { return NewResponse<etcdserverpb::MemberPromoteResponse>(gate); });
}

void MemberReplace(const ServiceSurroundings& s, std::string bytes, CallContext context,
                   Completion done) {
  v1::MemberReplaceRequest request;
  if (!ParseRequest(bytes, &request)) return Fail(std::move(done), MalformedRequest());
  std::vector<std::string> urls;
  if (const auto error = CheckPeerUrls(request.peerurls(), &urls)) {
    return Fail(std::move(done), ToStatus(*error));
  }
  if (const auto error = CheckReplace(*s.gate, s.limits)) {
    return Fail(std::move(done), ToStatus(*error));
  }
  ChangeMembers change;
  internal::AddedMember* added = AddMember(s, std::move(urls), change);
  const auto wanted = s.gate->membership();
  const storage::WantedMember* const gone = std::as_const(*wanted).Find(raft::NodeId(request.id()));
  added->set_learner(gone != nullptr && gone->learner);
  change.add_remove(request.id());
  Change(s, change, context, std::move(done), [added = *added](const Gate& gate) {
    return NewResponse<v1::MemberReplaceResponse>(gate, added);
  });
}

}  // namespace

void AddClusterService(const ServiceSurroundings& surroundings, const CallGuard& guard,
                       Router& router) {
  PromotionSuccesses(*surroundings.metrics);  // Told from the start.
  constexpr struct {
    const char* name;
    ServiceMethod method;
  } kMethods[] = {{"/etcdserverpb.Cluster/MemberList", MemberList},
                  {"/etcdserverpb.Cluster/MemberAdd", MemberAdd},
                  {"/etcdserverpb.Cluster/MemberRemove", MemberRemove},
                  {"/etcdserverpb.Cluster/MemberUpdate", MemberUpdate},
                  {"/etcdserverpb.Cluster/MemberPromote", MemberPromote},
                  {"/gavel.v1.Cluster/MemberReplace", MemberReplace}};
  for (const auto& [name, method] : kMethods) {
    AddGuarded(surroundings, guard, router, name, CallGuard::Learner::kRefuses, method);
  }
}

}  // namespace gavel::server
