#include "server/rpc/lease_service.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "raft/check.h"
#include "server/rpc/error_map.h"
#include "server/rpc/keep_alive_call.h"
#include "server/rpc/propose.h"
#include "storage/state/lease_reader.h"

namespace gavel::server {
namespace {

using etcdserverpb::LeaseGrantRequest;
using etcdserverpb::LeaseGrantResponse;
using etcdserverpb::LeaseLeasesRequest;
using etcdserverpb::LeaseLeasesResponse;
using etcdserverpb::LeaseRevokeRequest;
using etcdserverpb::LeaseRevokeResponse;
using etcdserverpb::LeaseTimeToLiveRequest;
using etcdserverpb::LeaseTimeToLiveResponse;

constexpr int64_t kMsPerSecond = 1000;
// Rows of one step in the background.
constexpr int64_t kStepRows = 1024;

void ProposeGrant(const ServiceSurroundings& s, LeaseGrantRequest request, bool pick_id,
                  std::optional<MonotonicNs> deadline, LeaseGranted done) {
  if (pick_id) request.set_id(s.gate->NewId());
  std::string bytes = request.SerializeAsString();
  s.gate->Propose(CommandField::kLeaseGrant, std::move(bytes), deadline,
                  [s, request = std::move(request), pick_id, deadline,
                   done = std::move(done)](ProposeResult result) mutable {
                    if (result.result == GateResult::kRefused) {
                      if (pick_id && result.outcome.error == storage::RequestError::kLeaseExists) {
                        // Somebody has chosen that number for a lease of theirs.
                        return ProposeGrant(s, std::move(request), pick_id, deadline,
                                            std::move(done));
                      }
                      return std::move(done)(ToStatus(result.outcome.error), LeaseGrantResponse());
                    }
                    if (result.result != GateResult::kOk) {
                      return std::move(done)(ToStatus(result.result), LeaseGrantResponse());
                    }
                    auto* response = std::get_if<LeaseGrantResponse>(&result.outcome.response);
                    GAVEL_CHECK(response != nullptr) << "the outcome is of another command";
                    FillHeader(*s.gate, result.term, response->mutable_header());
                    std::move(done)(RpcStatus(), std::move(*response));
                  });
}

void LeaseGrant(const ServiceSurroundings& s, std::string bytes, CallContext context,
                Completion done) {
  LeaseGrantRequest request;
  if (!ParseRequest(bytes, &request)) return Fail(std::move(done), MalformedRequest());
  GrantLease(s, std::move(request), context.deadline,
             [done = std::move(done)](RpcStatus status, LeaseGrantResponse response) mutable {
               if (!status.ok()) return Fail(std::move(done), std::move(status));
               std::move(done)(RpcStatus(), Encode(response));
             });
}

void LeaseRevoke(const ServiceSurroundings& s, std::string bytes, CallContext context,
                 Completion done) {
  LeaseRevokeRequest request;
  if (!ParseRequest(bytes, &request)) return Fail(std::move(done), MalformedRequest());
  Propose<LeaseRevokeResponse>(s, CommandField::kLeaseRevoke, std::move(bytes), context.deadline,
                               std::move(done), Answer(s));
}

// What a lease has left, as of a view, and its keys if they are asked for.
class TimeToLiveJob {
 public:
  TimeToLiveJob(const ServiceSurroundings& s, std::shared_ptr<const storage::ReadView> view,
                const LeaseTimeToLiveRequest& request, Completion done)
      : s_(s),
        view_(std::move(view)),
        with_keys_(request.keys()),
        keys_(view_->engine, request.id()),
        done_(std::move(done)) {
    response_.set_id(request.id());
  }

  static void Start(TimeToLiveJob job) {
    if (job.ReadRow()) return;
    if (TooManyJobs(job.s_)) {
      return Fail(std::move(job.done_), ToStatus(Error::kTooManyRequests));
    }
    Gate* gate = job.s_.gate;
    gate->RunInBackground([job = std::move(job)]() mutable { return !job.Step(); });
  }

 private:
  // True when the call has been answered.
  bool ReadRow() {
    const auto row = storage::ReadLease(*view_, response_.id());
    if (!row.ok()) return FailWith(row.status());
    if (!row->has_value()) {
      response_.set_ttl(-1);
      return Finish();
    }
    // One that is due and not yet revoked has nothing left.
    const int64_t left_ms =
        (*row)->deadline_ms - storage::kLeaseSlackMs - s_.gate->lease_clock_ms();
    response_.set_ttl(std::clamp<int64_t>(left_ms / kMsPerSecond, 0, (*row)->ttl_seconds));
    response_.set_grantedttl((*row)->ttl_seconds);
    return !with_keys_ && Finish();
  }

