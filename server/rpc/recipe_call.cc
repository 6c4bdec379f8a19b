#include "server/rpc/recipe_call.h"

#include <utility>
#include <variant>

#include "proto/etcdserverpb/lease.pb.h"
#include "raft/check.h"
#include "server/rpc/lease_service.h"
#include "storage/mvcc/txn.h"

namespace gavel::server {
namespace {

using etcdserverpb::TxnRequest;
using etcdserverpb::TxnResponse;

// As etcd's sessions have it.
constexpr int64_t kSessionTtlSeconds = 60;

}  // namespace

void ReadInBackground(Gate& gate, std::shared_ptr<Executor> executor,
                      std::shared_ptr<const storage::ReadView> view, TxnRequest request,
                      absl::AnyInvocable<void(absl::StatusOr<TxnResponse>)> then) {
  gate.RunInBackground([&gate, executor = std::move(executor), view = std::move(view),
                        request = std::move(request), then = std::move(then)]() mutable {
    absl::StatusOr<storage::ReadTxnResult> result = storage::ReadTxn(*view, request);
    if (result.ok() && result->overtaken) {
      view = gate.view();
      return true;
    }
    absl::StatusOr<TxnResponse> response;
    if (result.ok()) {
      // Nothing is asked for at a revision, so nothing can be refused.
      GAVEL_CHECK(result->error == storage::RequestError::kNone);
      response = std::move(result->response);
    } else {
      response = result.status();
    }
    RunOn(executor, [then = std::move(then), response = std::move(response)]() mutable {
      then(std::move(response));
    });
    return false;
  });
}

void RecipeCall::OnMessage(std::string message) {
  if (std::exchange(asked_, true)) return;
  Begin(message);
}

void RecipeCall::OnHalfClose() {
  if (!asked_ && !over_) Fail(MalformedRequest());
}

void RecipeCall::OnWritable() {
  if (!over_) Resume();
}

void RecipeCall::OnCancel() {
  if (std::exchange(over_, true)) return;
  Abandon();
}

RpcStatus RecipeCall::WithoutCode(RpcStatus refusal) {
  refusal.code = StatusCode::kUnknown;
  return refusal;
}

void RecipeCall::Fail(RpcStatus status) {
  if (std::exchange(over_, true)) return;
  const bool failed = !status.ok();
  writer_->Finish(std::move(status));
  if (failed) Abandon();
}

void RecipeCall::Write(const TxnRequest& request, Then then, Then late) {
  gate().Propose(CommandField::kTxn, request.SerializeAsString(), context_.deadline,
                 [self = shared_from_this(), then = std::move(then),
                  late = std::move(late)](ProposeResult result) mutable {
                   const std::shared_ptr<Executor> executor = self->executor();
                   RunOn(executor, [self = std::move(self), then = std::move(then),
                                    late = std::move(late), result = std::move(result)]() mutable {
                     self->OnWritten(std::move(result), std::move(then), std::move(late));
                   });
                 });
}

void RecipeCall::OnWritten(ProposeResult result, Then then, Then late) {
  if (over_) {
    if (late == nullptr || result.result != GateResult::kOk) return;
  } else if (result.result == GateResult::kRefused) {
    return Fail(WithoutCode(ToStatus(result.outcome.error)));
  } else if (result.result != GateResult::kOk) {
    return Fail(ToStatus(result.result));
  }
  if (result.outcome.response_too_large) {
    if (!over_) Fail(WriteAnswerTooLarge());
    return;
  }
  auto* response = std::get_if<TxnResponse>(&result.outcome.response);
  GAVEL_CHECK(response != nullptr) << "the outcome is of another command";
  (over_ ? late : then)(std::move(*response));
}

void RecipeCall::Read(TxnRequest request, Then then) {
  gate().Read(context_.deadline, [self = shared_from_this(), request = std::move(request),
                                  then = std::move(then)](ReadResult read) mutable {
    const std::shared_ptr<Executor> executor = self->executor();
    if (read.result != GateResult::kOk) {
      RunOn(executor,
            [self = std::move(self), result = read.result] { self->Fail(ToStatus(result)); });
      return;
    }
    Gate& gate = self->gate();
    ReadInBackground(gate, executor, std::move(read.view), std::move(request),
                     [self = std::move(self),
                      then = std::move(then)](absl::StatusOr<TxnResponse> response) mutable {
                       if (self->over_) return;
                       if (!response.ok()) {
                         return self->Fail(InternalError(response.status().ToString()));
                       }
                       then(*std::move(response));
                     });
  });
}

void RecipeCall::WithLease(int64_t lease, absl::AnyInvocable<void(int64_t)> then) {
  if (lease != 0) return then(lease);
  etcdserverpb::LeaseGrantRequest request;
  request.set_ttl(kSessionTtlSeconds);
  GrantLease(surroundings_, std::move(request), context_.deadline,
             [self = shared_from_this(), then = std::move(then)](
                 RpcStatus status, const etcdserverpb::LeaseGrantResponse& response) mutable {
               const std::shared_ptr<Executor> executor = self->executor();
               RunOn(executor, [self = std::move(self), then = std::move(then),
                                status = std::move(status), granted = response.id()]() mutable {
                 if (self->over_) return;
                 if (!status.ok()) return self->Fail(std::move(status));
                 then(granted);
               });
             });
}

}  // namespace gavel::server
