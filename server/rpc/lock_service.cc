#include "server/rpc/lock_service.h"

#include <string>
#include <utility>

#include "proto/v3lockpb/lock.pb.h"
#include "server/rpc/checks.h"
#include "server/rpc/line_call.h"

namespace gavel::server {
namespace {

class LockCall final : public LineCall {
 public:
  using LineCall::LineCall;

 private:
  void Begin(const std::string& bytes) override {
    v3lockpb::LockRequest request;
    if (!ParseRequest(bytes, &request)) return Fail(MalformedRequest());
    Enter(request.name(), request.lease(), /*value=*/std::nullopt);
  }

  void OnFirst(const Place& place, storage::Revision revision) override {
    v3lockpb::LockResponse response;
    response.mutable_header()->set_revision(revision);
    response.set_key(place.key);
    Answer(std::move(response));
  }

  RpcStatus Gone() const override { return ToStatus(Error::kLockSessionExpired); }
};

class UnlockCall final : public RecipeCall {
 public:
  UnlockCall(const ServiceSurroundings& surroundings, CallContext context,
             std::shared_ptr<StreamWriter> writer)
      : RecipeCall(surroundings, std::move(context), std::move(writer)) {}

 private:
  void Begin(const std::string& bytes) override {
    v3lockpb::UnlockRequest request;
    if (!ParseRequest(bytes, &request)) return Fail(MalformedRequest());
    if (const auto error = CheckKey(request.key())) return Fail(WithoutCode(ToStatus(*error)));
    etcdserverpb::TxnRequest txn;
    txn.add_success()->mutable_request_delete_range()->set_key(request.key());
    Write(txn, [this](const etcdserverpb::TxnResponse& written) {
      v3lockpb::UnlockResponse response;
      response.mutable_header()->set_revision(written.header().revision());
      Answer(std::move(response));
    });
  }
};

}  // namespace

void AddLockService(const ServiceSurroundings& surroundings, const CallGuard& guard,
                    Router& router) {
  AddRecipe<LockCall>(surroundings, guard, router, "/v3lockpb.Lock/Lock");
  AddRecipe<UnlockCall>(surroundings, guard, router, "/v3lockpb.Lock/Unlock");
}

}  // namespace gavel::server
