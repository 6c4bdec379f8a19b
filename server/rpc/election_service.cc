#include "server/rpc/election_service.h"

#include <string>
#include <utility>

#include "proto/v3electionpb/election.pb.h"
#include "server/rpc/line_call.h"
#include "server/rpc/observe_call.h"

namespace gavel::server {
namespace {

using etcdserverpb::Compare;
using etcdserverpb::TxnRequest;
using etcdserverpb::TxnResponse;

class CampaignCall final : public LineCall {
 public:
  using LineCall::LineCall;

 private:
  void Begin(const std::string& bytes) override {
    v3electionpb::CampaignRequest request;
    if (!ParseRequest(bytes, &request)) return Fail(MalformedRequest());
    Enter(request.name(), request.lease(), request.value());
  }

  void OnFirst(const Place& place, storage::Revision) override {
    v3electionpb::CampaignResponse response;
    // etcd's, however long the candidate has waited since.
    response.mutable_header()->set_revision(place.entered);
    v3electionpb::LeaderKey& leader = *response.mutable_leader();
    leader.set_name(place.name);
    leader.set_key(place.key);
    leader.set_rev(place.create);
    leader.set_lease(place.lease);
    Answer(std::move(response));
  }

  RpcStatus Gone() const override { return ToStatus(Error::kElectionNotLeader); }
};

// A transaction that happens only while the leader's key is the one it was elected with.
TxnRequest AsLeader(const v3electionpb::LeaderKey& leader) {
  TxnRequest request;
  Compare& still = *request.add_compare();
  still.set_target(Compare::CREATE);
  still.set_key(leader.key());
  still.set_create_revision(leader.rev());
  return request;
}

class ProclaimCall final : public RecipeCall {
 public:
  ProclaimCall(const ServiceSurroundings& surroundings, CallContext context,
               std::shared_ptr<StreamWriter> writer)
      : RecipeCall(surroundings, std::move(context), std::move(writer)) {}

 private:
  void Begin(const std::string& bytes) override {
    v3electionpb::ProclaimRequest request;
    if (!ParseRequest(bytes, &request)) return Fail(MalformedRequest());
    if (!request.has_leader()) return Fail(ToStatus(Error::kMissingLeaderKey));
    WithLease(request.leader().lease(), [this, request](int64_t lease) {
      TxnRequest txn = AsLeader(request.leader());
      etcdserverpb::PutRequest& put = *txn.add_success()->mutable_request_put();
      put.set_key(request.leader().key());
      put.set_value(request.value());
      put.set_lease(lease);
      Write(txn, [this](const TxnResponse& written) {
        if (!written.succeeded()) return Fail(ToStatus(Error::kElectionNotLeader));
        v3electionpb::ProclaimResponse response;
        response.mutable_header()->set_revision(written.header().revision());
        Answer(std::move(response));
      });
    });
  }
};

class LeaderCall final : public RecipeCall {
 public:
  LeaderCall(const ServiceSurroundings& surroundings, CallContext context,
             std::shared_ptr<StreamWriter> writer)
      : RecipeCall(surroundings, std::move(context), std::move(writer)) {}

 private:
  void Begin(const std::string& bytes) override {
    v3electionpb::LeaderRequest request;
    if (!ParseRequest(bytes, &request)) return Fail(MalformedRequest());
    TxnRequest txn;
    AskForFirst(request.name(), txn.add_success()->mutable_request_range());
    Read(std::move(txn), [this](TxnResponse seen) {
      auto& range = *seen.mutable_responses(0)->mutable_response_range();
      if (range.kvs_size() == 0) return Fail(ToStatus(Error::kElectionNoLeader));
      v3electionpb::LeaderResponse response;
      response.mutable_header()->set_revision(seen.header().revision());
      *response.mutable_kv() = std::move(*range.mutable_kvs(0));
      Answer(std::move(response));
    });
  }
};

class ResignCall final : public RecipeCall {
 public:
  ResignCall(const ServiceSurroundings& surroundings, CallContext context,
             std::shared_ptr<StreamWriter> writer)
      : RecipeCall(surroundings, std::move(context), std::move(writer)) {}

 private:
  void Begin(const std::string& bytes) override {
    v3electionpb::ResignRequest request;
    if (!ParseRequest(bytes, &request)) return Fail(MalformedRequest());
    if (!request.has_leader()) return Fail(ToStatus(Error::kMissingLeaderKey));
    TxnRequest txn = AsLeader(request.leader());
    txn.add_success()->mutable_request_delete_range()->set_key(request.leader().key());
    Write(txn, [this](const TxnResponse& written) {
      // Who leads no more has nothing to give up.
      v3electionpb::ResignResponse response;
      response.mutable_header()->set_revision(written.header().revision());
      Answer(std::move(response));
    });
  }
};

}  // namespace

void AddElectionService(const ServiceSurroundings& surroundings, const CallGuard& guard,
                        Router& router) {
  AddRecipe<CampaignCall>(surroundings, guard, router, "/v3electionpb.Election/Campaign");
  AddRecipe<ProclaimCall>(surroundings, guard, router, "/v3electionpb.Election/Proclaim");
  AddRecipe<LeaderCall>(surroundings, guard, router, "/v3electionpb.Election/Leader");
  AddRecipe<ObserveCall>(surroundings, guard, router, "/v3electionpb.Election/Observe",
                         StreamShape::kServerStream);
  AddRecipe<ResignCall>(surroundings, guard, router, "/v3electionpb.Election/Resign");
}

}  // namespace gavel::server
