#include "server/rpc/maintenance_service.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

#include "proto/etcdserverpb/maintenance.pb.h"
#include "proto/internal/command.pb.h"
#include "raft/check.h"
#include "server/rpc/error_map.h"
#include "server/rpc/snapshot_call.h"
#include "server/version.h"
#include "storage/mvcc/hash.h"

namespace gavel::server {
namespace {

using etcdserverpb::AlarmRequest;
using etcdserverpb::AlarmResponse;
using etcdserverpb::DefragmentRequest;
using etcdserverpb::DefragmentResponse;
using etcdserverpb::DowngradeRequest;
using etcdserverpb::DowngradeResponse;
using etcdserverpb::HashKVRequest;
using etcdserverpb::HashKVResponse;
using etcdserverpb::HashRequest;
using etcdserverpb::HashResponse;
using etcdserverpb::MoveLeaderRequest;
using etcdserverpb::MoveLeaderResponse;
using etcdserverpb::StatusRequest;
using etcdserverpb::StatusResponse;

constexpr int64_t kHashRowsPerStep = 4096;

// As etcd writes it: what is zero is left out, and each part ends with a space.
std::string AlarmText(const storage::Alarm& alarm) {
  std::string text;
  if (alarm.member.value() != 0) absl::StrAppend(&text, "memberID:", alarm.member.value(), " ");
  if (alarm.kind != 0) absl::StrAppend(&text, "alarm:", storage::AlarmName(alarm.kind), " ");
  return text;
}

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
  const auto limits = s.gate->limits();
  for (const storage::Alarm& alarm : limits->alarms) {
    response.add_errors(AlarmText(alarm));
  }
  for (const std::string& error : status.errors) response.add_errors(error);
  std::move(done)(RpcStatus(), Encode(response));
}

void ListAlarms(const storage::AlarmTable& alarms, int kind, AlarmResponse* response) {
  for (const storage::Alarm& alarm : alarms) {
    if (kind != etcdserverpb::NONE && alarm.kind != static_cast<uint32_t>(kind)) continue;
    etcdserverpb::AlarmMember& listed = *response->add_alarms();
    listed.set_memberid(alarm.member.value());
    listed.set_alarm(static_cast<etcdserverpb::AlarmType>(alarm.kind));
  }
}

// As of a moment after the request came.
void GetAlarms(const ServiceSurroundings& s, int kind, const CallContext& context,
               Completion done) {
  s.gate->Read(context.deadline,
               [gate = s.gate, kind, done = std::move(done)](ReadResult read) mutable {
                 if (read.result != GateResult::kOk)
                   return Fail(std::move(done), ToStatus(read.result));
                 AlarmResponse response;
                 ListAlarms(gate->limits()->alarms, kind, &response);
                 FillHeader(*gate, gate->term(), response.mutable_header());
                 response.mutable_header()->set_revision(read.view->revision);
                 std::move(done)(RpcStatus(), Encode(response));
               });
}

void Alarm(const ServiceSurroundings& s, std::string bytes, CallContext context, Completion done) {
  AlarmRequest request;
  if (!ParseRequest(bytes, &request)) return Fail(std::move(done), MalformedRequest());
  const int kind = request.alarm();
  if (request.action() == AlarmRequest::GET) return GetAlarms(s, kind, context, std::move(done));
  const bool raise = request.action() == AlarmRequest::ACTIVATE;
  if (!raise && request.action() != AlarmRequest::DEACTIVATE) {
    return Fail(std::move(done), UnknownAction());
  }
  internal::ChangeAlarm change;
  change.set_member(request.memberid());
  change.set_alarm(static_cast<uint32_t>(kind));
  change.set_raise(raise);
  s.gate->Propose(CommandField::kChangeAlarm, change.SerializeAsString(), context.deadline,
                  [gate = s.gate, kind, done = std::move(done)](ProposeResult result) mutable {
                    if (result.result != GateResult::kOk) {
                      return Fail(std::move(done), ToStatus(result.result));
                    }
                    const auto* alarms = std::get_if<storage::AlarmTable>(&result.outcome.response);
                    GAVEL_CHECK(alarms != nullptr) << "the outcome is of another command";
                    AlarmResponse response;
                    ListAlarms(*alarms, kind, &response);
                    FillHeader(*gate, result.term, response.mutable_header());
                    response.mutable_header()->set_revision(gate->view()->revision);
                    std::move(done)(RpcStatus(), Encode(response));
                  });
}

// Hashes in background steps; `answer` makes the response, but for its header.
template <class Answer>
void HashUpTo(const ServiceSurroundings& s, storage::Revision revision, Completion done,
              Answer answer) {
  if (TooManyJobs(s)) return Fail(std::move(done), ToStatus(Error::kTooManyRequests));
  const auto view = s.gate->view();
  auto cursor = std::make_unique<storage::HashCursor>(view, revision);
  s.gate->RunInBackground([gate = s.gate, newest = view->revision, cursor = std::move(cursor),
                           done = std::move(done), answer]() mutable {
    if (!cursor->Step(kHashRowsPerStep)) return true;
    if (!cursor->status().ok()) {
      Fail(std::move(done), InternalError(cursor->status().ToString()));
      return false;
    }
    if (cursor->error() != storage::RequestError::kNone) {
      Fail(std::move(done), ToStatus(cursor->error()));
      return false;
    }
    auto response = answer(*cursor);
    FillHeader(*gate, gate->term(), response.mutable_header());
    response.mutable_header()->set_revision(newest);
    std::move(done)(RpcStatus(), Encode(response));
    return false;
  });
}

void HashKv(const ServiceSurroundings& s, std::string bytes, CallContext, Completion done) {
  HashKVRequest request;
  if (!ParseRequest(bytes, &request)) return Fail(std::move(done), MalformedRequest());
  HashUpTo(s, request.revision(), std::move(done), [](const storage::HashCursor& cursor) {
    HashKVResponse response;
    response.set_hash(cursor.hash());
    response.set_compact_revision(cursor.compact_revision());
    response.set_hash_revision(cursor.hash_revision());
    return response;
  });
}

// etcd hashes its whole file. Of that, what members must have in common are the keys' versions.
void Hash(const ServiceSurroundings& s, std::string bytes, CallContext, Completion done) {
  HashRequest request;
  if (!ParseRequest(bytes, &request)) return Fail(std::move(done), MalformedRequest());
  HashUpTo(s, 0, std::move(done), [](const storage::HashCursor& cursor) {
    HashResponse response;
    response.set_hash(cursor.hash());
    return response;
  });
}

// As in etcd, the answer has no header. Nobody has to wait: see Gate::StartCompaction.
void Defragment(const ServiceSurroundings& s, std::string bytes, CallContext, Completion done) {
  DefragmentRequest request;
  if (!ParseRequest(bytes, &request)) return Fail(std::move(done), MalformedRequest());
  if (const absl::Status started = s.gate->StartCompaction(); !started.ok()) {
    return Fail(std::move(done), InternalError(started.ToString()));
  }
  std::move(done)(RpcStatus(), Encode(DefragmentResponse()));
}

bool IsVoter(const Gate& gate, raft::NodeId id) {
  const auto members = gate.members();
  return std::any_of(members->begin(), members->end(), [&](const storage::MemberRecord& member) {
    return member.id == id && !member.learner;
  });
}

// As in etcd, the answer has no header.
void MoveLeader(const ServiceSurroundings& s, std::string bytes, CallContext context,
                Completion done) {
  MoveLeaderRequest request;
  if (!ParseRequest(bytes, &request)) return Fail(std::move(done), MalformedRequest());
  if (s.gate->status().raft.role != raft::Role::kLeader) {
    return Fail(std::move(done), ToStatus(Error::kNotLeader));
  }
  const raft::NodeId target(request.targetid());
  if (!IsVoter(*s.gate, target)) {
    return Fail(std::move(done), ToStatus(Error::kBadLeaderTransferee));
  }
  s.gate->MoveLeader(target, context.deadline, [done = std::move(done)](GateResult result) mutable {
    if (result != GateResult::kOk) return Fail(std::move(done), ToStatus(result));
    std::move(done)(RpcStatus(), Encode(MoveLeaderResponse()));
  });
}

struct MinorVersion {
  int64_t major_number = 0;
  int64_t minor_number = 0;
  friend bool operator==(const MinorVersion&, const MinorVersion&) = default;
};

// "3.6" or "3.6.0"; nothing if it is neither.
std::optional<MinorVersion> ParseMinorVersion(std::string_view text) {
  const std::vector<std::string> parts = absl::StrSplit(std::string(text), '.');
  if (parts.size() != 2 && parts.size() != 3) return std::nullopt;
  std::vector<int64_t> numbers;
  for (const std::string& part : parts) {
    const bool digits = part.find_first_not_of("0123456789") == std::string::npos;
    if (!digits || !absl::SimpleAtoi(part, &numbers.emplace_back())) return std::nullopt;
  }
  return MinorVersion{numbers[0], numbers[1]};
}

// Whether the cluster could be taken to an older version: etcd lets it go back by one minor
// version. Here no member has anything to prepare for that, so none is ever under way.
void Downgrade(const ServiceSurroundings& s, std::string bytes, CallContext context,
               Completion done) {
  DowngradeRequest request;
  if (!ParseRequest(bytes, &request)) return Fail(std::move(done), MalformedRequest());
  if (request.action() == DowngradeRequest::CANCEL) {
    return Fail(std::move(done), ToStatus(Error::kDowngradeNotInProgress));
  }
  if (request.action() != DowngradeRequest::VALIDATE &&
      request.action() != DowngradeRequest::ENABLE) {
    return Fail(std::move(done), UnknownAction());
  }
  const auto target = ParseMinorVersion(request.version());
  if (!target) return Fail(std::move(done), ToStatus(Error::kDowngradeVersionFormat));
  const auto cluster = ParseMinorVersion(kEtcdClusterVersion);
  GAVEL_CHECK(cluster.has_value());
  if (*target != MinorVersion{cluster->major_number, cluster->minor_number - 1}) {
    return Fail(std::move(done), ToStatus(Error::kDowngradeVersion));
  }
  if (request.action() == DowngradeRequest::ENABLE) {
    return Fail(std::move(done), NotServed("Downgrade", "starting a downgrade"));
  }
  std::string version = absl::StrCat(cluster->major_number, ".", cluster->minor_number);
  s.gate->Read(context.deadline, [gate = s.gate, version = std::move(version),
                                  done = std::move(done)](ReadResult read) mutable {
    if (read.result != GateResult::kOk) return Fail(std::move(done), ToStatus(read.result));
    DowngradeResponse response;
    FillHeader(*gate, gate->term(), response.mutable_header());
    response.mutable_header()->set_revision(read.view->revision);
    response.set_version(version);
    std::move(done)(RpcStatus(), Encode(response));
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
  add("/etcdserverpb.Maintenance/Hash", Hash, CallGuard::Learner::kRefuses);
  add("/etcdserverpb.Maintenance/Defragment", Defragment, CallGuard::Learner::kRefuses);
  add("/etcdserverpb.Maintenance/MoveLeader", MoveLeader, CallGuard::Learner::kRefuses);
  add("/etcdserverpb.Maintenance/Downgrade", Downgrade, CallGuard::Learner::kRefuses);
  router.AddStream(
      "/etcdserverpb.Maintenance/Snapshot",
      guard.Stream(CallGuard::Learner::kServes,
                   [surroundings](const CallContext&, std::shared_ptr<StreamWriter> writer) {
                     return StartSnapshot(surroundings, std::move(writer));
                   }),
      StreamShape::kServerStream);
}

}  // namespace gavel::server
