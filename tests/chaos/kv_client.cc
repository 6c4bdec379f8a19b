#include "tests/chaos/kv_client.h"

#include <condition_variable>
#include <mutex>
#include <utility>

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/codegen/proto_utils.h>

namespace gavel::chaos {

class KvClient::Channel {
 public:
  explicit Channel(const std::string& target) {
    grpc::ChannelArguments arguments;
    // A member that comes back should be found at once, not after gRPC's patience of seconds.
    arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 20);
    arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 20);
    arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 200);
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetMaxReceiveMessageSize(-1);
    channel_ = grpc::CreateCustomChannel(target, grpc::InsecureChannelCredentials(), arguments);
  }

  template <class Request, class Response>
  grpc::Status Call(const char* method, const Request& request, Response* response,
                    std::chrono::milliseconds timeout, bool wait_for_connection) {
    grpc::ClientContext context;
    context.set_wait_for_ready(wait_for_connection);
    context.set_deadline(std::chrono::system_clock::now() + timeout);
    grpc::TemplatedGenericStub<Request, Response> stub(channel_);
    std::mutex mutex;
    std::condition_variable changed;
    bool done = false;
    grpc::Status status;
    stub.UnaryCall(&context, method, {}, &request, response, [&](grpc::Status ended) {
      std::lock_guard lock(mutex);
      status = std::move(ended);
      done = true;
      changed.notify_one();
    });
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return done; });
    return status;
  }

 private:
  std::shared_ptr<grpc::Channel> channel_;
};

KvClient::KvClient(const std::string& target) : channel_(std::make_unique<Channel>(target)) {}
KvClient::~KvClient() = default;

template <class Request, class Response>
Outcome KvClient::Call(const char* method, const Request& request, Response* response,
                       bool wait_for_connection) {
  const grpc::Status status =
      channel_->Call(method, request, response, timeout_, wait_for_connection);
  if (status.ok()) return Outcome::kOk;
  last_error_ = status.error_message();
  return OutcomeOf(static_cast<server::StatusCode>(status.error_code()), last_error_);
}

Outcome KvClient::Put(const etcdserverpb::PutRequest& request,
                      etcdserverpb::PutResponse* response) {
  return Call("/etcdserverpb.KV/Put", request, response);
}

Outcome KvClient::Txn(const etcdserverpb::TxnRequest& request,
                      etcdserverpb::TxnResponse* response) {
  return Call("/etcdserverpb.KV/Txn", request, response);
}

Outcome KvClient::Delete(const etcdserverpb::DeleteRangeRequest& request,
                         etcdserverpb::DeleteRangeResponse* response) {
  return Call("/etcdserverpb.KV/DeleteRange", request, response);
}

Outcome KvClient::Range(const etcdserverpb::RangeRequest& request,
                        etcdserverpb::RangeResponse* response) {
  return Call("/etcdserverpb.KV/Range", request, response);
}

Outcome KvClient::Lock(const v3lockpb::LockRequest& request, v3lockpb::LockResponse* response) {
  return Call("/v3lockpb.Lock/Lock", request, response);
}

Outcome KvClient::Unlock(const v3lockpb::UnlockRequest& request,
                         v3lockpb::UnlockResponse* response) {
  return Call("/v3lockpb.Lock/Unlock", request, response);
}

Outcome KvClient::Campaign(const v3electionpb::CampaignRequest& request,
                           v3electionpb::CampaignResponse* response) {
  return Call("/v3electionpb.Election/Campaign", request, response);
}

Outcome KvClient::Proclaim(const v3electionpb::ProclaimRequest& request,
                           v3electionpb::ProclaimResponse* response) {
  return Call("/v3electionpb.Election/Proclaim", request, response);
}

Outcome KvClient::Resign(const v3electionpb::ResignRequest& request,
                         v3electionpb::ResignResponse* response) {
  return Call("/v3electionpb.Election/Resign", request, response);
}

Outcome KvClient::MemberList(etcdserverpb::MemberListResponse* response) {
  etcdserverpb::MemberListRequest request;
  request.set_linearizable(true);
  return Call("/etcdserverpb.Cluster/MemberList", request, response);
}

Outcome KvClient::MemberAdd(const etcdserverpb::MemberAddRequest& request,
                            etcdserverpb::MemberAddResponse* response) {
  return Call("/etcdserverpb.Cluster/MemberAdd", request, response);
}

Outcome KvClient::MemberRemove(const etcdserverpb::MemberRemoveRequest& request,
                               etcdserverpb::MemberRemoveResponse* response) {
  return Call("/etcdserverpb.Cluster/MemberRemove", request, response);
}

Outcome KvClient::Status(etcdserverpb::StatusResponse* response) {
  return Call("/etcdserverpb.Maintenance/Status", etcdserverpb::StatusRequest(), response);
}

Outcome KvClient::HashKv(int64_t revision, etcdserverpb::HashKVResponse* response) {
  etcdserverpb::HashKVRequest request;
  request.set_revision(revision);
  // The member serves: that a busy machine did not connect in 20 ms says nothing about it.
  return Call("/etcdserverpb.Maintenance/HashKV", request, response, /*wait_for_connection=*/true);
}

}  // namespace gavel::chaos
