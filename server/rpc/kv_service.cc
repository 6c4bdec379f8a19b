#include "server/rpc/kv_service.h"

#include <optional>
#include <utility>
#include <variant>

#include "proto/etcdserverpb/kv.pb.h"
#include "raft/check.h"
#include "server/rpc/checks.h"
#include "server/rpc/error_map.h"
#include "server/rpc/propose.h"
#include "server/rpc/range_job.h"
#include "server/rpc/range_stream.h"
#include "storage/mvcc/txn.h"

namespace gavel::server {
namespace {

using etcdserverpb::CompactionRequest;
using etcdserverpb::CompactionResponse;
using etcdserverpb::DeleteRangeRequest;
using etcdserverpb::DeleteRangeResponse;
using etcdserverpb::PutRequest;
using etcdserverpb::PutResponse;
using etcdserverpb::RangeRequest;
using etcdserverpb::RequestOp;
using etcdserverpb::TxnRequest;
using etcdserverpb::TxnResponse;

void StartRange(const ServiceSurroundings& s, std::shared_ptr<const storage::ReadView> view,
                RangeRequest request, Completion done) {
  s.ranges->Increment();
  RangeJob::Start(RangeJob(s, std::move(view), std::move(request), std::move(done)));
}

void Range(const ServiceSurroundings& s, std::string bytes, CallContext context, Completion done) {
  RangeRequest request;
  if (!ParseRequest(bytes, &request)) return Fail(std::move(done), MalformedRequest());
  if (const auto error = CheckRange(request)) return Fail(std::move(done), ToStatus(*error));
  if (request.serializable()) {
    StartRange(s, s.gate->view(), std::move(request), std::move(done));
    return;
  }
  if (s.gate->learner()) {
    return Fail(std::move(done), ToStatus(Error::kNotSupportedForLearner));
  }
  s.gate->Read(context.deadline, [s, executor = context.executor, request = std::move(request),
                                  done = std::move(done)](ReadResult read) mutable {
    if (read.result != GateResult::kOk) return Fail(std::move(done), ToStatus(read.result));
    // Reading is the I/O thread's work, not that of whoever announces the grant.
    RunOn(executor, [s, view = std::move(read.view), request = std::move(request),
                     done = std::move(done)]() mutable {
      StartRange(s, std::move(view), std::move(request), std::move(done));
    });
  });
}

void Put(const ServiceSurroundings& s, std::string bytes, CallContext context, Completion done) {
  PutRequest request;
  if (!ParseRequest(bytes, &request)) return Fail(std::move(done), MalformedRequest());
  if (const auto error = CheckPut(request)) return Fail(std::move(done), ToStatus(*error));
  if (RefusedForSpace(s, done)) return;
  Propose<PutResponse>(s, CommandField::kPut, std::move(bytes), context.deadline, std::move(done),
                       Answer(s));
}

void DeleteRange(const ServiceSurroundings& s, std::string bytes, CallContext context,
                 Completion done) {
  DeleteRangeRequest request;
  if (!ParseRequest(bytes, &request)) return Fail(std::move(done), MalformedRequest());
  if (const auto error = CheckDeleteRange(request)) return Fail(std::move(done), ToStatus(*error));
  Propose<DeleteRangeResponse>(s, CommandField::kDeleteRange, std::move(bytes), context.deadline,
                               std::move(done), Answer(s));
}

// A read-only transaction on a view. One step, so anything with a range goes to the background.
class ReadTxnJob {
 public:
  ReadTxnJob(const ServiceSurroundings& s, std::shared_ptr<const storage::ReadView> view,
             TxnRequest request, Completion done)
      : s_(s), view_(std::move(view)), request_(std::move(request)), done_(std::move(done)) {}

  static void Start(ReadTxnJob job) {
    if (job.OnlySingleKeys() && job.Step()) return;
    if (TooManyJobs(job.s_)) {
      return Fail(std::move(job.done_), ToStatus(Error::kTooManyRequests));
    }
    Gate* gate = job.s_.gate;
    gate->RunInBackground([job = std::move(job)]() mutable { return !job.Step(); });
  }

 private:
  bool OnlySingleKeys() const {
    for (const auto& compare : request_.compare()) {
      if (!compare.range_end().empty()) return false;
    }
    for (const auto* ops : {&request_.success(), &request_.failure()}) {
      for (const RequestOp& op : *ops) {
        if (!op.request_range().range_end().empty()) return false;
      }
    }
    return true;
  }

