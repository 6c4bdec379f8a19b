#include "server/rpc/maintenance_service.h"

#include <memory>
#include <utility>

#include "proto/etcdserverpb/maintenance.pb.h"
#include "server/rpc/error_map.h"
#include "server/rpc/snapshot_call.h"
#include "server/version.h"
#include "storage/mvcc/hash.h"

namespace gavel::server {
namespace {

using etcdserverpb::AlarmRequest;
using etcdserverpb::AlarmResponse;
using etcdserverpb::HashKVRequest;
using etcdserverpb::HashKVResponse;
using etcdserverpb::StatusRequest;
using etcdserverpb::StatusResponse;

constexpr int64_t kHashRowsPerStep = 4096;

void Status(const ServiceSurroundings& s, std::string bytes, CallContext, Completion done) {
  StatusRequest request;
  if (!ParseRequest(bytes, &request)) return Fail(std::move(done), MalformedRequest());
  const MemberStatus status = s.gate->status();
  StatusResponse response;
  FillHeader(*s.gate, status.raft.term, response.mutable_header());
  response.mutable_header()->set_revision(s.gate->view()->revision);
  response.set_version(std::string(kEtcdServerVersion));
  response.set_dbsize(static_cast<int64_t>(status.db_bytes));
  response.set_dbsizeinuse(static_cast<int64_t>(status.db_in_use_bytes));
  response.set_dbsizequota(static_cast<int64_t>(status.quota_bytes));
  response.set_leader(status.raft.leader.value_or(raft::NodeId()).value());
  response.set_raftindex(status.raft.commit.value());
  response.set_raftterm(status.raft.term.value());
  response.set_raftappliedindex(status.applied.value());
  response.set_islearner(status.learner);
  response.set_storageversion(std::string(kEtcdClusterVersion));
  response.mutable_downgradeinfo();
  if (!status.raft.leader) response.add_errors(ToStatus(Error::kNoLeader).message);
  for (const std::string& error : status.errors) response.add_errors(error);
  std::move(done)(RpcStatus(), Encode(response));
}

// No alarm can be raised in this release, so none is ever listed.
void Alarm(const ServiceSurroundings& s, std::string bytes, CallContext, Completion done) {
  AlarmRequest request;
  if (!ParseRequest(bytes, &request)) return Fail(std::move(done), MalformedRequest());
  if (request.action() != AlarmRequest::GET) {
    return Fail(std::move(done), NotServed("Alarm", "activating and deactivating alarms"));
  }
  AlarmResponse response;
  FillHeader(*s.gate, s.gate->term(), response.mutable_header());
  response.mutable_header()->set_revision(s.gate->view()->revision);
  std::move(done)(RpcStatus(), Encode(response));
}

void HashKv(const ServiceSurroundings& s, std::string bytes, CallContext, Completion done) {
  HashKVRequest request;
  if (!ParseRequest(bytes, &request)) return Fail(std::move(done), MalformedRequest());
  const auto view = s.gate->view();
  auto cursor = std::make_unique<storage::HashCursor>(view, request.revision());
  s.gate->RunInBackground([gate = s.gate, revision = view->revision, cursor = std::move(cursor),
                           done = std::move(done)]() mutable {
    if (!cursor->Step(kHashRowsPerStep)) return true;
    if (!cursor->status().ok()) {
      Fail(std::move(done), InternalError(cursor->status().ToString()));
      return false;
    }
    if (cursor->error() != storage::RequestError::kNone) {
      Fail(std::move(done), ToStatus(cursor->error()));
      return false;
    }
    HashKVResponse response;
    FillHeader(*gate, gate->term(), response.mutable_header());
    response.mutable_header()->set_revision(revision);
    response.set_hash(cursor->hash());
    response.set_compact_revision(cursor->compact_revision());
    response.set_hash_revision(cursor->hash_revision());
    std::move(done)(RpcStatus(), Encode(response));
    return false;
  });
}

}  // namespace

void AddMaintenanceService(const ServiceSurroundings& surroundings, const CallGuard& guard,
                           Router& router) {
  const auto add = [&](const char* name, ServiceMethod method, CallGuard::Learner learner) {
    AddGuarded(surroundings, guard, router, name, learner, method);
  };
  add("/etcdserverpb.Maintenance/Status", Status, CallGuard::Learner::kServes);
  add("/etcdserverpb.Maintenance/Alarm", Alarm, CallGuard::Learner::kRefuses);
  add("/etcdserverpb.Maintenance/HashKV", HashKv, CallGuard::Learner::kRefuses);
  router.AddStream(
      "/etcdserverpb.Maintenance/Snapshot",
      guard.Stream(CallGuard::Learner::kServes,
                   [surroundings](const CallContext&, std::shared_ptr<StreamWriter> writer) {
                     return StartSnapshot(surroundings, std::move(writer));
                   }),
      StreamShape::kServerStream);
}

}  // namespace gavel::server