  bool Step() {
    const absl::StatusOr<bool> done = keys_.Step(kStepRows);
    if (!done.ok()) return FailWith(done.status());
    if (!*done) return false;
    for (std::string& key : keys_.TakeKeys()) response_.add_keys(std::move(key));
    return Finish();
  }

  bool Finish() {
    FillHeader(*s_.gate, s_.gate->term(), response_.mutable_header());
    response_.mutable_header()->set_revision(view_->revision);
    AnswerRead(s_, std::move(done_), response_, s_.read_bytes->NewHold());
    return true;
  }

  bool FailWith(const absl::Status& status) {
    Fail(std::move(done_), InternalError(status.ToString()));
    return true;
  }

  ServiceSurroundings s_;
  std::shared_ptr<const storage::ReadView> view_;
  bool with_keys_;
  storage::LeaseKeyScan keys_;
  LeaseTimeToLiveResponse response_;
  Completion done_;
};

void LeaseTimeToLive(const ServiceSurroundings& s, std::string bytes, CallContext context,
                     Completion done) {
  LeaseTimeToLiveRequest request;
  if (!ParseRequest(bytes, &request)) return Fail(std::move(done), MalformedRequest());
  s.gate->Read(context.deadline, [s, executor = context.executor, request,
                                  done = std::move(done)](ReadResult read) mutable {
    if (read.result != GateResult::kOk) return Fail(std::move(done), ToStatus(read.result));
    RunOn(executor, [s, view = std::move(read.view), request, done = std::move(done)]() mutable {
      TimeToLiveJob::Start(TimeToLiveJob(s, std::move(view), request, std::move(done)));
    });
  });
}

void LeaseLeases(const ServiceSurroundings& s, std::string bytes, CallContext, Completion done) {
  LeaseLeasesRequest request;
  if (!ParseRequest(bytes, &request)) return Fail(std::move(done), MalformedRequest());
  if (TooManyJobs(s)) return Fail(std::move(done), ToStatus(Error::kTooManyRequests));
  const auto view = s.gate->view();
  s.gate->RunInBackground([s, revision = view->revision, scan = storage::LeaseScan(view->engine),
                           done = std::move(done)]() mutable {
    const absl::StatusOr<bool> ended = scan.Step(kStepRows);
    if (!ended.ok()) {
      Fail(std::move(done), InternalError(ended.status().ToString()));
      return false;
    }
    if (!*ended) return true;
    // The one that ends first is listed first.
    std::vector<storage::LeaseScan::Lease> leases = scan.TakeLeases();
    std::stable_sort(leases.begin(), leases.end(), [](const auto& a, const auto& b) {
      return a.second.deadline_ms < b.second.deadline_ms;
    });
    LeaseLeasesResponse response;
    for (const auto& lease : leases) response.add_leases()->set_id(lease.first);
    FillHeader(*s.gate, s.gate->term(), response.mutable_header());
    response.mutable_header()->set_revision(revision);
    AnswerRead(s, std::move(done), response, s.read_bytes->NewHold());
    return false;
  });
}

}  // namespace

void GrantLease(const ServiceSurroundings& s, LeaseGrantRequest request,
                std::optional<MonotonicNs> deadline, LeaseGranted done) {
  if (request.ttl() > storage::kLeaseTtlSecondsMax) {
    return std::move(done)(ToStatus(Error::kLeaseTtlTooLarge), LeaseGrantResponse());
  }
  if (s.gate->no_space()) {
    return std::move(done)(ToStatus(Error::kNoSpace), LeaseGrantResponse());
  }
  request.set_ttl(std::max(request.ttl(), s.limits.lease_ttl_seconds_min));
  const bool pick_id = request.id() == 0;
  ProposeGrant(s, std::move(request), pick_id, deadline, std::move(done));
}

void AddLeaseService(const ServiceSurroundings& surroundings, const CallGuard& guard,
                     Router& router) {
  const auto add = [&](const char* name, ServiceMethod method) {
    AddGuarded(surroundings, guard, router, name, CallGuard::Learner::kRefuses, method);
  };
  add("/etcdserverpb.Lease/LeaseGrant", LeaseGrant);
  add("/etcdserverpb.Lease/LeaseRevoke", LeaseRevoke);
  add("/etcdserverpb.Lease/LeaseTimeToLive", LeaseTimeToLive);
  add("/etcdserverpb.Lease/LeaseLeases", LeaseLeases);
  router.AddStream("/etcdserverpb.Lease/LeaseKeepAlive",
                   guard.Stream(CallGuard::Learner::kRefuses,
                                [surroundings](CallContext, std::shared_ptr<StreamWriter> writer) {
                                  return std::make_shared<KeepAliveCall>(*surroundings.gate,
                                                                         std::move(writer));
                                }),
                   StreamShape::kBidi);
}

}  // namespace gavel::server