  // True when the call has been answered.
  bool Step() {
    ReadBytes::Hold hold = s_.read_bytes->NewHold();
    absl::StatusOr<storage::ReadTxnResult> result = storage::ReadTxn(
        *view_, request_, storage::AnswerRoom([&](int64_t bytes) { return hold.Resize(bytes); }));
    if (!result.ok()) {
      Fail(std::move(done_), InternalError(result.status().ToString()));
      return true;
    }
    if (result->overtaken) {
      view_ = s_.gate->view();
      return false;
    }
    if (result->too_large) {
      Fail(std::move(done_), TooManyReadBytes());
      return true;
    }
    if (result->error != storage::RequestError::kNone) {
      Fail(std::move(done_), ToStatus(result->error));
      return true;
    }
    FillHeader(*s_.gate, s_.gate->term(), result->response.mutable_header());
    AnswerRead(s_, std::move(done_), result->response, std::move(hold));
    return true;
  }

  ServiceSurroundings s_;
  std::shared_ptr<const storage::ReadView> view_;
  TxnRequest request_;
  Completion done_;
};

// Whether every operation, in either branch, may be answered from the local copy.
bool IsSerializable(const TxnRequest& request) {
  bool any = false;
  for (const auto* ops : {&request.success(), &request.failure()}) {
    for (const RequestOp& op : *ops) {
      if (!op.request_range().serializable()) return false;
      any = true;
    }
  }
  // Compares alone say nothing of the sort, so they are linearizable.
  return any;
}

bool HasPut(const TxnRequest& request) {
  for (const auto* ops : {&request.success(), &request.failure()}) {
    for (const RequestOp& op : *ops) {
      if (op.has_request_put() || (op.has_request_txn() && HasPut(op.request_txn()))) return true;
    }
  }
  return false;
}

void Txn(const ServiceSurroundings& s, std::string bytes, CallContext context, Completion done) {
  TxnRequest request;
  if (!ParseRequest(bytes, &request)) return Fail(std::move(done), MalformedRequest());
  if (const auto error = CheckTxn(request, s.limits.txn_ops_max)) {
    return Fail(std::move(done), ToStatus(*error));
  }
  if (!storage::IsReadOnly(request)) {
    if (HasPut(request) && RefusedForSpace(s, done)) return;
    Propose<TxnResponse>(s, CommandField::kTxn, std::move(bytes), context.deadline, std::move(done),
                         Answer(s));
    return;
  }
  if (IsSerializable(request)) {
    ReadTxnJob::Start(ReadTxnJob(s, s.gate->view(), std::move(request), std::move(done)));
    return;
  }
  s.gate->Read(context.deadline, [s, executor = context.executor, request = std::move(request),
                                  done = std::move(done)](ReadResult read) mutable {
    if (read.result != GateResult::kOk) return Fail(std::move(done), ToStatus(read.result));
    RunOn(executor, [s, view = std::move(read.view), request = std::move(request),
                     done = std::move(done)]() mutable {
      ReadTxnJob::Start(ReadTxnJob(s, std::move(view), std::move(request), std::move(done)));
    });
  });
}

void Compact(const ServiceSurroundings& s, std::string bytes, CallContext context,
             Completion done) {
  CompactionRequest request;
  if (!ParseRequest(bytes, &request)) return Fail(std::move(done), MalformedRequest());
  if (!request.physical()) {
    Propose<CompactionResponse>(s, CommandField::kCompact, std::move(bytes), context.deadline,
                                std::move(done), Answer(s));
    return;
  }
  const auto wait = [gate = s.gate, revision = request.revision(), deadline = context.deadline](
                        CompactionResponse response, Completion answer) {
    gate->WhenCollected(
        revision, deadline,
        [response = std::move(response), answer = std::move(answer)](GateResult result) mutable {
          if (result != GateResult::kOk) {
            return Fail(std::move(answer), ToStatus(result));
          }
          std::move(answer)(RpcStatus(), Encode(response));
        });
  };
  Propose<CompactionResponse>(s, CommandField::kCompact, std::move(bytes), context.deadline,
                              std::move(done), wait);
}

}  // namespace

void AddKvService(const ServiceSurroundings& surroundings, const CallGuard& guard, Router& router) {
  const auto add = [&](const char* name, ServiceMethod method, CallGuard::Learner learner) {
    AddGuarded(surroundings, guard, router, name, learner, method);
  };
  // A learner serves serializable ranges, which only the method can tell.
  add("/etcdserverpb.KV/Range", Range, CallGuard::Learner::kServes);
  add("/etcdserverpb.KV/Put", Put, CallGuard::Learner::kRefuses);
  add("/etcdserverpb.KV/DeleteRange", DeleteRange, CallGuard::Learner::kRefuses);
  add("/etcdserverpb.KV/Txn", Txn, CallGuard::Learner::kRefuses);
  add("/etcdserverpb.KV/Compact", Compact, CallGuard::Learner::kRefuses);
  router.AddStream(
      "/etcdserverpb.KV/RangeStream",
      guard.Stream(CallGuard::Learner::kServes,
                   [surroundings](CallContext context, std::shared_ptr<StreamWriter> writer) {
                     return StartRangeStream(surroundings, std::move(context), std::move(writer));
                   }),
      StreamShape::kServerStream);
}

}  // namespace gavel::server
